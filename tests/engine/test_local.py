"""The pool: nothing is lost when a job fails or its worker dies, and no worker outlives the command."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from abaw.core.errors import AbawError
from abaw.engine.local import side_by_side, worker_places
from abaw.engine.shared_value import Shared
from tests.engine.pool_work import Total, do


def _outcomes(jobs: list[str], places: list[str | None]) -> dict[str, Any]:
    found = {finished.job: finished.outcome for finished in side_by_side(jobs, do, places)}
    return {job: str(value) if isinstance(value, AbawError) else value for job, value in found.items()}


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_job_is_done_whatever_the_number_of_workers(workers: int) -> None:
    assert _outcomes(["a", "b", "c"], [None] * workers) == {"a": "a done", "b": "b done", "c": "c done"}


def test_without_a_job_there_is_nothing_to_do() -> None:
    assert _outcomes([], [None]) == {}


@pytest.mark.parametrize("workers", [1, 2])
def test_what_fails_does_not_stop_the_others(workers: int, capfd: pytest.CaptureFixture[str]) -> None:
    outcomes = _outcomes(["a", "bad", "bug", "die", "b", "die ", "c"], [None] * workers)
    assert [outcomes[job] for job in "abc"] == ["a done", "b done", "c done"]
    assert outcomes["bad"] == "the data are bad"
    assert outcomes["bug"] == "ZeroDivisionError: division by zero"
    assert "its worker process died (killed, out of memory?)" in outcomes["die"] == outcomes["die "]
    assert "pool_work.py" in capfd.readouterr().err, "a bug is told with its traceback"


def test_a_worker_has_one_thread_and_sees_its_gpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    jobs = ["environment OMP_NUM_THREADS", "environment CUDA_VISIBLE_DEVICES", "threads"]
    assert list(_outcomes(jobs, ["5"]).values()) == ["1", "5", 1]


def test_progress_is_the_sum_over_the_jobs() -> None:
    seen: list[int] = []
    for _ in side_by_side(["a", "b", "c"], do, [None, None], lambda done, total: seen.append(done)):
        pass
    assert seen == [3, 6, 9]


@pytest.mark.parametrize(("number", "count"), [(1, 1), (3, 3), (None, os.cpu_count())])
def test_without_a_gpu_a_worker_has_a_core(number: int | None, count: int) -> None:
    assert worker_places(number, "cpu") == [None] * count


def test_gpus_are_dealt_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert worker_places(None, "auto") == ["0", "1"]
    assert worker_places(3, "cuda") == ["0", "1", "0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    assert worker_places(None, "auto") == ["4", "7"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_worker_outlives_the_command(tmp_path: Path, number: signal.Signals) -> None:
    """SIGINT goes to the whole group, as from a terminal; the others to the command alone."""
    command = [sys.executable, "-m", "tests.engine.pool_work", str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    _wait(lambda: len(list(tmp_path.iterdir())) == 2)
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode != 0 and errors.count(b"Traceback") == (number == signal.SIGINT)
    _wait(lambda: not any(Path("/proc", path.name).exists() for path in tmp_path.iterdir()))


def _wait(ready: Any) -> None:
    deadline = time.monotonic() + 30
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_shared_arrays_are_the_same_in_every_worker_and_written_by_none(tmp_path: Path) -> None:
    values = {"odd": np.arange(1, 100, 2), "none": np.zeros(0, dtype=np.int64), "column": np.arange(7)[::-1]}
    shared = Shared(values, tmp_path)
    assert not list(tmp_path.iterdir()), "the file has no name, so that none can be left behind"
    for workers in (1, 2):
        jobs = ["odd", "none", "column", "odd", "column"]
        found = [(each.job, each.outcome) for each in side_by_side(jobs, Total(shared), [None] * workers)]
        assert sorted(found) == sorted((name, int(values[name].sum())) for name in jobs)
    assert all(np.array_equal(shared.get()[name], values[name]) for name in values)


def test_arrays_are_not_copied_into_what_a_worker_is_sent(tmp_path: Path) -> None:
    shared = Shared({"features": np.zeros((1000, 100))}, tmp_path)
    assert len(pickle.dumps({key: value for key, value in vars(shared).items() if key != "_file"})) < 1000
