"""The engines: nothing is lost when an item fails or its worker dies, and no worker outlives the command."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from abaw.core.errors import AbawError, UnexpectedError
from abaw.engine.engine import Engine, ItemResult, in_order
from abaw.engine.local import LocalEngine
from abaw.engine.resources import default_workers, environment, worker_places
from abaw.engine.serial import SERIAL
from tests.engine.functions import BROKEN, Broken, Do, wait
from tests.engine.torch_function import Threads

ROOT = Path(__file__).resolve().parents[2]
ENGINES = {"serial": SERIAL, "1 worker": LocalEngine([None], threads=1), "more": LocalEngine([None] * 4, threads=1)}
every_engine = pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)


def _outcomes(engine: Engine, items: list[str], folder: Path) -> dict[str, Any]:
    results = list(engine.map(Do(folder), items))
    assert [items[result.index] for result in results] == [result.item for result in results]
    assert all(result.seconds >= 0 for result in results)
    return {result.item: result.outcome for result in results}


@every_engine
def test_every_item_is_processed_and_set_up_is_called_once_per_worker(engine: Engine, tmp_path: Path) -> None:
    assert _outcomes(engine, ["a", "b", "c"], tmp_path) == {"a": "a done", "b": "b done", "c": "c done"}
    processes = [path.name.partition("-")[0] for path in tmp_path.iterdir()]
    assert len(set(processes)) == len(processes) <= 3
    assert (str(os.getpid()) in processes) == (engine is SERIAL)


@every_engine
def test_without_an_item_there_is_nothing_to_do(engine: Engine, tmp_path: Path) -> None:
    assert _outcomes(engine, [], tmp_path) == {} and not list(tmp_path.iterdir())


@every_engine
def test_what_fails_does_not_stop_the_others(engine: Engine, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    outcomes = _outcomes(engine, ["a", "bad", "bug", "exit", "b"], tmp_path)
    assert [outcomes[item] for item in "ab"] == ["a done", "b done"]
    assert str(outcomes["bad"]) == "the data are bad" and not isinstance(outcomes["bad"], UnexpectedError)
    assert str(outcomes["bug"]) == "ZeroDivisionError: division by zero", "one line"
    assert "functions.py" in outcomes["bug"].traceback
    assert str(outcomes["exit"]) == "SystemExit: a library gives up"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_worker_loses_its_own_item_alone(workers: int, tmp_path: Path) -> None:
    engine = LocalEngine([None] * workers, threads=1)
    outcomes = _outcomes(engine, ["a", "die", "b", "die ", "unpicklable", "c"], tmp_path)
    assert [outcomes[item] for item in "abc"] == ["a done", "b done", "c done"]
    assert "its worker process died (killed, out of memory?)" in str(outcomes["die"]) == str(outcomes["die "])
    assert isinstance(outcomes["unpicklable"], UnexpectedError)


@every_engine
@pytest.mark.parametrize(("function", "message"), [*zip(BROKEN, ["no such model", "Zero"], strict=True)])
def test_a_set_up_that_fails_ends_everything(engine: Engine, function: Broken, message: str) -> None:
    with pytest.raises(AbawError, match=message):
        list(engine.map(function, ["a", "b"]))


def test_an_interrupt_is_not_the_failure_of_an_item() -> None:
    class Interrupted:
        def set_up(self, threads: int | None) -> Callable[..., None]:
            def apply(item: str, progress: object) -> None:
                raise KeyboardInterrupt

            return apply

    with pytest.raises(KeyboardInterrupt):
        list(SERIAL.map(Interrupted(), ["a"]))


def test_a_worker_has_its_number_of_threads_and_sees_its_gpu_alone() -> None:
    """Though unpickling the function loads torch, and though this process was set otherwise."""
    before = dict(os.environ)
    with environment({"OMP_NUM_THREADS": "7", "MKL_NUM_THREADS": "7"}):
        for threads in (1, 3):
            names = ["OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"]
            found = [result.outcome for result in LocalEngine(["5"], threads).map(Threads(), names)]
            assert found == [(threads, threads, str(threads)), (threads, threads, "5")]
        assert os.environ["OMP_NUM_THREADS"] == "7"
    assert dict(os.environ) == before


@every_engine
def test_progress_is_reported_per_item(engine: Engine, tmp_path: Path) -> None:
    seen: list[tuple[int, int, int | None]] = []
    for _ in engine.map(Do(tmp_path), ["a", "b"], lambda index, done, total: seen.append((index, done, total))):
        pass
    assert sorted(seen) == [(0, 3, 3), (1, 3, 3)]


def test_results_can_be_put_in_the_order_of_their_items() -> None:
    results = [ItemResult(index, str(index), None, 0.0) for index in (2, 0, 1, 4, 3)]
    assert [result.index for result in in_order(results)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("cores", "gigabytes", "count"), [(1, 64, 1), (6, 64, 6), (6, 4.5, 4), (6, 0.3, 1), (6, None, 6)]
)
def test_by_default_a_worker_has_a_core_and_a_gigabyte(
    monkeypatch: pytest.MonkeyPatch, cores: int, gigabytes: float | None, count: int
) -> None:
    monkeypatch.setattr("abaw.engine.resources.usable_cores", lambda: cores)
    memory = None if gigabytes is None else int(gigabytes * 2**30)
    monkeypatch.setattr("abaw.engine.resources.usable_memory", lambda: memory)
    monkeypatch.setattr("abaw.engine.resources.default_workers", default_workers)
    assert worker_places(None, "cpu") == [None] * count
    assert worker_places(3, "cpu") == [None] * 3


def test_a_process_that_may_start_no_others_has_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("abaw.engine.resources.usable_cores", lambda: 6)
    monkeypatch.setattr("abaw.engine.resources.default_workers", default_workers)  # pickled by its name
    assert default_workers() > 1
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(default_workers) == 1


def test_without_a_driver_nothing_is_loaded_to_look_for_gpus() -> None:
    code = (
        "import sys; import abaw.engine.resources as r; r.has_gpu_driver = lambda: False; "
        "print(r.worker_places(2, 'auto'), 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[None, None] False\n"


def test_workers_do_not_run_the_script_that_starts_them(tmp_path: Path) -> None:
    script = tmp_path / "no_guard.py"
    script.write_text(
        "from pathlib import Path\n"
        "from abaw.engine.local import LocalEngine\n"
        "from tests.engine.functions import Slow\n"
        "print('begun', flush=True)\n"
        "for result in LocalEngine([None, None], 1).map(Slow(), ['a', 'b']):\n"
        "    print(result.outcome, Path(__file__).name, flush=True)\n"
    )
    ended = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert sorted(ended.stdout.splitlines()) == ["a done no_guard.py", "b done no_guard.py", "begun"], ended.stderr


def test_gpus_are_dealt_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("abaw.engine.resources.has_gpu_driver", lambda: True)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert worker_places(None, "auto") == ["0", "1"]
    assert worker_places(3, "cuda") == ["0", "1", "0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    assert worker_places(None, "auto") == ["4", "7"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("group", [False, True], ids=["the command alone", "the group, as from a terminal"])
def test_no_worker_outlives_the_command(tmp_path: Path, number: signal.Signals, group: bool) -> None:
    command = [sys.executable, "-m", "tests.engine.functions", str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    wait(lambda: len(list(tmp_path.iterdir())) == 2)
    sent = time.monotonic()
    (os.killpg if group else os.kill)(process.pid, number)
    _, errors = process.communicate(timeout=120)
    wait(lambda: not any(Path("/proc", path.name).exists() for path in tmp_path.iterdir()))
    assert time.monotonic() - sent < 5
    assert process.returncode != 0 and errors.count(b"Traceback") == (number == signal.SIGINT), "its own alone"
