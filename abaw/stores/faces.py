"""Faces: one row per decoded frame of a video, or per still image of a set.

Videos have the key `frame` (int32, from 1); stills have the key `image` (string), and `label` and `votes`, null where
unknown. `jpeg` is the crop, null without a face; the metadata key `crop` says which kind it is. `votes` is the
distribution of the annotators' votes over the classes. `fault` is the reason why a frame could not be decoded, null for
decoded frames. Stores of earlier versions lack `votes`, `fault` and `crop`; their crops are aligned:112.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from abaw.core.errors import ConfigError
from abaw.core.typed import from_plain
from abaw.protocol.classes import NUM_EXPRESSIONS
from abaw.stores.arrow import (
    NamedStore,
    OpenStore,
    StoreError,
    open_store,
    require_columns,
    store_writer,
    types_of,
    write_store,
)
from abaw.stores.crop import ALIGNED_112, Crop

KIND = "faces"
_FAULT = "fault"
_VOTES = "votes"
_FACE_FIELDS = [
    ("jpeg", pa.binary()),
    ("box_xyxy", pa.list_(pa.float32(), 4)),
    ("landmarks_xy", pa.list_(pa.float32(), 10)),
    ("score", pa.float32()),
]
VIDEO_SCHEMA = pa.schema(
    [
        ("frame", pa.int32()),
        ("time_s", pa.float64()),
        *_FACE_FIELDS,
        ("track", pa.int32()),
        (_FAULT, pa.string()),
    ]
)
IMAGE_SCHEMA = pa.schema(
    [
        ("image", pa.string()),
        ("label", pa.int8()),
        (_VOTES, pa.list_(pa.float32(), NUM_EXPRESSIONS)),
        *_FACE_FIELDS,
    ]
)


@dataclass(frozen=True, slots=True)
class FaceStore(NamedStore):
    """One faces store, memory-mapped; crops are read on access.

    name: video or image set; meta: provenance (fps, frame size, counts, detector, …).
    """

    @property
    def is_video(self) -> bool:
        return "frame" in self.store.table.column_names

    @property
    def key(self) -> str:
        """The key column: `frame` or `image`."""
        return "frame" if self.is_video else "image"

    @property
    def crop(self) -> Crop:
        """Raises StoreError for metadata that name no kind of crop."""
        return crop_of(self.store.path, self.meta)

    @property
    def keys(self) -> pa.ChunkedArray:
        return self.store.table.column(self.key)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(T,) True on rows with a face."""
        mask: NDArray[np.bool_] = self.store.table.column("jpeg").is_valid().to_numpy(zero_copy_only=False)
        return mask

    @property
    def times(self) -> NDArray[np.float64] | None:
        """(T,) seconds; None where they are not known, as after importing crops, and for stills."""
        if "time_s" not in self.store.table.column_names:
            return None
        column = self.store.table.column("time_s")
        return None if column.null_count else column.to_numpy()

    @property
    def labels(self) -> NDArray[np.int8]:
        """(N,) labels of an image set, -1 without a label. Raises StoreError for the store of a video."""
        if self.is_video:
            raise StoreError(f"{self.store.path}: stores of videos have no labels; give the annotation files as well")
        column = self.store.table.column("label").fill_null(-1)
        labels: NDArray[np.int8] = column.to_numpy().astype(np.int8)
        return labels

    @property
    def votes(self) -> NDArray[np.float32]:
        """(N, C) shares of the annotators' votes in an image set, each row summing to 1, or NaN without votes.

        Raises StoreError for the store of a video.
        """
        if self.is_video:
            raise StoreError(f"{self.store.path}: stores of videos have no votes; give the annotation files as well")
        votes = np.full((len(self), NUM_EXPRESSIONS), np.nan, dtype=np.float32)
        if _VOTES in self.store.table.column_names:
            column = self.store.table.column(_VOTES).combine_chunks()
            votes[column.is_valid().to_numpy(zero_copy_only=False)] = (
                column.flatten().to_numpy().reshape(-1, NUM_EXPRESSIONS)
            )
        return votes

    @property
    def faults(self) -> dict[int, str]:
        """Row -> reason why its frame could not be decoded, for those rows only."""
        if _FAULT not in self.store.table.column_names:
            return {}
        column = self.store.table.column(_FAULT)
        rows = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False)).tolist()
        return {row: str(column[row].as_py()) for row in rows}

    def jpeg(self, row: int) -> bytes | None:
        """The encoded crop of a row, None without a face."""
        value: bytes | None = self.store.table.column("jpeg")[row].as_py()
        return value


