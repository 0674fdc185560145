"""The Slurm script of docs/cluster: a scheduler, torchrun and abaw accept it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from torch.distributed.run import parse_args

from pipelines.cli import parse_config

SCRIPT = Path(__file__).parents[1] / "docs" / "cluster" / "train.sbatch"


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
    _program(tmp_path, "scontrol", "printf 'one\\ntwo\\n'")
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
