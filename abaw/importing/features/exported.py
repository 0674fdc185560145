"""What files of `abaw export-features` record: the metadata of the store, and a checksum.

Only features that are still those of the store keep its identity.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.core.typed import from_plain
from abaw.importing.features.rows import EXPORT_KEY, VideoRows
from abaw.stores.sources import FACE


def features_crc32(features: NDArray[np.float16], valid: NDArray[np.bool_]) -> str:
    """CRC-32 of T frames: of which are valid, (T,), and of the features, (T, D), of those."""
    crc = zlib.crc32(np.ascontiguousarray(valid).tobytes())
    return f"{zlib.crc32(np.ascontiguousarray(features[valid], dtype='<f2').tobytes(), crc):08x}"


def require_unchanged(rows: VideoRows, exported: Mapping[str, Any]) -> None:
    """Raise DataError for rows that are not those that were exported. exported: see `FeatureFile.exported`."""
    valid = np.ones(len(rows), dtype=np.bool_) if rows.valid is None else rows.valid
    with np.errstate(over="ignore", invalid="ignore"):
        features = rows.values.astype(np.float16)
    order = np.arange(len(rows)) if rows.numbers is None else np.argsort(rows.numbers, kind="stable")
    if features_crc32(features[order], valid[order]) != exported.get("crc32"):
        raise DataError(
            f"{rows.where}: its features are not those that were exported; give --name to import them as others"
        )


def exported_meta(path: Path, text: bytes) -> Mapping[str, Any]:
    """The metadata in a file of `abaw export-features`. Raises DataError when they are damaged."""
    try:
        record: dict[str, Any] = json.loads(text)
        meta = record["meta"]
        from_plain(_Record, {key: record[key] for key in ("crc32", "origin")})
        from_plain(_Meta, {key: meta[key] for key in _USED if key in meta})
        return record
    except (ValueError, TypeError, KeyError, RecursionError):
        raise DataError(
            f"{path}: its '{EXPORT_KEY}' is not what `abaw export-features` writes; export it again, or remove it"
        ) from None


@dataclass(frozen=True, slots=True)
class _Record:
    """What a file of `abaw export-features` holds next to the metadata of the store."""

    crc32: str
    origin: str


@dataclass(frozen=True, slots=True)
class _Meta:
    """The metadata of a store that are used, and their types."""

    backbone: str
    feature_dim: int
    modality: str = FACE
    trained_on: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.feature_dim < 1:
            raise ValueError(f"features of width {self.feature_dim}")


_USED = ("backbone", "feature_dim", "modality", "trained_on")
