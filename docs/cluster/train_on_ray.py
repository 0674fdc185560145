"""Trains on several nodes of a Ray cluster: Ray reserves them and starts one torchrun on each.

    python docs/cluster/train_on_ray.py --nodes 2 --gpus 4 train-static --labelled stills/ --out runs/static

As a job, on a cluster that was started with `pip install 'ray[default]'`, without the need to stay connected:

    ray job submit --no-wait -- bash -c "cd /SHARED/FOLDER && python docs/cluster/train_on_ray.py --nodes 2 …"

What follows the options is a training command of abaw, to which `--train.nodes` and `--train.devices` are added. Paths
are on a file system that all nodes share. When a process or a node dies, all processes are started again as soon as
there are enough nodes, and the run continues from its last checkpoint.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Node:
    """What each node does, as an actor of Ray. processes: on it, one per GPU; words: of the command; folder: its
    working directory.
    """

    nodes: int
    processes: int
    words: Sequence[str]
    folder: str

    def free_address(self) -> tuple[str, int]:
        """An address of this node."""
        with socket.socket() as free:
            free.bind(("", 0))
            return ray.util.get_node_ip_address(), free.getsockname()[1]

    def run(self, rank: int, host: str, port: int) -> int:
        """The exit status of torchrun. It ends with the process of Ray that started it."""
        command = [sys.executable, "-m", "torch.distributed.run", "--nnodes", str(self.nodes), "--node-rank", str(rank)]
        command += ["--nproc-per-node", str(self.processes), "--master-addr", host, "--master-port", str(port)]
        command += ["-m", "abaw", *self.words]
        command += ["--train.nodes", str(self.nodes), "--train.devices", str(self.processes)]
        libc = ctypes.CDLL(None)
        process = subprocess.Popen(
            command, cwd=self.folder, preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        )
        return process.wait()


def train(node: Node, resources: dict[str, float]) -> bool:
    """Run all processes once. False when some failed or died; the others are ended then."""
    group = placement_group([resources] * node.nodes, strategy="STRICT_SPREAD")
    nodes = "1 node" if node.nodes == 1 else f"{node.nodes} nodes"
    print(f"waiting for {nodes} with {resources} each", file=sys.stderr, flush=True)
    ray.get(group.ready())
    # Actors, because Ray 2.60 crashes when a task that has just ended is cancelled.
    actors = [_on(group, rank, node, resources) for rank in range(node.nodes)]
    try:
        host, port = ray.get(actors[0].free_address.remote())
        left = [actor.run.remote(rank, host, port) for rank, actor in enumerate(actors)]
        while left:
            done, left = ray.wait(left)
            if ray.get(done[0]) != 0:
                return False
        return True
    except ray.exceptions.RayError as error:
        print(f"a node or its process died: {type(error).__name__}", file=sys.stderr, flush=True)
        return False
    finally:
        for actor in actors:
            ray.kill(actor)
        remove_placement_group(group)


def _on(group: Any, rank: int, node: Node, resources: dict[str, float]) -> Any:
    """The actor on the node of that rank."""
    place = PlacementGroupSchedulingStrategy(placement_group=group, placement_group_bundle_index=rank)
    options = {"num_cpus": resources["CPU"], "num_gpus": resources.get("GPU", 0), "scheduling_strategy": place}
    return ray.remote(Node).options(**options).remote(node.nodes, node.processes, node.words, node.folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, required=True)
    parser.add_argument("--gpus", type=int, default=1, help="per node, with one process each; 0: one process without")
    parser.add_argument("--cpus", type=int, default=4, help="reserved per process, for loading data")
    parser.add_argument("--restarts", type=int, default=3, help="how often all processes may be started again")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="train-static, train-temporal or pretrain …")
    given = parser.parse_args()
    processes = max(1, given.gpus)
    resources = {"CPU": float(given.cpus * processes), **({"GPU": float(given.gpus)} if given.gpus else {})}
    node = Node(given.nodes, processes, given.command, os.getcwd())
    ray.init(address=os.environ.get("RAY_ADDRESS", "auto"))
    return 0 if any(train(node, resources) for _ in range(1 + given.restarts)) else 1


if __name__ == "__main__":
    sys.exit(main())
