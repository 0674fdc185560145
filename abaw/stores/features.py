"""Features: one row per row of a faces store, with a mask for rows without one (no face, no sound)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.stores.arrow import (
    NamedStore,
    StoreError,
    open_store,
    require_columns,
    require_frames,
    store_writer,
    types_of,
    write_store,
)
from abaw.stores.folders import folder_of
from abaw.stores.sources import FACE, Source

KIND = "features"
_MAX_DIM = 1 << 20
_ROWS_PER_CHECK = 4096


def features_schema(feature_dim: int) -> pa.Schema:
    """Columns frame, valid, feature (null where not valid)."""
    return pa.schema(
        [
            ("frame", pa.int32()),
            ("valid", pa.bool_()),
            ("feature", pa.list_(pa.float16(), feature_dim)),
        ]
    )


@dataclass(frozen=True, slots=True)
class FeatureStore(NamedStore):
    """The features of one video, memory-mapped.

    name: video or subject; meta: `backbone` (hash of the weights), `feature_dim`, `modality` (what the features
    describe; missing for a face), `fps`, provenance.
    """

    @property
    def backbone(self) -> str:
        """What computed the features: the hash of a static checkpoint's weights, or `NAME:HASH` of imported ones."""
        return str(self.meta["backbone"])

    @property
    def feature_dim(self) -> int:
        return int(self.meta["feature_dim"])

    @property
    def source(self) -> Source:
        """What the features are; its name is that of the store's folder."""
        folder = folder_of(self.store.path).name
        return Source(folder, self.backbone, self.feature_dim, str(self.meta.get("modality", FACE)))

    @property
    def frames(self) -> NDArray[np.int32]:
        frames: NDArray[np.int32] = self.store.table.column("frame").to_numpy()
        return frames

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(T,) True on frames with a feature: for features of a face, those with a face."""
        mask: NDArray[np.bool_] = self.store.table.column("valid").to_numpy(zero_copy_only=False)
        return mask

    def features(self) -> NDArray[np.float16]:
        """(T, D), zeros where not valid; a separate copy. Raises StoreError for a value that is not finite."""
        self.require_finite()
        dense = np.concatenate([np.zeros((0, self.feature_dim), dtype=np.float16), *self.blocks()])
        dense[~self.valid] = 0
        return dense

    def blocks(self) -> list[NDArray[np.float16]]:
        """The rows of all frames, a few frames after the other, (T', D) each: the mapped file itself, not a copy.

        Rows that are not valid contain anything.
        """
        return [_mapped_block(chunk, self.feature_dim) for chunk in self.store.table.column("feature").chunks]

    def require_finite(self) -> None:
        """Raise StoreError for a value that is not finite. A part of the rows is in memory at a time."""
        column = self.store.table.column("feature")
        parts = [
            np.isfinite(chunk.flatten().to_numpy(zero_copy_only=False)).reshape(-1, self.feature_dim).all(axis=1)
            for start in range(0, len(self), _ROWS_PER_CHECK)
            for chunk in column.slice(start, _ROWS_PER_CHECK).drop_null().chunks
        ]
        self.store.require_all(np.concatenate([np.ones(0, bool), *parts]), np.flatnonzero(self.valid), "the feature")


def _mapped_block(chunk: pa.FixedSizeListArray, dim: int) -> NDArray[np.float16]:
    """(T', D) all values of a chunk, also below null rows, where `flatten` leaves them out."""
    values = chunk.values
    data = values.buffers()[1]
    numbers = np.frombuffer(b"" if data is None else data, dtype=np.float16)
    first = values.offset + chunk.offset * dim
    return numbers[first : first + len(chunk) * dim].reshape(len(chunk), dim)


def open_features(path: Path, checked: bool = False) -> FeatureStore:
    """Raises StoreError when the file is missing, damaged, of another kind, or contradicts itself.

    checked: another process has compared its checksum.
    """
    store = open_store(path, KIND, {"frame": pa.int32(), "valid": pa.bool_()}, checked)
    for key, kind in (("backbone", str), ("feature_dim", int)):
        if type(store.meta.get(key)) is not kind:
            found = "nothing" if key not in store.meta else repr(store.meta[key])
            raise StoreError(
                f"{path}: its metadata lacks '{key}' ({kind.__name__} expected, found {found}); "
                "write it again with `abaw features`"
            )
    dim = store.meta["feature_dim"]
    if not 1 <= dim <= _MAX_DIM:
        raise StoreError(f"{path}: its metadata states features of width {dim}; write it again with `abaw features`")
    require_columns(path, store.table.schema, types_of(features_schema(dim)))
    require_frames(store)
    if not np.array_equal(
        store.table.column("valid").to_numpy(zero_copy_only=False),
        store.table.column("feature").is_valid().to_numpy(zero_copy_only=False),
    ):
        raise StoreError(f"{path}: its column `valid` contradicts its column `feature`; write it again")
    return FeatureStore(path.stem, store)


def feature_batch(frames: NDArray[np.int32], valid: NDArray[np.bool_], features: NDArray[np.float16]) -> pa.RecordBatch:
    """One batch of rows. frames (T,), valid (T,), features (T, D); rows that are not valid become null.

    Raises DataError, naming the frame, for a feature that is not finite in 16 bits.
    """
    dim = features.shape[1]
    bad = valid & ~np.isfinite(features).all(axis=1)
    if bad.any():
        raise DataError(
            f"frame {int(frames[bad.argmax()])}: its feature is not a finite number within ±65504; "
            "check the model that made it"
        )
    values = pa.array(np.ascontiguousarray(features, dtype=np.float16).reshape(-1), type=pa.float16())
    column = pa.FixedSizeListArray.from_arrays(values, dim, mask=pa.array(~valid))
    return pa.record_batch([pa.array(frames), pa.array(valid), column], schema=features_schema(dim))


def write_features(
    path: Path,
    feature_dim: int,
    batches: Iterable[pa.RecordBatch],
    meta: Mapping[str, Any],
) -> int:
    """Write batches of `feature_batch` and return the number of rows. meta: must contain `backbone`."""
    return write_store(path, KIND, features_schema(feature_dim), batches, _described(feature_dim, meta))


def features_writer(
    path: Path, feature_dim: int, meta: Mapping[str, Any]
) -> AbstractContextManager[Callable[[pa.RecordBatch], None]]:
    """Takes batches of `feature_batch`, see `store_writer`. meta: must contain `backbone`."""
    return store_writer(path, KIND, features_schema(feature_dim), _described(feature_dim, meta))


def _described(feature_dim: int, meta: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**meta, "feature_dim": feature_dim, "backbone": meta["backbone"]}
