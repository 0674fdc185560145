"""Features stores -> `.npz` or `.parquet`, with everything that `abaw import-features` needs to restore them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from abaw.core.artifacts import atomic_path, quick_hash, utf8, value_hash
from abaw.core.errors import DataError
from abaw.importing.features.exported import features_crc32
from abaw.importing.features.registry import open_feature_file
from abaw.importing.features.rows import EXPORT_KEY, ReadOptions
from abaw.protocol.lengths import length_difference
from abaw.stores.faces import open_faces
from abaw.stores.features import FeatureStore

ExportFormat = Literal["npz", "parquet"]


def export_features(
    store: FeatureStore, path: Path, file_format: ExportFormat, times: NDArray[np.float64] | None
) -> bool:
    """Write one store to `path`; False when it exists, exported from the same store.

    times: (T,) of the frames in seconds, None to leave them out. Raises DataError when `path` is another file, and
    StorageError when writing fails.
    """
    origin = value_hash([quick_hash(store.store.path), None if times is None else times.tolist()])
    if _is_done(path, origin):
        return False
    features, valid = store.features(), store.valid
    record = {"meta": dict(store.meta), "crc32": features_crc32(features, valid), "origin": origin}
    text = json.dumps(record, ensure_ascii=False)
    write = _write_npz if file_format == "npz" else _write_parquet
    with atomic_path(path) as temporary:
        write(temporary, store.frames, times, valid, features, text)
    return True


def frame_times(faces: Path | None, store: FeatureStore) -> NDArray[np.float64]:
    """(T,) the times of the frames in a faces store. Raises DataError when it is missing, lacks times, or has another
    number of frames."""
    if faces is None:
        raise DataError(f"{store.store.path}: --faces has no store of this name; without --faces no times are written")
    opened = open_faces(faces)
    times = opened.times
    if times is None:
        raise DataError(f"{faces}: has no times, as after import-crops; leave out --faces")
    if len(times) != len(store):
        message, _ = length_difference((len(store), "rows"), (len(times), "frames"), 0)
        raise DataError(f"{store.store.path}: {message} in {faces}; give the faces that the features were made from")
    return times


def _is_done(path: Path, origin: str) -> bool:
    if not path.exists():
        return False
    file = open_feature_file(path, ReadOptions())
    try:
        exported = file.exported
    finally:
        file.close()
    if exported is not None and exported.get("origin") == origin:
        return True
    raise DataError(f"{path}: was made from another store; choose another --out or remove it")


def _write_npz(
    path: Path,
    frames: NDArray[np.int32],
    times: NDArray[np.float64] | None,
    valid: NDArray[np.bool_],
    features: NDArray[np.float16],
    text: str,
) -> None:
    """Features of frames that are not valid are NaN, which nobody takes for a feature."""
    features[~valid] = np.nan
    arrays: dict[str, Any] = {"features": features, "frame": frames, "valid": valid}
    if times is not None:
        arrays["time_s"] = times
    arrays[EXPORT_KEY] = np.frombuffer(utf8(text), dtype=np.uint8)
    with path.open("wb") as file:
        np.savez(file, **arrays)


def _write_parquet(
    path: Path,
    frames: NDArray[np.int32],
    times: NDArray[np.float64] | None,
    valid: NDArray[np.bool_],
    features: NDArray[np.float16],
    text: str,
) -> None:
    """32 bits hold every number of 16, and more programs read them; features of frames that are not valid are null."""
    offsets = np.concatenate([[0], np.cumsum(np.where(valid, features.shape[1], 0))]).astype(np.int32)
    values = pa.array(features[valid].astype(np.float32).reshape(-1))
    lists = pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.array(~valid))
    columns: dict[str, Any] = {"frame": pa.array(frames), "valid": pa.array(valid)}
    if times is not None:
        columns["time_s"] = pa.array(times)
    table = pa.table({**columns, "feature": lists}, metadata={EXPORT_KEY: utf8(text)})
    with pa.OSFile(os.fsencode(path), "wb") as file:
        pq.write_table(table, file)
