"""The engine of Ray on a real cluster: the same results as locally, whatever dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from abaw.core.errors import AbawError, ConfigError, UnexpectedError
from abaw.engine.ray import RayEngine
from abaw.engine.shared_value import Shared
from tests.engine.functions import BROKEN, Broken, Do, KillOnce, Sleep, Slow, Total, wait
from tests.engine.torch_function import Threads
from tests.ray_cluster import RayCluster

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def engine(ray_cluster: RayCluster) -> RayEngine:
    return RayEngine(ray_cluster.address, workers=None, cpus=1, gpus=0, threads=1)


def test_every_item_has_its_result_and_a_killed_worker_loses_nothing_else(engine: RayEngine, tmp_path: Path) -> None:
    """As with the local engine; an item that kills its worker is tried three times."""
    items = ["a", "bad", "bug", "exit", "b", "unpicklable", "die", "c"]
    seen: set[tuple[int, int, int | None]] = set()
    results = list(engine.map(Do(tmp_path), items, lambda index, done, total: seen.add((index, done, total))))
    assert [items[result.index] for result in results] == [result.item for result in results]
    assert all(result.seconds >= 0 for result in results)
    outcomes: dict[str, Any] = {result.item: result.outcome for result in results}
    assert [outcomes[item] for item in "abc"] == ["a done", "b done", "c done"]
    assert str(outcomes["bad"]) == "the data are bad" and not isinstance(outcomes["bad"], UnexpectedError)
    assert str(outcomes["bug"]) == "ZeroDivisionError: division by zero" and "functions.py" in outcomes["bug"].traceback
    assert str(outcomes["exit"]) == "SystemExit: a library gives up"
    assert isinstance(outcomes["unpicklable"], UnexpectedError)
    assert str(outcomes["die"]).startswith("its worker process or node died 3 times (out of memory?)")
    assert seen == {(index, 3, 3) for index, item in enumerate(items) if item != "die"}
    set_ups = {path.name for path in tmp_path.iterdir()}
    assert 4 <= len(set_ups) <= 5, "two workers, and one for each that was killed while items were left"


def test_without_an_item_there_is_nothing_to_do(engine: RayEngine, tmp_path: Path) -> None:
    assert list(engine.map(Do(tmp_path), [])) == [] and not list(tmp_path.iterdir())


@pytest.mark.parametrize(("function", "message"), [*zip(BROKEN, ["no such model", "Zero"], strict=True)])
def test_a_set_up_that_fails_ends_everything(engine: RayEngine, function: Broken, message: str) -> None:
    with pytest.raises(AbawError, match=message):
        list(engine.map(function, ["a", "b"]))


def test_an_item_whose_worker_is_killed_runs_again(engine: RayEngine, tmp_path: Path) -> None:
    results = {each.item: each.outcome for each in engine.map(KillOnce(tmp_path), ["a", "b", "c"])}
    assert results == {"a": "a at last", "b": "b at last", "c": "c at last"}


def test_a_worker_has_its_number_of_threads_and_no_gpu(engine: RayEngine) -> None:
    """Though unpickling the function loads torch."""
    three = RayEngine(engine.address, workers=1, cpus=1, gpus=0, threads=3)
    found = [result.outcome for result in three.map(Threads(), ["OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"])]
    assert found == [(3, 3, "3"), (3, 3, "")]


def test_shared_arrays_are_the_same_in_every_worker_and_written_by_none(engine: RayEngine, tmp_path: Path) -> None:
    values = {"odd": np.arange(1, 100, 2), "column": np.arange(7)[::-1]}
    shared = Shared(values, tmp_path)
    names = ["odd", "column", "odd"]
    results = {each.index: each.outcome for each in engine.map(Total(shared), names)}
    assert results == {index: int(values[name].sum()) for index, name in enumerate(names)}
    assert len(list(tmp_path.iterdir())) == 1
    del shared
    assert not list(tmp_path.iterdir()), "the copy that workers opened is gone with the value"


def test_what_no_node_has_is_refused(engine: RayEngine, tmp_path: Path) -> None:
    for large in (RayEngine(engine.address, None, 64, 0, 1), RayEngine(engine.address, None, 1, 1, 1)):
        with pytest.raises(ConfigError, match=r"no node of the cluster has .* lower --cpus_per_item"):
            list(large.map(Do(tmp_path), ["a"]))


def test_an_interrupt_stops_all_work(engine: RayEngine, tmp_path: Path) -> None:
    def interrupt() -> None:
        wait(lambda: len(list(tmp_path.iterdir())) == 2)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        list(engine.map(Sleep(), [str(tmp_path)] * 3))
    wait(lambda: not any(Path("/proc", path.name).exists() for path in tmp_path.iterdir()))


def test_a_killed_node_costs_only_time(engine: RayEngine, ray_cluster: RayCluster, tmp_path: Path) -> None:
    items = [str(number) for number in range(8)]
    results = engine.map(Slow(), items)
    outcomes = [next(results)]
    ray_cluster.kill_node()
    outcomes += results
    ray_cluster.complete()
    assert sorted((each.item, each.outcome) for each in outcomes) == [(item, f"{item} done") for item in items]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_no_worker_of_a_cluster_of_its_own_outlives_the_command(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "tests.engine.functions", str(tmp_path), "ray"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True, env=environment)
    wait(lambda: len(list(tmp_path.iterdir())) == 2)
    sent = time.monotonic()
    os.killpg(process.pid, number) if number == signal.SIGINT else process.kill()
    _, errors = process.communicate(timeout=120)
    wait(lambda: not any(Path("/proc", path.name).exists() for path in tmp_path.iterdir()))
    assert time.monotonic() - sent < 20
    assert process.returncode != 0 and errors.count(b"Traceback") == (number == signal.SIGINT), "its own alone"
