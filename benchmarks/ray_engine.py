"""Engine `ray` on two nodes against one, and on one node against the local engine.

    python benchmarks/ray_engine.py --videos FOLDER [--repeats 5] [--steps 100] [--only extract|ablate]

Each node of a real cluster on this machine is pinned to one core, each with its own. Commands: `extract` of the videos
with the builtin detector, and `ablate` of 8 cells on synthetic features. Each is timed from start to end on two nodes,
on one node (a cluster of its own) and locally on one core, with one worker per core; the start of the clusters is
excluded. Printed are the medians. Two nodes must be at least 1.7 times as fast as one, and one node at most 10 % slower
than the local engine. Give videos that take minutes in all, more than one per core, and a machine that is quiet.
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from ablate import FLAGS, make_videos

from abaw.engine.ray_cluster import load_ray

SPEED_UP = 1.7
SLOWER = 1.1
_NODE = {"num_cpus": 1, "object_store_memory": 80_000_000}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=100, help="training steps per cell")
    parser.add_argument("--only", choices=["extract", "ablate"])
    arguments = parser.parse_args()
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "data"
        make_videos(data, 40, 20, 1500, 128)
        commands = {
            "extract": ["extract", str(arguments.videos), "--detector", "builtin"],
            "ablate": ["ablate", "--features", str(data / "features"), "--annotations", str(data / "annotations")]
            + [*FLAGS, "--train.steps", str(arguments.steps), "--vary", "window=50,100,150,200", "--seeds", "0", "1"],
        }
        with _cluster(2) as two, _cluster(1) as one:
            engines = {
                "two nodes": ["--engine", f"ray:{two}"],
                "one node": ["--engine", f"ray:{one}"],
                "local": ["--workers", "1"],
            }
            chosen = [arguments.only] if arguments.only else list(commands)
            fine = [_compare(commands[command], engines, arguments.repeats, command) for command in chosen]
    return 0 if all(fine) else 1


def _compare(words: Sequence[str], engines: dict[str, list[str]], repeats: int, command: str) -> bool:
    seconds: dict[str, list[float]] = {engine: [] for engine in engines}
    for _ in range(repeats):
        for engine, flags in engines.items():
            seconds[engine].append(_run([*words, *flags], {0} if engine == "local" else None))
    two, one, local = (median(seconds[engine]) for engine in engines)
    for engine, found in seconds.items():
        print(f"{command}, {engine}: median {median(found):.1f} s of {', '.join(f'{each:.1f}' for each in found)}")
    print(f"{command}: one node / two nodes {one / two:.2f} (at least {SPEED_UP})")
    print(f"{command}: one node / local {one / local:.2f} (at most {SLOWER})", flush=True)
    return one / two >= SPEED_UP and one / local <= SLOWER


def _run(words: Sequence[str], cores: set[int] | None) -> float:
    """Seconds that a command takes from start to end, on all cores or some."""
    with tempfile.TemporaryDirectory() as out, _pinned(cores):
        begun = time.perf_counter()
        command = [sys.executable, "-m", "pipelines.cli", *words, "--out", str(Path(out) / "out")]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - begun


@contextmanager
def _pinned(cores: set[int] | None) -> Iterator[None]:
    """What is started meanwhile runs on these cores alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def _cluster(nodes: int) -> Iterator[str]:
    """The address of a cluster; its n-th node has the n-th core."""
    load_ray()
    # Loaded after its settings are in the environment.
    from ray.cluster_utils import Cluster

    cluster: Any = Cluster()
    for number in range(nodes):
        with _pinned({number}):
            cluster.add_node(**_NODE, **({"include_dashboard": False} if number == 0 else {}))
    try:
        yield str(cluster.address)
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    sys.exit(main())
