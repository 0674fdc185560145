"""A run folder whose files were damaged, or come from elsewhere: resuming is refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from abaw.core.errors import DataError
from abaw.core.run_folder import METRICS, RunFolder, read_metrics
from abaw.stores.checkpoints import CheckpointError
from abaw.training.launch import launch
from abaw.training.loop import train
from abaw.training.settings import TrainSettings
from tests.training.toy import ToyMethod, toy_batch, toy_save, toy_scores

PLAN = TrainSettings(
    steps=4,
    lr=0.03,
    warmup_steps=1,
    accelerator="cpu",
    ema_decay=0.9,
    log_every=1,
    evaluate_every=2,
    checkpoint_every=2,
)


def _run(folder: Path) -> None:
    run = RunFolder(folder, {"a": 1})
    try:
        train(launch(PLAN), ToyMethod(), toy_batch, run, PLAN, evaluate=toy_scores, save=toy_save, select_by="accuracy")
    finally:
        run.close()


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("run")
    _run(folder)
    found: dict[str, Any] = torch.load(folder / "last" / "state.pt", weights_only=True)
    return found


def _set(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(state: dict[str, Any]) -> None:
        *above, last = path.split("/")
        holder: Any = state
        for key in above:
            holder = holder[int(key) if key.isdigit() else key]
        holder[last] = value

    return change


@pytest.mark.parametrize("value", [None, "x", -1, 5, 2**40, 1.5, [], {}, {"x": 1}, torch.zeros(3), torch.tensor(1j)])
@pytest.mark.parametrize(
    "place",
    ["done", "method", "ema", "optimizer", "scores", "scored_at", "best", "best_at", "seconds", "ema/updates"]
    + ["ema/model", "optimizer/state", "optimizer/param_groups", "optimizer/param_groups/0/lr", "seen", ""],
)
def test_any_value_anywhere_in_a_state_is_refused_or_harmless(
    tmp_path: Path, state: dict[str, Any], place: str, value: Any
) -> None:
    changed = torch.load(_saved(tmp_path / "copy.pt", state), weights_only=True)
    if place:
        _set(place, value)(changed)
    (tmp_path / "run" / "last").mkdir(parents=True)
    (tmp_path / "run" / "config.json").write_text('{"config": {"a": 1}}')
    _saved(tmp_path / "run" / "last" / "state.pt", changed if place else value)
    try:
        _run(tmp_path / "run")
    except CheckpointError as error:
        assert "state.pt: not readable" in str(error) and "\n" not in str(error)
        assert "remove it to restart the run from the beginning" in str(error)


def _saved(path: Path, state: Any) -> Path:
    torch.save(state, path)
    return path


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("done", 5, "5 finished steps of 4"),
        ("done", "x", "key 'done': expected a whole number, found 'x'"),
        ("method/model.0.weight", torch.full((8, 4), float("nan")), "the weights '0.weight' are not finite"),
        ("optimizer/param_groups/0/lr", "x", "settings of the optimiser"),
        ("scores/accuracy", "x", "score 'accuracy': expected a number"),
    ],
)
def test_what_is_wrong_with_a_state_is_named(
    tmp_path: Path, state: dict[str, Any], place: str, value: Any, message: str
) -> None:
    changed = torch.load(_saved(tmp_path / "copy.pt", state), weights_only=True)
    _set(place, value)(changed)
    changed["ema"]["model"] = {**changed["ema"]["model"]}
    if "weight" in place:
        changed["ema"]["model"]["0.weight"] = value
    (tmp_path / "run" / "last").mkdir(parents=True)
    (tmp_path / "run" / "config.json").write_text('{"config": {"a": 1}}')
    _saved(tmp_path / "run" / "last" / "state.pt", changed)
    with pytest.raises(CheckpointError, match=message):
        _run(tmp_path / "run")


@pytest.mark.parametrize(
    "content", [b"", b"x", b"[]", b"{}", b'{"config": []}', b"\xff\xfe", b"[" * 100_000, b"1" * 5000]
)
def test_other_files_in_place_of_the_settings_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(DataError, match=r"config\.json: not ") as caught:
        _run(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "line", [b"x", b"[]", b"null", b"{}", b'{"step": "1"}', b'{"step": 1, "a": []}', b"\xff", b"1" * 5000]
)
def test_other_lines_among_the_metrics_are_refused_with_their_place(tmp_path: Path, line: bytes) -> None:
    _run(tmp_path)
    file = tmp_path / "metrics.jsonl"
    file.write_bytes(file.read_bytes() + line + b"\n")
    with pytest.raises(DataError, match=r"metrics\.jsonl.*move it away") as caught:
        _run(tmp_path)
    assert "\n" not in str(caught.value)
    if line != b"\xff":
        assert "metrics.jsonl:7: " in str(caught.value)


def test_training_that_ends_in_nan_writes_no_checkpoint(tmp_path: Path) -> None:
    """Finite loss and gradients, but the step of the optimiser overflows."""
    from abaw.stores.checkpoints import load_checkpoint, save_checkpoint
    from tests.stores.test_checkpoints import spec

    class Bursts(ToyMethod):
        def update(self, batch: Any) -> None:
            if self.seen >= 2 * len(batch.ids):
                with torch.no_grad():
                    self.model[0].weight.fill_(float("nan"))
            super().update(batch)

    def save(folder: Path, model: torch.nn.Module, facts: Any) -> None:
        save_checkpoint(folder, spec(training=dict(facts)), model.state_dict())

    run = RunFolder(tmp_path, {})
    arguments: dict[str, Any] = {"evaluate": toy_scores, "save": save, "select_by": "accuracy"}
    with pytest.raises(DataError, match="not finite"):
        train(launch(PLAN), Bursts(), toy_batch, run, PLAN, **arguments)
    for name in ("last", "best"):
        assert load_checkpoint(tmp_path / name).spec.training["step"] == 2


def test_metrics_are_read_up_to_an_incomplete_last_line(tmp_path: Path) -> None:
    file = tmp_path / METRICS
    file.write_text('{"step": 1, "loss": 0.5}\n\n{"step": 2, "loss": NaN}\n{"step": 3, "lo')
    assert [line["step"] for line in read_metrics(file)] == [1, 2]
