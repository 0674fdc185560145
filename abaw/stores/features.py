"""Features: one row for every row of a faces store, with a mask where there was no face."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from abaw.stores.arrow import OpenStore, StoreError, open_store, write_store

KIND = "features"


def features_schema(feature_dim: int) -> pa.Schema:
    """frame, valid, feature (null where not valid)."""
    return pa.schema(
        [
            ("frame", pa.int32()),
            ("valid", pa.bool_()),
            ("feature", pa.list_(pa.float16(), feature_dim)),
        ]
    )


@dataclass(frozen=True, slots=True)
class FeatureStore:
    """The features of one video, memory-mapped.

    name: video or subject; meta: `backbone` (hash of the static weights), `feature_dim`, `fps`, provenance.
    """

    name: str
    store: OpenStore

    def __len__(self) -> int:
        return int(self.store.table.num_rows)

    @property
    def meta(self) -> Mapping[str, Any]:
        return self.store.meta

    @property
    def backbone(self) -> str:
        """Hash of the static checkpoint's weights that made the features."""
        return str(self.meta["backbone"])

    @property
    def feature_dim(self) -> int:
        return int(self.meta["feature_dim"])

    @property
    def frames(self) -> NDArray[np.int32]:
        frames: NDArray[np.int32] = self.store.table.column("frame").to_numpy()
        return frames

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(T,) True where there was a face."""
        mask: NDArray[np.bool_] = self.store.table.column("valid").to_numpy(zero_copy_only=False)
        return mask

    def features(self) -> NDArray[np.float16]:
        """(T, D), zeros where not valid; a copy of its own."""
        valid = self.valid
        dense = np.zeros((len(self), self.feature_dim), dtype=np.float16)
        chunks = self.store.table.column("feature").drop_null().chunks
        if chunks:
            rows = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in chunks]
            dense[valid] = np.concatenate(rows).reshape(-1, self.feature_dim)
        return dense


def open_features(path: Path) -> FeatureStore:
    """Raises StoreError when the file is missing, damaged or of another kind."""
    store = open_store(path, KIND, ["frame", "valid", "feature"])
    for key in ("backbone", "feature_dim"):
        if key not in store.meta:
            raise StoreError(f"{path}: its metadata lack '{key}'; write it again with `abaw features`")
    return FeatureStore(path.stem, store)


def feature_batch(frames: NDArray[np.int32], valid: NDArray[np.bool_], features: NDArray[np.float16]) -> pa.RecordBatch:
    """One batch of rows. frames (T,), valid (T,), features (T, D); rows that are not valid become null."""
    dim = features.shape[1]
    values = pa.array(np.ascontiguousarray(features, dtype=np.float16).reshape(-1), type=pa.float16())
    column = pa.FixedSizeListArray.from_arrays(values, dim, mask=pa.array(~valid))
    return pa.record_batch([pa.array(frames), pa.array(valid), column], schema=features_schema(dim))


def write_features(
    path: Path,
    feature_dim: int,
    batches: Iterable[pa.RecordBatch],
    meta: Mapping[str, Any],
) -> int:
    """Write batches from `feature_batch`; `meta` must hold `backbone`. Returns the number of rows."""
    described = {**meta, "feature_dim": feature_dim, "backbone": meta["backbone"]}
    return write_store(path, KIND, features_schema(feature_dim), batches, described)
