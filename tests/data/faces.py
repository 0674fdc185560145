"""Small faces stores for tests: the class is the position of a bright spot, which a small network can learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from abaw.stores.faces import IMAGE_SCHEMA, VIDEO_SCHEMA, write_image_faces, write_video_faces


def picture(label: int, rng: np.random.Generator, side: int = 32) -> bytes:
    """A noisy JPEG with a bright spot at one of eight positions."""
    image = rng.integers(0, 90, (side, side, 3), dtype=np.uint8)
    row, column = divmod(label, 3)
    cell = side // 3
    image[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell] += 150
    return cv2.imencode(".jpg", image)[1].tobytes()


def still_store(
    path: Path, labels: Sequence[int | None], seed: int = 0, meta: Mapping[str, Any] | None = None, **changes: Any
) -> Path:
    """An image set; `changes` are columns that replace the default ones."""
    rng = np.random.default_rng(seed)
    count = len(labels)
    columns = {
        "image": [f"{index:04d}.jpg" for index in range(count)],
        "label": list(labels),
        "votes": [None] * count,
        "jpeg": [picture(label or 0, rng) for label in labels],
        **_face_columns(count),
        **changes,
    }
    batch = pa.record_batch([pa.array(columns[f.name], f.type) for f in IMAGE_SCHEMA], schema=IMAGE_SCHEMA)
    write_image_faces(path, [batch], {"fingerprint": f"{path.stem}-{seed}", **(meta or {})})
    return path


def video_store(
    path: Path, labels: Sequence[int | None], seed: int = 0, meta: Mapping[str, Any] | None = None, **changes: Any
) -> Path:
    """A video's faces; None is a frame without a face. `changes` are columns that replace the default ones."""
    rng = np.random.default_rng(seed)
    count = len(labels)
    columns = {
        "frame": list(range(1, count + 1)),
        "time_s": [index / 25 for index in range(count)],
        "jpeg": [None if label is None else picture(label, rng) for label in labels],
        **_face_columns(count),
        "track": [0] * count,
        "fault": [None] * count,
        **changes,
    }
    batch = pa.record_batch([pa.array(columns[f.name], f.type) for f in VIDEO_SCHEMA], schema=VIDEO_SCHEMA)
    write_video_faces(path, [batch], {"fingerprint": f"{path.stem}-{seed}", "fps": 25.0, **(meta or {})})
    return path


def _face_columns(count: int) -> dict[str, Any]:
    return {"box_xyxy": [[0.0] * 4] * count, "landmarks_xy": [[0.0] * 10] * count, "score": [1.0] * count}
