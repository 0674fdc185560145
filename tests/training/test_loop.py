from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from abaw.core.data_parallel import Part
from abaw.core.errors import ConfigError, DataError
from abaw.core.run_folder import RunFolder
from abaw.training.launch import launch
from abaw.training.loop import TrainResult, train
from abaw.training.settings import TrainSettings
from tests.training.toy import Points, ToyMethod, toy_batch, toy_save, toy_scores

SETTINGS = {"lr": 0.03, "warmup_steps": 5, "accelerator": "cpu", "ema_decay": 0.9, "log_every": 1}


def settings(**changes: Any) -> TrainSettings:
    return TrainSettings(**{**SETTINGS, "steps": 20, "evaluate_every": 6, "checkpoint_every": 4, **changes})


def run_toy(
    folder: Path, plan: TrainSettings, batches: Any = toy_batch, method: ToyMethod | None = None, **options: Any
) -> TrainResult:
    arguments = {"evaluate": toy_scores, "save": toy_save, "select_by": "accuracy", **options}
    return train(launch(plan), method or ToyMethod(), batches, RunFolder(folder, {}), plan, **arguments)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "weights.safetensors")


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_training_learns_and_keeps_last_and_best(tmp_path: Path) -> None:
    plan = settings(steps=200, evaluate_every=50, checkpoint_every=100)
    result = run_toy(tmp_path, plan)
    assert result.last["accuracy"] > 0.75
    assert result.best["accuracy"] >= result.last["accuracy"]
    assert result.best_step in (50, 100, 150, 200)
    assert weights(tmp_path / "best").keys() == weights(tmp_path / "last").keys()


def test_weights_depend_on_the_seed(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run_toy(tmp_path / name, settings(seed=seed))
    assert same(weights(tmp_path / "a/last"), weights(tmp_path / "b/last"))
    assert not same(weights(tmp_path / "a/last"), weights(tmp_path / "c/last"))


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
@pytest.mark.parametrize("stop", range(0, 20, 3))
def test_a_run_stopped_at_any_step_continues_as_if_uninterrupted(tmp_path: Path, stop: int, ema_decay: float) -> None:
    plan = settings(ema_decay=ema_decay)
    whole = run_toy(tmp_path / "whole", plan)

    def stopping(step: int, part: Part) -> Points:
        if step == stop:
            raise KeyboardInterrupt
        return toy_batch(step, part)

    with pytest.raises(KeyboardInterrupt):
        run_toy(tmp_path / "broken", plan, stopping)
    torch.manual_seed(stop)
    resumed = run_toy(tmp_path / "broken", plan)
    assert resumed == whole
    for name in ("last", "best"):
        assert same(weights(tmp_path / "whole" / name), weights(tmp_path / "broken" / name))
    assert RunFolder(tmp_path / "broken", {}).metrics() == RunFolder(tmp_path / "whole", {}).metrics()


def test_state_besides_the_weights_survives_a_resume(tmp_path: Path) -> None:
    run_toy(tmp_path, settings())
    method = ToyMethod()
    run_toy(tmp_path, settings(), method=method)
    assert method.get_buffer("seen") == 20 * 16


def test_a_finished_run_returns_its_result_without_a_batch(tmp_path: Path) -> None:
    def none(step: int, part: Part) -> Points:
        raise AssertionError("no batch is needed")

    first = run_toy(tmp_path, settings())
    again = run_toy(tmp_path, settings(), none)
    assert again == first
    assert (again.step_seconds, again.evaluation_seconds) == (first.step_seconds, first.evaluation_seconds)


def test_seconds_of_steps_and_evaluations_exclude_interruptions(tmp_path: Path) -> None:
    def slow_batch(step: int, part: Part) -> Points:
        time.sleep(0.01)
        return toy_batch(step, part)

    def slow_scores(model: torch.nn.Module) -> Any:
        time.sleep(0.05)
        return toy_scores(model)

    plan = settings(checkpoint_every=10)
    result = run_toy(tmp_path / "whole", plan, slow_batch, evaluate=slow_scores)
    assert result.step_seconds > 20 * 0.01 and result.evaluation_seconds > 4 * 0.05

    def stopping(step: int, part: Part) -> Points:
        if step == 15:
            raise KeyboardInterrupt
        return slow_batch(step, part)

    with pytest.raises(KeyboardInterrupt):
        run_toy(tmp_path / "broken", plan, stopping)
    resumed = run_toy(tmp_path / "broken", plan)
    assert resumed.step_seconds > 10 * 0.01, "of the steps before the checkpoint"


@pytest.mark.parametrize("ahead", [1, 3])
def test_batches_prepared_ahead_change_nothing(tmp_path: Path, ahead: int) -> None:
    run_toy(tmp_path / "inline", settings())
    run_toy(tmp_path / "ahead", settings(prefetch=ahead))
    assert same(weights(tmp_path / "inline/last"), weights(tmp_path / "ahead/last"))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_an_error_with_step_and_samples(tmp_path: Path, bad: float) -> None:
    def poisoned(step: int, part: Part) -> Points:
        batch = toy_batch(step, part)
        return batch._replace(points=batch.points * bad) if step == 7 else batch

    with pytest.raises(DataError, match=r"step 7: .*not finite.*point 7/0, point 7/1"):
        run_toy(tmp_path, settings(), poisoned)
    assert all(tensor.isfinite().all() for tensor in weights(tmp_path / "last").values())


def test_mixed_precision_also_learns(tmp_path: Path) -> None:
    plan = settings(steps=200, evaluate_every=100, checkpoint_every=100, precision="bf16-mixed")
    assert run_toy(tmp_path, plan).last["accuracy"] > 0.75
    assert all(tensor.dtype != torch.bfloat16 for tensor in weights(tmp_path / "last").values())


def test_the_callers_random_state_is_unchanged(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    run_toy(tmp_path, settings())
    assert torch.equal(torch.rand(1), expected)


def test_metrics_and_tensorboard_events_are_written(tmp_path: Path) -> None:
    run_toy(tmp_path, settings())
    lines = RunFolder(tmp_path, {}).metrics()
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 21))
    assert {"loss", "loss/toy", "gradient_norm", "lr"} < set(lines[0])
    assert [line["step"] for line in lines if "eval/accuracy" in line] == [6, 12, 18, 20]
    assert list((tmp_path / "tensorboard").glob("events.*"))


def test_an_unknown_score_to_select_by_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no score 'f1'.*accuracy"):
        run_toy(tmp_path, settings(), select_by="f1")


def test_progress_counts_steps(tmp_path: Path) -> None:
    calls: list[tuple[int, int | None]] = []
    run_toy(tmp_path, settings(steps=6), progress=lambda done, total: calls.append((done, total)))
    assert calls == [(done, 6) for done in range(7)]


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_an_unavailable_accelerator_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot train with accelerator cuda"):
        launch(settings(accelerator="cuda"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps is 0; expected at least 1"),
        ({"lr": 0.0}, "lr is 0.0; expected more than 0"),
        ({"lr": float("nan")}, "lr is nan"),
        ({"ema_decay": 1.0}, "ema_decay is 1.0"),
        ({"warmup_steps": 20}, "warmup_steps 20 >= steps 20"),
        ({"prefetch": -1}, "prefetch is -1"),
    ],
)
def test_invalid_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings(**changes)
