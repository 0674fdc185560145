"""The processes of a training run end with the one that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from abaw.core.artifacts import process_lives
from abaw.training.launch import _is_started_by_another
from tests.data.faces import still_store
from tests.engine.functions import wait

_ABAW = ["-m", "abaw", "train-static", "--method", "supervised", "--backbone", "small", "--batch_size", "4"]
_WITHOUT_END = ["--train.steps", "1000000", "--train.checkpoint_every", "1", "--train.accelerator", "cpu"]


@pytest.mark.parametrize(
    ("environment", "another"),
    [
        ({}, False),
        ({"LOCAL_RANK": "0"}, False),  # the first process, at its second run
        ({"LOCAL_RANK": "1"}, True),
        ({"LOCAL_RANK": "0", "TORCHELASTIC_RUN_ID": "none"}, True),
    ],
)
def test_only_processes_that_another_started_end_with_it(
    environment: dict[str, str], another: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first process outlives the shell that it was started from."""
    for name in ("LOCAL_RANK", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert _is_started_by_another() is another


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are listed by /proc")
@pytest.mark.parametrize("start", [["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"], []])
def test_processes_whose_launcher_is_killed_end(start: list[str], tmp_path: Path) -> None:
    """kill -9 of torchrun, or of the first process, which starts the other. They would train on and lock the run."""
    stills = still_store(tmp_path / "stills.arrow", list(range(8)) * 2)
    words = [*_ABAW, *_WITHOUT_END, "--train.devices", "2", "--labelled", str(stills), "--out", str(tmp_path / "run")]
    launcher = subprocess.Popen([sys.executable, *start, *words], cwd=Path(__file__).parents[2])
    started: list[int] = []
    try:
        wait(lambda: (tmp_path / "run/last/spec.json").exists() or launcher.poll() is not None, 300)
        assert launcher.poll() is None
        started = _children(launcher.pid)
        assert len(started) == (2 if start else 1)
        launcher.kill()
        wait(lambda: not any(map(process_lives, started)), 60)
    finally:
        for pid in filter(process_lives, [launcher.pid, *started]):
            os.kill(pid, signal.SIGKILL)
        launcher.wait()
