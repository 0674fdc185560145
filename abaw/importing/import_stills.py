"""Still images as a faces store: the face of each, aligned like the frames of a video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from abaw.core.artifacts import provenance, value_hash
from abaw.core.progress import Progress, silent
from abaw.importing.descriptor import Descriptor
from abaw.importing.face_finder import FaceFinder, Image
from abaw.importing.still import Still
from abaw.protocol.classes import EXPRESSION_CLASSES, UNLABELLED
from abaw.stores.faces import IMAGE_SCHEMA, write_image_faces
from abaw.video.align import CROP_SIZE
from abaw.video.extract import encode_crop

_ROWS = 256
_JPEG_QUALITY = 95


@dataclass(slots=True)
class StillsReport:
    """The result of a set: rows written, rows with a face, and the keys of the images that could not be read."""

    num_rows: int = 0
    num_faces: int = 0
    unreadable: list[str] = field(default_factory=list)


def fingerprint(descriptor: Descriptor, stills: Sequence[Still], finder: FaceFinder) -> str:
    """Identifies the files (names, sizes, labels, votes, boxes) and the finder."""
    files = [
        [still.key, still.label, still.path.stat().st_size, *(still.votes or ()), *(still.box_xyxy or ())]
        for still in stills
    ]
    return value_hash({"role": descriptor.role, "files": files, "finder": finder.identity})


def import_stills(
    descriptor: Descriptor, stills: Sequence[Still], finder: FaceFinder, path: Path, progress: Progress = silent
) -> StillsReport:
    """Write one store with one row per image, in the given order.

    An image without a face, or that cannot be read, becomes a row without a face. progress counts images.
    Raises StorageError if writing fails.
    """
    report = StillsReport()
    meta = provenance(
        source=descriptor.name,
        role=descriptor.role,
        classes=list(EXPRESSION_CLASSES),
        detector=finder.identity,
        images=len(stills),
        crop_size=CROP_SIZE,
        fingerprint=fingerprint(descriptor, stills, finder),
    )
    write_image_faces(path, _batches(stills, finder, report, progress), meta)
    return report


def _batches(
    stills: Sequence[Still], finder: FaceFinder, report: StillsReport, progress: Progress
) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(stills), _ROWS):
        rows = []
        for still in stills[start : start + _ROWS]:
            rows.append(_row(still, finder, report))
            progress(len(rows) + start, len(stills))
        yield pa.RecordBatch.from_pylist(rows, schema=IMAGE_SCHEMA)


def _row(still: Still, finder: FaceFinder, report: StillsReport) -> dict[str, Any]:
    row: dict[str, Any] = {
        "image": still.key,
        "label": None if still.label == UNLABELLED else still.label,
        "votes": still.votes,
    }
    report.num_rows += 1
    image = read_rgb(still.path)
    if image is None:
        report.unreadable.append(still.key)
        return row
    crop = finder(image, still.box_xyxy)
    if crop is None:
        return row
    report.num_faces += 1
    row |= {"jpeg": encode_crop(crop.image, _JPEG_QUALITY), "score": crop.score}
    if crop.box_xyxy is not None:
        row["box_xyxy"] = crop.box_xyxy.tolist()
    if crop.landmarks_xy is not None:
        row["landmarks_xy"] = crop.landmarks_xy.reshape(-1).tolist()
    return row


def read_rgb(path: Path) -> Image | None:
    """(H, W, 3) RGB, turned upright by its EXIF data; None if the file is not a complete image."""
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except (OSError, cv2.error):
        return None
    return None if image is None else np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
