"""Faces + extractor -> features: one row per row of the faces store, streamed in constant memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from abaw.core.artifacts import provenance, value_hash
from abaw.core.errors import DataError
from abaw.core.progress import Progress, silent
from abaw.core.text import listed
from abaw.data.decoding import at_size, channels_first, decode_arrays
from abaw.extractors.extractor import Extractor
from abaw.stores.arrow import StoreError, is_done, read_meta
from abaw.stores.faces import FaceStore, require_crop
from abaw.stores.features import feature_batch, write_features
from abaw.video.reading.read_ahead import ahead


def write_video_features(faces: FaceStore, extractor: Extractor, path: Path, progress: Progress = silent) -> bool:
    """Write the features of one video to `path`; False when they already exist, made from the same faces.

    Raises StoreError for an image set, a kind of crop that the model does not expect, or when `path` has other
    features or says that their network was trained on other data, and DataError for a damaged crop or a feature that
    does not fit float16.
    """
    if not faces.is_video:
        raise StoreError(f"{faces.store.path}: holds stills; features need the frames of a video")
    require_crop(faces, extractor.crop, extractor.name)
    fingerprint = value_hash({"faces": faces.fingerprint, **extractor.identity})
    if is_done(path, fingerprint):
        _require_trained_on(path, extractor)
        return False
    meta = provenance(
        fingerprint=fingerprint,
        backbone=extractor.source,
        **({} if extractor.head is None else {"classes": list(extractor.head.classes)}),
        trained_on=list(extractor.trained_on),
        **({"extractor": {**extractor.origin, **extractor.settings}} if extractor.settings else {}),
        flip=extractor.flip,
        fps=faces.meta.get("fps"),
        faces={key: value for key, value in faces.meta.items() if key != "kind"},
    )
    write_features(path, extractor.dim, _batches(faces, extractor, progress), meta)
    return True


def _require_trained_on(path: Path, extractor: Extractor) -> None:
    """Raise StoreError for a store that records other training data, which are no part of the features' identity."""
    expected = sorted(extractor.trained_on)
    found = sorted((read_meta(path) or {}).get("trained_on", expected))
    if found != expected:
        raise StoreError(
            f"{path}: records that {extractor.name} was trained on {listed(found) or 'nothing'}, expected "
            f"{listed(expected) or 'nothing'} (trained_on); choose another --out or remove it"
        )


def features_of_crops(crops: Iterable[NDArray[np.uint8]], extractor: Extractor) -> NDArray[np.float16]:
    """Features (N, D) of N >= 1 crops in memory, (H, W, 3) uint8 RGB of any sizes, scaled as those of stores are."""
    sized = np.stack([at_size(crop, extractor.side) for crop in crops])
    return extractor.features(channels_first(sized))


@dataclass(frozen=True, slots=True)
class _Crops:
    """The decoded crops of some rows, of which `rows` have a face: images (B, 3, S, S) uint8, names for messages."""

    part: slice
    rows: NDArray[np.integer]
    images: NDArray[np.uint8]
    names: list[str]


def _batches(faces: FaceStore, extractor: Extractor, progress: Progress) -> Iterator[pa.RecordBatch]:
    frames = faces.keys.to_numpy().astype(np.int32)
    valid = faces.valid
    progress(0, len(faces))
    for crops in ahead(_decoded(faces, valid, extractor), _AHEAD):
        features = np.zeros((crops.part.stop - crops.part.start, extractor.dim), dtype=np.float16)
        if len(crops.rows):
            features[crops.rows - crops.part.start] = _features_of(crops, extractor)
        yield feature_batch(frames[crops.part], valid[crops.part], features)
        progress(crops.part.stop, len(faces))


_AHEAD = 1
"""Batches that are decoded while the network computes."""


def _decoded(faces: FaceStore, valid: NDArray[np.bool_], extractor: Extractor) -> Iterator[_Crops]:
    for start in range(0, len(faces), extractor.batch_size):
        part = slice(start, min(start + extractor.batch_size, len(faces)))
        rows = np.flatnonzero(valid[part]) + start
        names = [f"{faces.store.path}:{faces.keys[int(row)].as_py()}" for row in rows]
        jpegs = [faces.jpeg(int(row)) or b"" for row in rows]
        yield _Crops(part, rows, decode_arrays(jpegs, extractor.side, names), names)


def _features_of(crops: _Crops, extractor: Extractor) -> NDArray[np.float16]:
    """Features of the rows with a face, (B, D). Raises DataError, naming the frame, if one does not fit float16."""
    features = extractor.features(crops.images)
    finite = np.isfinite(features).all(axis=1)
    if not finite.all():
        bad = crops.names[int(np.flatnonzero(~finite)[0])]
        raise DataError(
            f"{bad}: its feature does not fit float16 (infinite or not a number); train the model again, or choose "
            "another output or network"
        )
    return features
