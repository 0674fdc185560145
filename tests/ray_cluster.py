"""A real Ray cluster of two nodes on this machine, for tests."""

from __future__ import annotations

import os
import secrets
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
        self._cluster: Any = Cluster(initialize_head=True, head_node_args=head)
        self._second: Any = None
        self.complete()

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def complete(self) -> None:
        """Start the second node again if it was killed."""
        for left in reversed(range(_TRIES)):
            if self._second is not None:
                return
            try:
                self._second = self._cluster.add_node(**_NODE)
            except Exception:  # Ray gives up after 30 s, which is too short on a busy machine; it raises no other class
                if not left:
                    raise

    def kill_node(self) -> None:
        """All processes of the second node, workers included, die at once."""
        self._cluster.remove_node(self._second, allow_graceful=False)
        self._second = None

    def end(self) -> None:
        load_ray().shutdown()
        self._cluster.shutdown()
