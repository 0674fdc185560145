"""The settings of the engine: what is refused, and that every command that processes items has them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import pytest

from abaw.core.errors import ConfigError
from abaw.engine.local import LocalEngine
from abaw.engine.ray import RayEngine
from abaw.engine.serial import SERIAL
from pipelines.cli import parse_config
from pipelines.engine_settings import EngineSettings, engine_for, require_engine, training_engine


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"workers": 0}, "--workers 0: expected at least 1"),
        ({"workers": -1}, "--workers -1: expected at least 1"),
        ({"engine": "spark"}, "--engine spark: expected local, ray or ray:ADDRESS"),
        ({"engine": "ray:"}, "--engine ray:: expected local, ray or ray:ADDRESS"),
        ({"engine": "rayon:1"}, "--engine rayon:1: expected local, ray or ray:ADDRESS"),
        ({"engine": "ray:ray://head:10001"}, "run the command on one of its nodes"),
        ({"engine": "ray", "cpus_per_item": 0}, "--cpus_per_item 0: expected more than 0"),
        ({"engine": "ray", "cpus_per_item": 1.5}, "--cpus_per_item 1.5: expected a whole number, or a fraction below"),
        ({"engine": "ray", "gpus_per_item": -1}, "--gpus_per_item -1: expected"),
        ({"cpus_per_item": 2}, "--cpus_per_item and --gpus_per_item are for --engine ray; use --workers"),
        ({"gpus_per_item": 0.5}, "--cpus_per_item and --gpus_per_item are for --engine ray; use --workers"),
    ],
)
def test_what_is_refused(values: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        require_engine(EngineSettings(**values))
    assert message in str(caught.value)


def test_a_worker_on_a_cluster_computes_on_a_gpu_that_is_reserved_for_it() -> None:
    with pytest.raises(ConfigError, match="--gpus_per_item"):
        require_engine(EngineSettings(engine="ray"), "cuda")


def test_without_the_package_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"Ray is not installed; `pip install 'abaw\[ray\]'`"):
        require_engine(EngineSettings(engine="ray"))


def test_which_engine() -> None:
    assert engine_for(EngineSettings(), 5) is engine_for(EngineSettings(workers=3), 1) is SERIAL
    assert engine_for(EngineSettings(workers=3), 2) == LocalEngine([None, None], engine_for_threads(2))
    assert training_engine(EngineSettings(workers=2), "cpu") == LocalEngine([None, None], threads=1)
    cluster = EngineSettings(engine="ray:head:6379", workers=5, cpus_per_item=4, gpus_per_item=0.5)
    assert engine_for(cluster, 1) == RayEngine("head:6379", 5, 4, 0.5, threads=4)
    assert training_engine(cluster, "auto") == RayEngine("head:6379", 5, 4, 0.5, threads=1)
    assert engine_for(EngineSettings(engine="ray", cpus_per_item=0.5), 9) == RayEngine(None, None, 0.5, 0, threads=1)


def test_by_default_a_worker_has_a_core_and_no_worker_is_without_an_item(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("abaw.engine.resources.default_workers", lambda: 4)
    monkeypatch.setattr("abaw.engine.resources.usable_cores", lambda: 4)
    assert engine_for(EngineSettings(), 0) is engine_for(EngineSettings(), 1) is SERIAL
    assert engine_for(EngineSettings(), 3) == LocalEngine([None] * 3, threads=1)
    assert engine_for(EngineSettings(), 9) == LocalEngine([None] * 4, threads=1)
    assert engine_for(EngineSettings(), 2) == LocalEngine([None] * 2, threads=2)
    assert engine_for(EngineSettings(workers=1), 9) is SERIAL
    assert training_engine(EngineSettings(), "cpu") == LocalEngine([None] * 4, threads=1)


def test_by_default_a_gpu_has_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("abaw.engine.resources._gpus", lambda: ["0", "1"])
    assert engine_for(EngineSettings(), 5, "auto") == LocalEngine(["0", "1"], engine_for_threads(2))
    assert engine_for(EngineSettings(workers=3), 5, "cuda") == LocalEngine(["0", "1", "0"], engine_for_threads(3))
    assert engine_for(EngineSettings(), 5, "cpu") is SERIAL
    monkeypatch.setattr("abaw.engine.resources._gpus", lambda: ["0"])
    assert engine_for(EngineSettings(), 5, "auto") is SERIAL


def engine_for_threads(workers: int) -> int:
    engine = engine_for(EngineSettings(workers=workers), workers)
    assert isinstance(engine, LocalEngine)
    return engine.threads


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("extract", "v.mp4 --out o"),
        ("import-images", "--dataset unlabelled --root . --out o"),
        ("import-crops", ". --out o"),
        ("features", "--faces . --checkpoint builtin --out o"),
        ("predict", "--features . --checkpoint builtin --out o"),
        ("predict-video", "v.mp4"),
        ("fuse", "a b --out o"),
        ("audio-features", "v.mp4 --faces f --out o"),
        ("import-features", "x.npy --faces f --name n --out o"),
        ("export-features", "f --format npz --out o"),
        ("ablate", "--features . --annotations . --out o"),
        ("cross-validate", "--features . --annotations . --out o"),
        ("bench", "ssl --labelled . --scored . --out o"),
    ],
)
def test_every_command_that_processes_items_has_them(command: str, words: str) -> None:
    config = parse_config(command, [*words.split(), "--engine", "ray:auto", "--workers", "3", "--gpus_per_item", "0.5"])
    assert isinstance(config, EngineSettings)
    assert (config.engine, config.workers, config.cpus_per_item, config.gpus_per_item) == ("ray:auto", 3, 1.0, 0.5)
