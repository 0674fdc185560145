"""One owner per run folder, whoever dies and wherever."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from abaw.core import run_lock
from abaw.core.run_folder import RunFolder
from abaw.core.run_lock import LOCK, RunLock, RunLockedError

HOLD = """
import sys, time
from pathlib import Path
from abaw.core.run_folder import RunFolder
run = RunFolder(Path(sys.argv[1]), {"lr": 0.1})
print("held", flush=True)
time.sleep(60)
"""


def start_owner(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_a_second_process_learns_which_one_holds_the_run(tmp_path: Path) -> None:
    owner = start_owner(tmp_path / "run")
    try:
        with pytest.raises(RunLockedError, match=rf"process {owner.pid} on {socket.gethostname()} is writing this run"):
            RunFolder(tmp_path / "run", {"lr": 0.1})
    finally:
        owner.kill()
        owner.wait()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_dead_owner_holds_nothing(tmp_path: Path, number: signal.Signals) -> None:
    owner = start_owner(tmp_path / "run")
    owner.send_signal(number)
    owner.wait()
    run = RunFolder(tmp_path / "run", {"lr": 0.1})
    run.log(1, {"loss": 1.0})
    run.close()
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["config.json", "metrics.jsonl"]


def test_another_process_of_the_same_number_is_another_owner(tmp_path: Path) -> None:
    """Process numbers are used again: one that began at another time is not the owner."""
    mine = {"host": socket.gethostname(), "pid": os.getppid(), "started": "1", "token": "x"}
    (tmp_path / LOCK).write_text(json.dumps(mine))
    RunLock(tmp_path).release()
    assert list(tmp_path.iterdir()) == []


def _held_elsewhere(folder: Path, age_s: float) -> Path:
    lock = folder / LOCK
    lock.write_text(json.dumps({"host": "elsewhere", "pid": 1, "since": "today", "token": "x"}))
    then = time.time() - age_s
    os.utime(lock, (then, then))
    return lock


def test_an_owner_on_another_machine_lives_while_it_renews_its_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_lock, "_WATCH_S", 0.02)
    renewal = threading.Timer(0.2, os.utime, [_held_elsewhere(tmp_path, 5)])
    renewal.start()
    with pytest.raises(RunLockedError, match="process 1 on elsewhere is writing this run \\(since today\\)"):
        RunLock(tmp_path)
    renewal.join()


@pytest.mark.parametrize("age_s", [89.7, 600])
def test_an_owner_on_another_machine_is_dead_when_it_no_longer_renews_its_lock(
    tmp_path: Path, age_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_lock, "_WATCH_S", 0.02)
    lock = _held_elsewhere(tmp_path, age_s)
    RunLock(tmp_path).release()
    assert not lock.exists() and list(tmp_path.iterdir()) == []


def test_a_lock_that_is_released_while_it_is_watched_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_lock, "_WATCH_S", 0.02)
    threading.Timer(0.2, _held_elsewhere(tmp_path, 5).unlink).start()
    RunLock(tmp_path).release()
    assert list(tmp_path.iterdir()) == []


def test_the_lock_is_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_lock, "_BEAT_S", 0.05)
    lock = RunLock(tmp_path)
    os.utime(tmp_path / LOCK, (0, 0))
    deadline = time.monotonic() + 20
    while (tmp_path / LOCK).stat().st_mtime == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert time.time() - (tmp_path / LOCK).stat().st_mtime < 60
    lock.release()


def test_who_lost_the_run_does_not_write_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_lock, "_BEAT_S", 0.05)
    run = RunFolder(tmp_path, {})
    lock = tmp_path / LOCK
    lock.write_text(json.dumps({"host": "elsewhere", "token": "another"}))
    deadline = time.monotonic() + 20
    with pytest.raises(RunLockedError, match="took this run over"):
        while time.monotonic() < deadline:
            run.log(1, {"loss": 1.0})
            time.sleep(0.01)
    run.close()
    assert lock.exists(), "the new owner keeps its lock"


def test_of_many_that_take_over_at_once_one_wins(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text(json.dumps({"host": socket.gethostname(), "pid": 2**22 + 1, "token": "dead"}))
    code = """
import sys, time
from pathlib import Path
from abaw.core.run_lock import RunLock, RunLockedError
sys.stdin.readline()
try:
    RunLock(Path(sys.argv[1]))
    print("mine", flush=True)
except RunLockedError:
    print("refused", flush=True)
sys.stdin.readline()
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    answers = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        assert process.stdout is not None
        answers.append(process.stdout.readline().strip())
    for process in processes:
        process.communicate("end\n")
    assert sorted(answers) == ["mine", *["refused"] * 5]


def test_further_processes_of_one_training_share_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = start_owner(tmp_path / "run")
    try:
        monkeypatch.setenv("LOCAL_RANK", "1")
        RunFolder(tmp_path / "run", {"lr": 0.1}).log(1, {"loss": 1.0})
    finally:
        owner.kill()
        owner.wait()
