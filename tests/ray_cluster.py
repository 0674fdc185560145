"""A real Ray cluster of two nodes on this machine, for tests."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from typing import Any

from abaw.engine.ray_cluster import load_ray

_TRIES = 5
_NODE = {"num_cpus": 1, "object_store_memory": 80_000_000}


class RayCluster:
    """A head that stays and a second node that can be killed, with one core each."""

    def __init__(self) -> None:
        # Before Ray is loaded; commands that tests start inherit it. A token: Ray would write one into the home folder.
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        load_ray()
        # Loaded here: most tests need no Ray.
        from ray.cluster_utils import Cluster

        head = {**_NODE, "include_dashboard": False}
        self._cluster: Any = _patiently(lambda: Cluster(initialize_head=True, head_node_args=head))
        self._second: Any = None
        self.complete()

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def complete(self) -> None:
        """Start the second node again if it was killed."""
        if self._second is None:
            self._second = _patiently(lambda: self._cluster.add_node(**_NODE))

    def kill_node(self) -> None:
        """All processes of the second node, workers included, die at once."""
        self._cluster.remove_node(self._second, allow_graceful=False)
        self._second = None

    def end(self) -> None:
        load_ray().shutdown()
        self._cluster.shutdown()


def _patiently(start: Callable[[], Any]) -> Any:
    """Ray gives up on a node that takes 30 s to start, which is too short on a busy machine."""
    for _ in range(_TRIES - 1):
        try:
            return start()
        except Exception:  # Ray raises no other class
            continue
    return start()
