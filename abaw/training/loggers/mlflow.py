"""Scalars for MLflow: the server of `MLFLOW_TRACKING_URI`, or else files in the run folder."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

from abaw.core.artifacts import write_text
from abaw.core.run_folder import run_config

_ID = "mlflow_run.txt"
_LONGEST_PARAM = 500


class MlflowLog:
    """One run there per run folder; a resumed one goes on where it was."""

    def __init__(self, run: Path) -> None:
        address = os.environ.get("MLFLOW_TRACKING_URI")
        if address is None:
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # MLflow 3 asks before it writes plain files
            address = (run / "mlruns").resolve().as_uri()
        self._client = MlflowClient(address)
        file = run / _ID
        if file.exists():
            self._id = file.read_text(encoding="utf-8").strip()
        else:
            self._id = self._new_run(run)
            write_text(file, f"{self._id}\n")

    def _new_run(self, run: Path) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "abaw")
        experiment = self._client.get_experiment_by_name(name)
        number = self._client.create_experiment(name) if experiment is None else experiment.experiment_id
        made: str = self._client.create_run(number, run_name=run.name).info.run_id
        params = [Param(key, str(value)[:_LONGEST_PARAM]) for key, value in _flat(run_config(run))]
        for start in range(0, len(params), 100):
            self._client.log_batch(made, params=params[start : start + 100])
        return made

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        now = int(1000 * time.time())
        # Its files are named after the metrics: with both `loss` and `loss/labelled`, a file would have to be a folder.
        metrics = [Metric(name.replace("/", "."), value, now, step) for name, value in values.items()]
        self._client.log_batch(self._id, metrics=metrics)

    def close(self) -> None:
        self._client.set_terminated(self._id)


def open_log(run: Path, first_step: int) -> MlflowLog:
    """Steps that are repeated after a kill appear twice there, with the same values."""
    return MlflowLog(run)


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by their dotted names."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
