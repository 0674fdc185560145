"""`--train.logger`: the values of metrics.jsonl arrive in each logger, also after a run was stopped and resumed."""

from __future__ import annotations

import csv
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from abaw.core.data_parallel import Part
from abaw.core.errors import ConfigError, DataError
from abaw.core.run_folder import METRICS, RunFolder
from abaw.training.launch import launch
from abaw.training.loggers import LOGGERS, open_logger
from abaw.training.loop import train
from abaw.training.settings import TrainSettings
from tests.training.toy import ToyMethod, toy_batch, toy_save, toy_scores


def run(folder: Path, logger: Any, stop_at: int | None = None) -> list[dict[str, float]]:
    """Train the toy to its end, or until its batch `stop_at` fails; returns metrics.jsonl."""
    settings = TrainSettings(
        steps=12, warmup_steps=2, evaluate_every=4, checkpoint_every=4, log_every=2, accelerator="cpu", logger=logger
    )

    def batches(step: int, part: Part) -> Any:
        if step == stop_at:
            raise OSError("stopped")
        return toy_batch(step, part)

    with RunFolder(folder, {"steps": 12}) as place:
        train(
            launch(settings),
            ToyMethod(),
            batches,
            place,
            settings,
            evaluate=toy_scores,
            save=toy_save,
            select_by="accuracy",
        )
    return [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]


def expected(metrics: list[dict[str, float]]) -> dict[tuple[int, str], float]:
    return {(int(line["step"]), name): line[name] for line in metrics for name in line if name != "step"}


def resumed(folder: Path, logger: str) -> list[dict[str, float]]:
    with pytest.raises(OSError, match="stopped"):
        run(folder, logger, stop_at=7)
    return run(folder, logger)


def test_csv(tmp_path: Path) -> None:
    metrics = resumed(tmp_path / "run", "csv")
    with (tmp_path / "run" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(expected(metrics)) > 20
    assert {(int(row["step"]), row["name"]): float(row["value"]) for row in rows} == expected(metrics)


def test_a_table_of_something_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("my,own,table\n")
    with pytest.raises(DataError, match="expected the header"):
        open_logger("csv", tmp_path, 1)
    assert (tmp_path / "metrics.csv").read_text() == "my,own,table\n"


def test_mlflow_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracking = pytest.importorskip("mlflow.tracking")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    metrics = resumed(tmp_path / "run", "mlflow")
    client = tracking.MlflowClient((tmp_path / "run" / "mlruns").as_uri())
    (found,) = client.search_runs([client.get_experiment_by_name("abaw").experiment_id])
    assert found.info.status == "FINISHED" and found.data.params == {"steps": "12"}
    got = {
        (one.step, name): one.value
        for name in found.data.metrics
        for one in client.get_metric_history(found.info.run_id, name)
    }
    assert got == pytest.approx(
        {(step, name.replace("/", ".")): value for (step, name), value in expected(metrics).items()}
    )


@pytest.mark.slow
def test_wandb_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    run(tmp_path / "run", "wandb")
    (file,) = (tmp_path / "run" / "wandb").glob("offline-run-*/run-run-*.wandb")
    deadline = time.monotonic() + 30  # its own process writes the file
    while b"eval/accuracy" not in file.read_bytes() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert b"loss/toy" in file.read_bytes() and b"eval/accuracy" in file.read_bytes()


def test_a_logger_whose_package_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "abaw.training.loggers.wandb", raising=False)
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError, match=r"pip install 'abaw\[wandb\]'"):
        open_logger("wandb", tmp_path, 1)
    assert LOGGERS == ("tensorboard", "csv", "wandb", "mlflow")
