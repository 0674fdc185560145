"""Still images as a faces store: the face of each, aligned like the frames of a video."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import pyarrow as pa

from abaw.core.artifacts import provenance, value_hash
from abaw.core.errors import AbawError
from abaw.core.progress import Progress, silent
from abaw.engine.engine import Engine, ItemResult, in_order
from abaw.engine.serial import SERIAL
from abaw.importing.descriptor import Descriptor
from abaw.importing.face_finder import FaceFinder, Image, OpenFinder
from abaw.importing.still import Still
from abaw.protocol.classes import EXPRESSION_CLASSES, UNLABELLED
from abaw.stores.arrow import is_done
from abaw.stores.faces import IMAGE_SCHEMA, write_image_faces
from abaw.video.align import CROP_SIZE
from abaw.video.extract import encode_crop
from abaw.video.reading.still import read_picture

_ROWS = 256
_JPEG_QUALITY = 95


@dataclass(slots=True)
class StillsReport:
    """The result for a set: rows written, rows with a face, keys of the images that could not be read, and failures.

    failed: the key of each image whose processing failed, and the error.
    """

    num_rows: int = 0
    num_faces: int = 0
    unreadable: list[str] = field(default_factory=list)
    failed: list[tuple[str, AbawError]] = field(default_factory=list)


def fingerprint(descriptor: Descriptor, stills: Sequence[Still], finder: str) -> str:
    """Identifies the files (names, sizes, labels, votes, boxes) and the finder, by its identity."""
    files = [
        [still.key, still.label, still.path.stat().st_size, *(still.votes or ()), *(still.box_xyxy or ())]
        for still in stills
    ]
    return value_hash({"role": descriptor.role, "files": files, "finder": finder})


def import_stills(
    descriptor: Descriptor,
    stills: Sequence[Still],
    finder: OpenFinder,
    path: Path,
    engine: Engine = SERIAL,
    progress: Progress = silent,
) -> StillsReport | None:
    """Write one store with a row per image, in the order given; None when it exists already.

    An image without a face, one that cannot be read, and one whose processing fails is a row without a face. The store
    does not depend on the engine, whose items are images, as progress counts them. Raises StoreError when another store
    is in the way, and StorageError when writing fails.
    """
    identity = finder(None).identity
    made_from = fingerprint(descriptor, stills, identity)
    if is_done(path, made_from):
        return None
    report = StillsReport()
    meta = provenance(
        source=descriptor.name,
        role=descriptor.role,
        classes=list(EXPRESSION_CLASSES),
        detector=identity,
        images=len(stills),
        crop_size=CROP_SIZE,
        fingerprint=made_from,
    )
    results = in_order(engine.map(_FindFaces(finder), stills))
    write_image_faces(path, _batches(results, len(stills), report, progress), meta)
    return report


@dataclass(frozen=True, slots=True)
class _Face:
    """The face of a still as columns of the store, empty without one. is_readable: whether the file is an image."""

    columns: Mapping[str, Any] = field(default_factory=dict)
    is_readable: bool = True


@dataclass(frozen=True, slots=True)
class _FindFaces:
    """What workers apply to stills."""

    finder: OpenFinder

    def set_up(self, threads: int | None) -> Callable[[Still, Progress], _Face]:
        return partial(_find_face, self.finder(threads))


def _find_face(finder: FaceFinder, still: Still, progress: Progress) -> _Face:
    image = read_rgb(still.path)
    if image is None:
        return _Face(is_readable=False)
    crop = finder(image, still.box_xyxy)
    if crop is None:
        return _Face()
    columns: dict[str, Any] = {"jpeg": encode_crop(crop.image, _JPEG_QUALITY), "score": crop.score}
    if crop.box_xyxy is not None:
        columns["box_xyxy"] = crop.box_xyxy.tolist()
    if crop.landmarks_xy is not None:
        columns["landmarks_xy"] = crop.landmarks_xy.reshape(-1).tolist()
    return _Face(columns)


def _batches(
    results: Iterator[ItemResult[Still, _Face]], total: int, report: StillsReport, progress: Progress
) -> Iterator[pa.RecordBatch]:
    rows: list[dict[str, Any]] = []
    for result in results:
        rows.append(_row(result, report))
        progress(report.num_rows, total)
        if len(rows) == _ROWS or report.num_rows == total:
            yield pa.RecordBatch.from_pylist(rows, schema=IMAGE_SCHEMA)
            rows = []


def _row(result: ItemResult[Still, _Face], report: StillsReport) -> dict[str, Any]:
    still, face = result.item, result.outcome
    row = {"image": still.key, "label": None if still.label == UNLABELLED else still.label, "votes": still.votes}
    report.num_rows += 1
    if isinstance(face, AbawError):
        report.failed.append((still.key, face))
        return row
    if not face.is_readable:
        report.unreadable.append(still.key)
    report.num_faces += bool(face.columns)
    return {**row, **face.columns}


def read_rgb(path: Path) -> Image | None:
    """(H, W, 3) RGB; None and DataError as for `read_picture`."""
    return read_picture(path, cv2.IMREAD_COLOR_RGB)
