"""The connection of this process to a Ray cluster: an existing one, or one on this machine that ends with it."""

from __future__ import annotations

import logging
import math
import os
import secrets
import sys
from importlib import import_module
from typing import Any, Final

from abaw.core.errors import ConfigError, DataError
from abaw.core.machine import usable_cores

_LOCAL: Final = "local"
_OBJECT_STORE_BYTES = 80_000_000
"""Of our own cluster, close to Ray's minimum: items and results are small, the data are in files."""


def load_ray(address: str | None = None) -> Any:
    """The package, which reports no usage and prints nothing. Raises ConfigError where it is missing.

    address: see `connect`.
    """
    settings = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS_SKIP_REGEX": "."}  # the latter silences standard output
    if _chosen(address) == _LOCAL:
        # Without a token from here, Ray writes one into the home folder. It reads these variables when it is loaded.
        settings |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    if "ray" not in sys.modules:
        os.environ.update({name: value for name, value in settings.items() if name not in os.environ})
    try:
        ray = import_module("ray")
    except ImportError as error:
        raise ConfigError(
            "--engine ray: Ray is not installed; `pip install 'abaw[ray]'`, or use --engine local"
        ) from error
    logging.getLogger("ray").setLevel(logging.ERROR)
    return ray


def connect(address: str | None, num_cpus: float) -> Any:
    """The package `ray`, connected for as long as this process lives; a second call keeps the connection.

    address: of an existing cluster (`HOST:PORT`, `auto`); None for the one that RAY_ADDRESS names or, without it, for
    one on this machine with all its cores, and at least `num_cpus`. Raises DataError when there is none.
    """
    ray = load_ray(address)
    if ray.is_initialized():
        return ray
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if _chosen(address) == _LOCAL:
        options |= {
            "num_cpus": max(usable_cores(), math.ceil(num_cpus)),
            "include_dashboard": False,
            "object_store_memory": _OBJECT_STORE_BYTES,
            "_node_ip_address": "127.0.0.1",
        }
    try:
        ray.init(address=_chosen(address), **options)
    except (OSError, RuntimeError, ValueError, TimeoutError, ray.exceptions.RayError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise DataError(
            f"--engine ray: no connection to the cluster {_chosen(address)} ({reason}); start one with `ray start "
            "--head`, check the address, or use --engine ray for a cluster on this machine"
        ) from error
    return ray


def _chosen(address: str | None) -> str:
    return address or os.environ.get("RAY_ADDRESS") or _LOCAL


def capacity(ray: Any, cpus: float, gpus: float) -> int:
    """How many workers with these resources fit into the nodes that are alive, whatever else runs there."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    wanted = [(name, amount) for name, amount in (("CPU", cpus), ("GPU", gpus)) if amount]
    return sum(min(_fitting(node.get(name, 0.0), amount) for name, amount in wanted) for node in nodes)


def _fitting(has: float, amount: float) -> int:
    return math.floor(has / amount + 1e-6)