def crop_of(path: Path, meta: Mapping[str, Any]) -> Crop:
    """The kind of crop that the metadata of a faces store name. Raises StoreError if it is not a kind."""
    if "crop" not in meta:
        return ALIGNED_112
    try:
        return from_plain(Crop, meta["crop"], "crop")
    except (ValueError, ConfigError) as error:
        raise StoreError(f"{path}: {error}; the store is damaged or of a later version, write it again") from error


def common_crop(stores: Sequence[FaceStore]) -> Crop:
    """The one kind of crop in all these stores. Raises StoreError when two of them differ."""
    first, *others = stores
    for other in others:
        if not other.crop.fits(first.crop):
            raise StoreError(
                f"{other.store.path}: holds {other.crop} crops, but {first.store.path} holds {first.crop}; use stores "
                "of one kind of crop (--crop of extract and import-images)"
            )
    return first.crop


def require_crop(faces: FaceStore, expected: Crop | None, model: str) -> None:
    """Raise StoreError unless the store holds the kind of crop that a model expects, None for any.

    model: which, for the message.
    """
    if expected is None or faces.crop.fits(expected):
        return
    wanted = expected.to_extract
    remedy = "import the crops it was trained on" if wanted is None else f"give faces made with --crop {wanted}"
    raise StoreError(f"{faces.store.path}: holds {faces.crop} crops, but {model} expects {expected}; {remedy}")


def open_faces(path: Path) -> FaceStore:
    """Raises StoreError when the file is missing, damaged or of another kind."""
    store = open_store(path, KIND, dict(_FACE_FIELDS))
    key = "frame" if "frame" in store.table.column_names else "image"
    known = types_of(VIDEO_SCHEMA if key == "frame" else IMAGE_SCHEMA)
    required = {key: known[key], **({} if key == "frame" else {"label": known["label"]})}
    present = {name: known[name] for name in store.table.column_names if name in known}
    require_columns(path, store.table.schema, {**required, **present})
    _require_values(store, key)
    return FaceStore(path.stem, store)


def _require_values(store: OpenStore, key: str) -> None:
    """Raise StoreError for rows without a key, frames out of order, labels that are no class, values not finite."""
    keys = store.table.column(key)
    if keys.null_count:
        raise StoreError(f"{store.path}: {keys.null_count} rows have no {key}; the store is damaged, write it again")
    if key == "frame" and not np.array_equal(keys.to_numpy(), np.arange(1, len(keys) + 1)):
        raise StoreError(f"{store.path}: expected one row for each of the frames 1, 2, 3, …; write it again")
    if key == "image" and len(keys):
        labels = store.table.column("label").fill_null(-1).to_numpy()
        if (wrong := np.flatnonzero((labels < -1) | (labels >= NUM_EXPRESSIONS))).size:
            row = int(wrong[0])
            raise StoreError(
                f"{store.path}:{keys[row].as_py()}: expected a label from 0 to {NUM_EXPRESSIONS - 1}, or -1 for none, "
                f"found {labels[row]}; write the store again"
            )
    for name in ("box_xyxy", "landmarks_xy", "score", _VOTES, "time_s"):
        if name in store.table.column_names:
            column = store.table.column(name).drop_null()
            for chunk in column.chunks:
                values = (chunk.flatten() if pa.types.is_fixed_size_list(chunk.type) else chunk).to_numpy()
                if not np.isfinite(values).all():
                    raise StoreError(f"{store.path}: column {name} has values that are not finite; write it again")


def write_video_faces(path: Path, batches: Iterable[pa.RecordBatch], meta: Mapping[str, Any]) -> int:
    """Write rows of VIDEO_SCHEMA and return their number."""
    return write_store(path, KIND, VIDEO_SCHEMA, batches, meta)


def write_image_faces(path: Path, batches: Iterable[pa.RecordBatch], meta: Mapping[str, Any]) -> int:
    """Write rows of IMAGE_SCHEMA and return their number."""
    return write_store(path, KIND, IMAGE_SCHEMA, batches, meta)


def image_faces_writer(path: Path, meta: Mapping[str, Any]) -> AbstractContextManager[Callable[[pa.RecordBatch], None]]:
    """Takes batches of rows of IMAGE_SCHEMA, see `store_writer`."""
    return store_writer(path, KIND, IMAGE_SCHEMA, meta)
