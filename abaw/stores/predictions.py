"""Predictions: raw probabilities, never smoothed, with one row per frame and one column per class.

A model for other tasks adds columns: valence and arousal in [-1, 1], and the probability of each action unit. Without
the task of expression there are no classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.protocol.classes import ACTION_UNITS, VALENCE_AROUSAL
from abaw.stores.arrow import (
    OpenStore,
    StoreError,
    open_store,
    read_header,
    require_columns,
    require_frames,
    write_store,
)

KIND = "predictions"
_ROUNDING = 1e-3
_OTHERS = {"valence_arousal": VALENCE_AROUSAL, "action_units": ACTION_UNITS}
"""The columns of the tasks other than expression."""


def predictions_schema(columns: Sequence[str]) -> pa.Schema:
    """frame, valid, and one float32 per name in `columns`: the classes, then the outputs of other tasks."""
    return pa.schema(
        [
            ("frame", pa.int32()),
            ("valid", pa.bool_()),
            *((name, pa.float32()) for name in columns),
        ]
    )


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """The predictions for one video, in memory (36 bytes per frame, 92 with all tasks).

    frames: (T,) int32 from 1; valid: (T,) True on frames with a face; predicted: (T,) True where the model returned
    probabilities (a per-frame model returns none without a face); classes and probs, (T, C) float32: empty, C = 0,
    when the model does not predict expressions; valence_arousal: (T, 2)
    float32 in [-1, 1]; action_units: (T, 12) float32, the probability that each is on. The last three are zero where
    not predicted; the last two are None when the model does not predict them.
    """

    name: str
    classes: tuple[str, ...]
    frames: NDArray[np.int32]
    valid: NDArray[np.bool_]
    predicted: NDArray[np.bool_]
    probs: NDArray[np.float32]
    meta: Mapping[str, Any]
    valence_arousal: NDArray[np.float32] | None = None
    action_units: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def by_task(self) -> dict[str, NDArray[np.float32]]:
        """The values of each predicted task, (T, columns of the task)."""
        values = {
            "expression": self.probs if self.classes else None,
            "valence_arousal": self.valence_arousal,
            "action_units": self.action_units,
        }
        return {task: each for task, each in values.items() if each is not None}

    @property
    def fps(self) -> float | None:
        """Frames per second of the video, None when it is not recorded."""
        return _fps(self.meta)

    @property
    def class_shares(self) -> tuple[float, ...] | None:
        """The class shares that the models expect, C, None when they are not recorded."""
        shares = self.meta.get("class_shares")
        if not isinstance(shares, list) or not len(shares) == len(self.classes) > 0:
            return None
        numbers = all(isinstance(share, int | float) and 0 <= share < float("inf") for share in shares)
        return tuple(map(float, shares)) if numbers else None


def _fps(meta: Mapping[str, Any]) -> float | None:
    fps = meta.get("fps")
    return float(fps) if isinstance(fps, int | float) and 0 < fps < float("inf") else None


def recorded_fps(path: Path) -> float | None:
    """`Predictions.fps` of a store, by its header alone. Raises StoreError as `predicted_tasks` does."""
    return _fps(read_header(path, KIND).meta)


def predicted_tasks(path: Path) -> tuple[str, ...]:
    """The tasks that a store has, by its header alone. Raises StoreError when it is missing, unreadable or no store of
    predictions."""
    header = read_header(path, KIND)
    expression = ("expression",) if header.meta.get("classes") else ()
    return (*expression, *(task for task, names in _OTHERS.items() if set(names) <= set(header.columns)))


def read_predictions(path: Path) -> Predictions:
    """Raises StoreError when the file is missing, damaged, of another kind, lacks a class, or has impossible values."""
    store = open_store(path, KIND, {"frame": pa.int32(), "valid": pa.bool_()})
    classes = store.meta.get("classes", ())
    present = set(store.table.column_names)
    others = [names[0] for names in _OTHERS.values() if set(names) <= present]
    named = isinstance(classes, list) and (classes or others) and all(isinstance(name, str) for name in classes)
    if not named or not set(classes) <= present:
        raise StoreError(f"{path}: its columns do not match its classes {classes}; write it again")
    require_columns(path, store.table.schema, dict.fromkeys(classes, pa.float32()))
    require_frames(store)
    predicted = store.table.column([*classes, *others][0]).is_valid().to_numpy(zero_copy_only=False)
    return Predictions(
        name=path.stem,
        classes=tuple(classes),
        frames=store.table.column("frame").to_numpy(),
        valid=store.table.column("valid").to_numpy(zero_copy_only=False),
        predicted=predicted,
        probs=_dense(store, classes, predicted, 0.0),
        meta=store.meta,
        valence_arousal=_dense_if_predicted(store, VALENCE_AROUSAL, predicted, -1.0),
        action_units=_dense_if_predicted(store, ACTION_UNITS, predicted, 0.0),
    )


def _dense_if_predicted(
    store: OpenStore, names: Sequence[str], predicted: NDArray[np.bool_], lowest: float
) -> NDArray[np.float32] | None:
    return _dense(store, names, predicted, lowest) if set(names) <= set(store.table.column_names) else None


def _dense(store: OpenStore, names: Sequence[str], predicted: NDArray[np.bool_], lowest: float) -> NDArray[np.float32]:
    """(T, columns), zeros where null; (T, 0) without names.

    Raises StoreError for values that are not finite or not in [lowest, 1].
    """
    if not names:
        return np.zeros((len(predicted), 0), np.float32)
    require_columns(store.path, store.table.schema, dict.fromkeys(names, pa.float32()))
    columns = [store.table.column(name) for name in names]
    if any(not np.array_equal(column.is_valid().to_numpy(zero_copy_only=False), predicted) for column in columns):
        raise StoreError(f"{store.path}: some rows have only part of the columns {', '.join(names)}; write it again")
    values = np.stack([column.fill_null(0).to_numpy() for column in columns], axis=1)
    store.require_finite(values, np.arange(len(values)), "the prediction")
    if len(values) and (values.min() < lowest - _ROUNDING or values.max() > 1 + _ROUNDING):
        row = int(((values < lowest - _ROUNDING) | (values > 1 + _ROUNDING)).any(axis=1).argmax())
        raise StoreError(
            f"{store.path}: row {row + 1}: expected values from {lowest:g} to 1, found {values[row].tolist()}"
        )
    return values


def write_predictions(path: Path, predictions: Predictions) -> int:
    """Write one video's predictions; rows that are not predicted become null. Returns the number of rows.

    Raises DataError, naming video and frame, for a prediction that is not finite.
    """
    columns_of = {"expression": predictions.classes, **_OTHERS}
    tasks = [(columns_of[task], values) for task, values in predictions.by_task.items()]
    missing = ~predictions.predicted
    finite = np.concatenate([np.isfinite(values) for _, values in tasks], axis=1).all(axis=1) | missing
    if not finite.all():
        raise DataError(
            f"{predictions.name}: the prediction of frame {int(predictions.frames[finite.argmin()])} is not a finite "
            f"number ({int((~finite).sum())} such frames); check the features and the checkpoint"
        )
    columns = {
        name: pa.array(values[:, index].astype(np.float32), mask=missing)
        for names, values in tasks
        for index, name in enumerate(names)
    }
    schema = predictions_schema(list(columns))
    batch = pa.record_batch(
        [pa.array(predictions.frames), pa.array(predictions.valid), *columns.values()],
        schema=schema,
    )
    meta = {**predictions.meta, "classes": list(predictions.classes)}
    return write_store(path, KIND, schema, [batch], meta)
