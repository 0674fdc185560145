"""The scripts of docs/cluster: Slurm's is accepted by a scheduler, torchrun and abaw; Ray's trains on two nodes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from torch.distributed.run import parse_args

from pipelines.cli import parse_config
from tests.data.faces import still_store
from tests.engine.functions import wait
from tests.ray_cluster import RayCluster

FOLDER = Path(__file__).parents[1] / "docs" / "cluster"
SCRIPT = FOLDER / "train.sbatch"


def _program(folder: Path, name: str, body: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/bash\n{body}\n")
    path.chmod(0o755)


def test_the_slurm_script_starts_one_torchrun_per_machine(tmp_path: Path) -> None:
    """With stand-ins for Slurm's programs and torchrun, which write down their arguments."""
    assert subprocess.run(["bash", "-n", str(SCRIPT)]).returncode == 0
    lines = SCRIPT.read_text().splitlines()
    assert lines[0] == "#!/bin/bash"
    directives = dict(re.findall(r"^#SBATCH --([a-z-]+)(?:=(\S+))?$", "\n".join(lines), re.MULTILINE))
    assert len(directives) == sum(line.startswith("#SBATCH") for line in lines)
    assert directives["ntasks-per-node"] == "1"
    # More hosts than a pipe holds: whoever reads one line and closes it ends scontrol, and with it the script.
    _program(tmp_path, "scontrol", "echo one; seq -f host%05g 20000")
    _program(tmp_path, "srun", 'exec "$@"')
    _program(tmp_path, "torchrun", f'printf "%s\\n" "$@" > {tmp_path}/words')
    job = {"SLURM_JOB_NODELIST": "[one-two]", "SLURM_JOB_NUM_NODES": directives["nodes"], "SLURM_JOB_ID": "7"}
    done = subprocess.run(
        ["bash", str(SCRIPT)], env={**os.environ, **job, "PATH": f"{tmp_path}:{os.environ['PATH']}"}, timeout=60
    )
    assert done.returncode == 0
    words = parse_args((tmp_path / "words").read_text().splitlines())
    assert (words.nnodes, words.nproc_per_node) == (directives["nodes"], directives["gpus-per-node"])
    assert (words.rdzv_endpoint, words.rdzv_id) == ("one:29500", "7")
    assert (words.module, words.training_script) == (True, "abaw")
    name, *flags = words.training_script_args
    train = parse_config(name, flags).train
    assert (train.nodes, train.devices) == (2, 4)


@pytest.fixture
def stills(tmp_path: Path) -> Path:
    still_store(tmp_path / "faces" / "stills.arrow", list(range(8)) * 4)
    return tmp_path / "faces"


def _on_ray(cluster: RayCluster, *words: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(FOLDER / "train_on_ray.py"), "--nodes", "2", "--gpus", "0", "--cpus", "1"]
    environment = {**os.environ, "RAY_ADDRESS": cluster.address, "PYTHONPATH": str(FOLDER.parents[1])}
    return subprocess.Popen(
        [*command, *map(str, words)], env=environment, stderr=subprocess.PIPE, text=True, cwd=FOLDER.parents[1]
    )


def _training(stills: Path, out: Path, steps: int) -> list[str | Path]:
    words: list[str | Path] = ["train-static", "--labelled", stills, "--out", out, "--method", "supervised"]
    words += ["--backbone", "small", "--batch_size", "4", "--train.accelerator", "cpu"]
    return [
        *words,
        "--train.steps",
        str(steps),
        "--train.checkpoint_every",
        str(max(1, steps // 20)),
        "--train.log_every",
        "1",
    ]


@pytest.mark.slow
def test_ray_trains_on_two_nodes(ray_cluster: RayCluster, stills: Path, tmp_path: Path) -> None:
    job = _on_ray(ray_cluster, *_training(stills, tmp_path / "run", 2))
    _, said = job.communicate(timeout=400)
    assert job.returncode == 0, said
    training = json.loads((tmp_path / "run" / "last" / "spec.json").read_text())["training"]
    assert (training["step"], training["settings"]["train"]["nodes"]) == (2, 2)


@pytest.mark.slow
def test_a_node_that_dies_on_ray_costs_no_more_than_since_the_last_checkpoint(
    ray_cluster: RayCluster, stills: Path, tmp_path: Path
) -> None:
    job = _on_ray(ray_cluster, *_training(stills, tmp_path / "run", 100))
    wait(lambda: (tmp_path / "run" / "last" / "spec.json").exists(), 400)
    ray_cluster.kill_node()
    ray_cluster.complete()
    _, said = job.communicate(timeout=600)
    assert job.returncode == 0, said
    assert said.count("waiting for 2 nodes") == 2, said
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert max(steps) == 100
