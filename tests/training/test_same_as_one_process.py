"""Two processes started by torchrun learn the same weights as one process with twice the batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from abaw.core.run_lock import LOCK
from tests.training.two_processes import FIRST_STEP, STATIC, STEPS, TEMPORAL, make_inputs, make_runs, static_run

pytestmark = pytest.mark.slow

GRADIENTS = 1e-5
"""Largest difference of a gradient, in parts of the largest gradient."""
WEIGHTS = 5e-3
"""Norm of the difference of the weights, in parts of their norm.

AdamW divides gradients by their size, so it magnifies rounding where gradients are almost 0.
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with the runs of one and of two processes, in `1` and `2`; and what the two printed."""
    root = tmp_path_factory.mktemp("runs")
    make_inputs(root)
    make_runs(root, 1)
    script = Path(__file__).with_name("two_processes.py")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    done = subprocess.run([*command, str(root)], env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    assert all((root / f"finished {rank}").exists() for rank in (0, 1))
    return root, done.stdout + done.stderr


def weights(checkpoint: Path) -> Mapping[str, Tensor]:
    return {
        name: value
        for name, value in load_file(checkpoint / "weights.safetensors").items()
        if value.is_floating_point()
    }


def difference(first: Path, second: Path) -> float:
    """The norm of the difference, in parts of the norm."""
    one, two = weights(first), weights(second)
    assert one.keys() == two.keys()
    apart = torch.stack([(one[name] - two[name]).norm() for name in one]).norm()
    return float(apart / torch.stack([value.norm() for value in one.values()]).norm())


@pytest.mark.parametrize("name", STATIC)
def test_the_gradients_of_a_step_are_the_same(runs: tuple[Path, str], name: str) -> None:
    root, _ = runs
    # After one step, the optimiser's mean of the gradients is a tenth of the gradients.
    one, two = (
        torch.cat([each["exp_avg"].flatten() for each in state["optimizer"]["state"].values()])
        for state in (torch.load(root / number / name / FIRST_STEP, weights_only=False) for number in "12")
    )
    assert (one - two).abs().max() < GRADIENTS * one.abs().max()


@pytest.mark.parametrize("name", [*STATIC, *TEMPORAL])
def test_the_weights_are_the_same(runs: tuple[Path, str], name: str) -> None:
    root, _ = runs
    for kept in ("last", "best"):
        assert difference(root / "1" / name / kept, root / "2" / name / kept) < WEIGHTS


@pytest.mark.parametrize("name", STATIC)
def test_only_the_first_process_writes(runs: tuple[Path, str], name: str) -> None:
    root, _ = runs
    one, two = (
        [json.loads(line)["step"] for line in (root / number / name / "metrics.jsonl").read_text().splitlines()]
        for number in "12"
    )
    assert one == two
    assert not (root / "2" / name / LOCK).exists()


def test_a_run_goes_on_with_another_number_of_processes(runs: tuple[Path, str]) -> None:
    root, _ = runs
    interrupted = root / "2" / "interrupted"
    assert torch.load(interrupted / "last/state.pt", weights_only=False)["done"] == STEPS // 2
    static_run("fixmatch", interrupted, 1)
    assert difference(root / "1" / "fixmatch" / "last", interrupted / "last") < WEIGHTS


def test_only_the_first_process_speaks(runs: tuple[Path, str]) -> None:
    root, said = runs
    for name in TEMPORAL:
        assert said.count(f"{root / '2' / name / 'last'}: step {STEPS}") == 1
