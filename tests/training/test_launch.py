"""The processes of a training run: what starts them, and what is said and done when one of them ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from lightning_fabric.plugins.environments.lightning import find_free_network_port
from torch.distributed import DistNetworkError

from abaw.core.artifacts import process_lives
from abaw.core.data_parallel import Part, other_has_ended
from abaw.core.errors import ConfigError
from abaw.training.launch import _is_started_by_another, _require_started
from abaw.training.settings import TrainSettings
from tests.data.faces import still_store
from tests.engine.functions import wait

_ABAW = ["-m", "abaw", "train-static", "--method", "supervised", "--backbone", "small", "--batch_size", "4"]
_ROOT = Path(__file__).parents[2]
_WITHOUT_END = ["--train.steps", "1000000", "--train.checkpoint_every", "1", "--train.accelerator", "cpu"]


_LAUNCHERS = ("LOCAL_RANK", "RANK", "WORLD_SIZE", "TORCHELASTIC_RUN_ID", "MASTER_ADDR", "NODE_RANK", "GROUP_RANK")


@pytest.fixture
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in (*_LAUNCHERS, "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


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
    environment: dict[str, str], another: bool, no_launcher: pytest.MonkeyPatch
) -> None:
    """The first process outlives the shell that it was started from."""
    for name, value in environment.items():
        no_launcher.setenv(name, value)
    assert _is_started_by_another() is another


@pytest.mark.parametrize(
    "environment",
    [
        {"NODE_RANK": "0", "MASTER_PORT": "29500"},  # by hand: the first machine needs no address
        {"MASTER_ADDR": "first", "MASTER_PORT": "29500", "NODE_RANK": "1"},
        {"SLURM_NTASKS": "2", "SLURM_PROCID": "1"},  # srun
    ],
)
def test_several_machines_need_something_that_starts_processes_on_them(
    environment: dict[str, str], no_launcher: pytest.MonkeyPatch
) -> None:
    """Otherwise the first machine would wait for the others without a word."""
    settings = TrainSettings(nodes=2)
    with pytest.raises(ConfigError, match="nothing has started processes on other machines; .* torchrun"):
        _require_started(settings)
    for name, value in environment.items():
        no_launcher.setenv(name, value)
    _require_started(settings)


_PAIR = "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:561]"


@pytest.mark.parametrize(
    ("processes", "error", "ended"),
    [
        (2, RuntimeError(f"{_PAIR} Connection closed by peer [127.0.0.1]:17301."), True),
        (2, RuntimeError(f"{_PAIR} Read error [127.0.0.1]:27836: Connection reset by peer."), True),
        (2, RuntimeError(f"Rank 1 received errors.\n Original exception: \n{_PAIR} Connection closed by peer"), True),
        (2, RuntimeError("ncclRemoteError: a network error or a remote process exiting prematurely."), True),
        (2, DistNetworkError("failed to recv, got 0 bytes"), True),
        (1, RuntimeError(f"{_PAIR} Connection closed by peer [127.0.0.1]:17301."), False),
        (2, RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (2, RuntimeError("the camera's connection was closed by peer"), False),
        (2, RuntimeError(f"{_PAIR} op.preamble.length <= op.nbytes. 8 vs 4"), False),  # other operations: a bug
    ],
)
def test_only_a_lost_connection_says_that_another_process_has_ended(
    processes: int, error: RuntimeError, ended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("abaw.core.data_parallel.own_part", lambda: Part(0, processes))
    assert other_has_ended(error) is ended


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are listed by /proc")
@pytest.mark.parametrize("start", [["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"], []])
def test_processes_whose_launcher_is_killed_end(start: list[str], tmp_path: Path) -> None:
    """kill -9 of torchrun, or of the first process, which starts the other. They would train on and lock the run."""
    stills = still_store(tmp_path / "stills.arrow", list(range(8)) * 2)
    words = [*_ABAW, *_WITHOUT_END, "--train.devices", "2", "--labelled", str(stills), "--out", str(tmp_path / "run")]
    launcher = subprocess.Popen([sys.executable, *start, *words], cwd=_ROOT)
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


_SMALL = ["--train.steps", "20", "--train.warmup_steps", "1", "--train.accelerator", "cpu", "--train.devices", "2"]
_FAULTY = """
import os, sys
from abaw.core.errors import DataError
from abaw.training import loop
from pipelines.cli import main

def step(*_):
    raise DataError("a still that cannot be read")

if os.environ.get("LOCAL_RANK") == "1":
    loop._Trainer.step = step
