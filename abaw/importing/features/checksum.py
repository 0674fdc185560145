"""Whether exported features are still those of the store: only then do they keep its identity."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.importing.features.rows import VideoRows


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
