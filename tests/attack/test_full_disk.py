"""Training on a disk that becomes full, or has no inodes left: one line, and the previous checkpoint stays usable."""

from __future__ import annotations

import errno
import io
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from abaw.core.artifacts import StorageError
from abaw.core.data_parallel import WHOLE, Part
from abaw.core.run_folder import RunFolder
from abaw.stores.checkpoints import load_checkpoint, load_state, save_checkpoint, save_state
from abaw.training.launch import launch
from abaw.training.loggers.tensorboard import EventLog
from abaw.training.loop import train
from abaw.training.settings import TrainSettings
from tests.stores.test_checkpoints import spec
from tests.training.toy import ToyMethod, toy_batch, toy_scores

PLAN = TrainSettings(
    steps=40, lr=0.03, warmup_steps=1, accelerator="cpu", log_every=1, evaluate_every=2, checkpoint_every=2
)


@contextmanager
def _small_disk(folder: Path, options: str) -> Iterator[Path]:
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _save(folder: Path, model: nn.Module, facts: Any) -> None:
    save_checkpoint(folder, spec(training=dict(facts)), model.state_dict())


def _train(folder: Path) -> None:
    run = RunFolder(folder, {})
    try:
        train(launch(PLAN), ToyMethod(), toy_batch, run, PLAN, evaluate=toy_scores, save=_save, select_by="accuracy")
    finally:
        run.close()


def _fill(disk: Path, free_bytes: int) -> None:
    with (disk / "other").open("wb") as file:
        while True:
            left = _free(disk) - free_bytes
            if left <= 0:
                return
            file.write(b"x" * min(left, 1 << 16))
            file.flush()


def _free(disk: Path) -> int:
    state = os.statvfs(disk)
    return state.f_bavail * state.f_frsize


@pytest.mark.slow
@pytest.mark.parametrize("free_kb", [0, 4, 8, 12, 16, 20, 28, 36, 44, 60, 80, 100])
def test_a_full_disk_ends_training_in_one_line(
    tmp_path: Path, free_kb: int, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with _small_disk(tmp_path / "disk", "size=1m") as disk:
        run = disk / "run"
        _until(run, 4, monkeypatch)
        before = {name: load_checkpoint(run / name).spec.training["step"] for name in ("last", "best")}
        _fill(disk, 1024 * free_kb)
        try:
            _train(run)
        except StorageError as error:
            assert "the disk is full; free some space" in str(error) and "\n" not in str(error)
        assert "Traceback" not in capfd.readouterr().err
        for name in ("last", "best"):
            assert load_checkpoint(run / name).spec.training["step"] >= before[name]
        assert load_state(run / "last" / "state.pt") is not None
        (disk / "other").unlink()
        _train(run)
        assert load_checkpoint(run / "last").spec.training["step"] == 40


def _until(run: Path, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train, and stop after so many steps."""

    class StopError(Exception):
        pass

    def batches(step: int, part: Part = WHOLE) -> Any:
        if step >= steps:
            raise StopError
        return toy_batch(step, part)

    folder = RunFolder(run, {})
    arguments: dict[str, Any] = {"evaluate": toy_scores, "save": _save, "select_by": "accuracy"}
    with pytest.raises(StopError):
        train(launch(PLAN), ToyMethod(), batches, folder, PLAN, **arguments)
    folder.close()


@pytest.mark.slow
def test_a_disk_without_inodes_ends_training_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with _small_disk(tmp_path / "disk", "size=4m,nr_inodes=40") as disk:
        run = disk / "run"
        _until(run, 4, monkeypatch)
        for number in range(100):
            try:
                (disk / f"other{number}").touch()
            except OSError:
                break
        with pytest.raises(StorageError, match="the disk is full"):
            _train(run)
        assert "Traceback" not in capfd.readouterr().err
        assert load_checkpoint(run / "last").spec.training["step"] == 4


class _Full(io.BytesIO):
    """A file on a disk with room for so many bytes."""

    room = 100

    def write(self, data: Any) -> int:
        if self.tell() + len(memoryview(data)) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize("room", [0, 1, 200, 1000, 5000])
def test_torch_reports_a_full_disk_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    path = tmp_path / "state.pt"
    save_state(path, {"x": 1})
    before = path.read_bytes()
    real = Path.open
    monkeypatch.setattr(_Full, "room", room)
    monkeypatch.setattr(Path, "open", lambda self, mode="r", **kw: _Full() if mode == "wb" else real(self, mode, **kw))
    with pytest.raises(StorageError, match=r"state\.pt: cannot write: the disk is full"):
        save_state(path, {"x": torch.zeros(4000)})
    monkeypatch.undo()
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["state.pt"]


def test_a_full_disk_leaves_weights_and_spec_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when there is room for the new weights but not for the new spec."""
    save_checkpoint(tmp_path, spec(), {"a": torch.zeros(2)})
    real = Path.write_bytes

    def write_bytes(self: Path, data: bytes) -> int:
        if data[:1] == b"{":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    with pytest.raises(StorageError, match="the disk is full"):
        save_checkpoint(tmp_path, spec(), {"a": torch.ones(2)})
    assert load_checkpoint(tmp_path).weights["a"].tolist() == [0, 0]


def test_tensorboard_reports_a_full_disk_as_such(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = EventLog(tmp_path, 1)
    log.scalars(1, {"loss": 0.5})

    class Full:
        def write(self, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    log._records = Full()
    with pytest.raises(StorageError, match=r"events\.out.*: cannot write: the disk is full"):
        log.scalars(2, {"loss": 0.25})
    log.close()
    assert capfd.readouterr().err == ""


def test_tensorboard_reads_the_events(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for first_step, values in ((1, [0.5, 0.25, 0.125]), (3, [0.0625])):
        log = EventLog(tmp_path, first_step)
        for step, value in enumerate(values, first_step):
            log.scalars(step, {"loss": value, "eval/score": 1.0})
        log.close()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [(each.step, each.value) for each in events.Scalars("loss")] == [(1, 0.5), (2, 0.25), (3, 0.0625)]
    assert len(events.Scalars("eval/score")) == 3
