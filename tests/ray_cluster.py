"""A real Ray cluster of two nodes on this machine, for tests."""

from __future__ import annotations

import os
import secrets
import time
from typing import Any

from abaw.engine.ray_cluster import load_ray

_SECONDS_TO_START = 300.0
_NODE = {"num_cpus": 1, "object_store_memory": 80_000_000}


def choose_settings() -> None:
    """The environment that the cluster needs. Ray reads it when it is loaded, and any test may load it.

    Commands that tests start inherit it. A token: Ray would write one into the home folder. Workers have low priority
    otherwise, so that on a busy machine nothing would come of them.
    """
    settings = {"RAY_worker_niceness": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    os.environ.update(settings)


class RayCluster:
    """A head that stays and a second node that can be killed, with one core each."""

    def __init__(self) -> None:
        load_ray()
        # Loaded here: most tests need no Ray.
        from ray.cluster_utils import Cluster

        _wait_longer()
        head = {**_NODE, "include_dashboard": False}
        self._cluster: Any = Cluster(initialize_head=True, head_node_args=head)
        self._second: Any = None
        self.complete()

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def complete(self) -> None:
        """Start the second node again if it was killed."""
        if self._second is None:
            self._second = self._cluster.add_node(**_NODE)

    def kill_node(self) -> None:
        """All processes of the second node, workers included, die at once."""
        self._cluster.remove_node(self._second, allow_graceful=False)
        self._second = None

    def end(self) -> None:
        load_ray().shutdown()
        self._cluster.shutdown()


def _wait_longer() -> None:
    """Ray gives up on a node that takes 30 s to start, which is too short on a busy machine."""
    # Loaded after its settings are in the environment.
    from ray._private import services

    get_node = services.get_node

    def wait_for_node(*arguments: Any) -> Any:
        deadline = time.monotonic() + _SECONDS_TO_START
        while True:
            try:
                return get_node(*arguments)
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    services.get_node = wait_for_node
