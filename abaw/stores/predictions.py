"""Predictions: raw probabilities, one row a frame, one column a class, never smoothed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from abaw.stores.arrow import StoreError, open_store, write_store

KIND = "predictions"


def predictions_schema(classes: Sequence[str]) -> pa.Schema:
    return pa.schema(
        [
            ("frame", pa.int32()),
            ("valid", pa.bool_()),
            *((name, pa.float32()) for name in classes),
        ]
    )


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """The predictions of one video, in memory (36 bytes a frame).

    frames: (T,) int32 from 1; valid: (T,) the frame shows a face; predicted: (T,) the model gave probabilities
    (a per-frame model gives none without a face); probs: (T, C) float32, zeros where not predicted.
    """

    name: str
    classes: tuple[str, ...]
    frames: NDArray[np.int32]
    valid: NDArray[np.bool_]
    predicted: NDArray[np.bool_]
    probs: NDArray[np.float32]
    meta: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.frames)


def read_predictions(path: Path) -> Predictions:
    """Raises StoreError when the file is missing, damaged, of another kind or lacks a class."""
    store = open_store(path, KIND, ["frame", "valid"])
    classes = tuple(store.meta.get("classes", ()))
    if not classes or not set(classes) <= set(store.table.column_names):
        raise StoreError(f"{path}: its columns do not match its classes {list(classes)}; write it again")
    first = store.table.column(classes[0])
    columns = [store.table.column(name).fill_null(0).to_numpy() for name in classes]
    return Predictions(
        name=path.stem,
        classes=classes,
        frames=store.table.column("frame").to_numpy(),
        valid=store.table.column("valid").to_numpy(zero_copy_only=False),
        predicted=first.is_valid().to_numpy(zero_copy_only=False),
        probs=np.stack(columns, axis=1).astype(np.float32),
        meta=store.meta,
    )


def write_predictions(path: Path, predictions: Predictions) -> int:
    """Write one video's predictions; rows that are not predicted become null. Returns the number of rows."""
    missing = pa.array(~predictions.predicted)
    columns = [
        pa.array(
            predictions.probs[:, index].astype(np.float32),
            mask=missing.to_numpy(zero_copy_only=False),
        )
        for index in range(len(predictions.classes))
    ]
    schema = predictions_schema(predictions.classes)
    batch = pa.record_batch(
        [pa.array(predictions.frames), pa.array(predictions.valid), *columns],
        schema=schema,
    )
    meta = {**predictions.meta, "classes": list(predictions.classes)}
    return write_store(path, KIND, schema, [batch], meta)