sys.exit(main(sys.argv[1:]))
"""
_SRUN = {
    "SLURM_JOB_ID": "1",
    "SLURM_JOB_NAME": "train",
    "SLURM_NODELIST": "127.0.0.1",
    "SLURM_NNODES": "2",
    "SLURM_NTASKS": "2",
    "SLURM_NTASKS_PER_NODE": "1",
    "SLURM_LOCALID": "0",
}
_ENDED = "abaw train-static: error: another process of this training has ended"


def _run(script: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a Python file, which Fabric may start again."""
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    return subprocess.run(
        [sys.executable, script, *words], env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.mark.slow
def test_the_fault_of_another_process_is_no_bug(tmp_path: Path) -> None:
    stills = still_store(tmp_path / "stills.arrow", list(range(8)) * 2)
    script = tmp_path / "script.py"
    script.write_text(_FAULTY)
    done = _run(script, *_ABAW[2:], *_SMALL, "--labelled", stills, "--out", tmp_path / "run")
    assert done.returncode != 0
    assert "abaw train-static: error: a still that cannot be read" in done.stderr
    assert _ENDED in done.stderr
    assert "bug" not in done.stderr


@pytest.mark.slow
def test_a_refused_run_folder_is_no_bug_of_the_other_process(tmp_path: Path) -> None:
    """Both processes refuse it, but the second while it waits for the first."""
    stills = still_store(tmp_path / "stills.arrow", list(range(8)) * 2)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/notes.txt").touch()
    done = subprocess.run(
        [sys.executable, *_ABAW, *_SMALL, "--labelled", stills, "--out", tmp_path / "run"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode != 0
    assert f"abaw train-static: error: {tmp_path / 'run'}" in done.stderr
    assert "bug" not in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are listed by /proc")
def test_a_killed_process_is_no_bug(tmp_path: Path) -> None:
    stills = still_store(tmp_path / "stills.arrow", list(range(8)) * 2)
    words = [*_ABAW, *_WITHOUT_END, "--train.devices", "2", "--labelled", str(stills), "--out", str(tmp_path / "run")]
    with subprocess.Popen([sys.executable, *words], cwd=_ROOT, stderr=subprocess.PIPE, text=True) as first:
        try:
            wait(lambda: (tmp_path / "run/last/spec.json").exists() or first.poll() is not None, 300)
            (second,) = _children(first.pid)
            os.kill(second, signal.SIGKILL)
            _, said = first.communicate(timeout=60)
        finally:
            first.kill()
    assert _ENDED in said
    assert "bug" not in said


_TWO_TRAININGS = """
import sys
from pathlib import Path
import abaw

def train(name, devices):
    abaw.train_static(
        labelled=[root / "stills.arrow"], out=root / name, method="supervised", backbone="small", batch_size=4,
        holdout=0, train={"steps": 4, "warmup_steps": 1, "log_every": 1, "accelerator": "cpu", "devices": devices},
    )

root = Path(sys.argv[1])
train("first", 2)
train("second", int(sys.argv[2]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_a_later_training_of_a_script_has_the_same_number_of_processes(devices: int, tmp_path: Path) -> None:
    """Each process runs the whole script: with one device, each would train on its own, in one run folder."""
    still_store(tmp_path / "stills.arrow", list(range(8)) * 2)
    script = tmp_path / "script.py"
    script.write_text(_TWO_TRAININGS)
    done = _run(script, tmp_path, str(devices))
    assert len((tmp_path / "first/metrics.jsonl").read_text().splitlines()) == 4
    if devices == 2:
        assert done.returncode == 0, done.stderr[-2000:]
        assert len((tmp_path / "second/metrics.jsonl").read_text().splitlines()) == 4
    else:
        assert done.returncode != 0
        assert "ConfigError: an earlier training of this process had 2 processes" in done.stderr
        assert not (tmp_path / "second").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "environments",
    [
        [{"NODE_RANK": "0"}, {"NODE_RANK": "1", "MASTER_ADDR": "127.0.0.1"}],
        [{**_SRUN, "SLURM_NODEID": node, "SLURM_PROCID": node} for node in "01"],
    ],
)
def test_machines_that_another_launcher_than_torchrun_started_train_together(
    environments: list[dict[str, str]], tmp_path: Path, no_launcher: pytest.MonkeyPatch
) -> None:
    """By hand, and as srun does: one process of each of two machines, of which the first writes."""
    stills = still_store(tmp_path / "stills.arrow", list(range(8)) * 2)
    steps = ["--train.steps", "4", "--train.warmup_steps", "1", "--train.accelerator", "cpu", "--train.nodes", "2"]
    words = [sys.executable, *_ABAW, *steps, "--labelled", str(stills), "--out", str(tmp_path / "run")]
    no_launcher.setenv("MASTER_PORT", str(find_free_network_port()))
    machines = [subprocess.Popen(words, cwd=_ROOT, env={**os.environ, **own}) for own in environments]
    try:
        assert [machine.wait(300) for machine in machines] == [0, 0]
    finally:
        for machine in machines:
            machine.kill()
    assert (tmp_path / "run/last/spec.json").exists()
