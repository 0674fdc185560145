"""Still images as faces stores, one per kind of crop: the face of each, cropped like the frames of a video."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import pyarrow as pa

from abaw.core.artifacts import provenance, quick_hash, value_hash
from abaw.core.config import to_plain
from abaw.core.errors import AbawError, DataError
from abaw.core.progress import Progress, silent
from abaw.engine.engine import Engine, ItemResult, in_order
from abaw.engine.serial import SERIAL
from abaw.importing.descriptor import Descriptor
from abaw.importing.face_finder import FaceFinder, Image, OpenFinder
from abaw.importing.still import Still
from abaw.protocol.classes import EXPRESSION_CLASSES, UNLABELLED
from abaw.stores.arrow import StoreError, is_done, read_meta
from abaw.stores.crop import ALIGNED_112, Crop, crop_identity
from abaw.stores.faces import IMAGE_SCHEMA, image_faces_writer
from abaw.video.extract import encode_crop
from abaw.video.reading.still import read_picture

_ROWS = 256
_JPEG_QUALITY = 95
_BLOCK = 1 << 13


@dataclass(slots=True)
class StillsReport:
    """The result for a set: rows written, rows with a face, keys of the images that could not be read, and failures.

    failed: the key of each image whose processing failed, and the error.
    """

    num_rows: int = 0
    num_faces: int = 0
    unreadable: list[str] = field(default_factory=list)
    failed: list[tuple[str, AbawError]] = field(default_factory=list)


def fingerprint(descriptor: Descriptor, stills: Sequence[Still], finder: str, crop: Crop = ALIGNED_112) -> str:
    """Identifies the files (names, sizes, labels, votes, boxes), the finder, by its identity, and the kind of crop."""
    files = [
        [still.key, still.label, still.path.stat().st_size, *(still.votes or ()), *(still.box_xyxy or ())]
        for still in stills
    ]
    return value_hash({"role": descriptor.role, "files": files, "finder": finder, **crop_identity(crop)})


def contents(stills: Sequence[Still]) -> str:
    """Identifies what is in the files by their first and last bytes, in which pictures differ; copies are the same."""
    found = {path: _content(path) for path in dict.fromkeys(still.path for still in stills)}
    return value_hash(list(found.values()))


def _content(path: Path) -> str:
    """Empty for a file that cannot be read: its row says so."""
    try:
        return quick_hash(path, _BLOCK)
    except DataError:
        return ""


def import_stills(
    descriptor: Descriptor,
    stills: Sequence[Still],
    finder: OpenFinder,
    paths: Mapping[Crop, Path],
    engine: Engine = SERIAL,
    progress: Progress = silent,
) -> StillsReport | None:
    """Write one store per kind of crop with a row per image, in the order given; None when all exist already.

    paths: of the stores; those that exist are kept, and each image is read and its face found once for all others. An
    image without a face, one that cannot be read, and one whose processing fails is a row without a face. The stores do
    not depend on the engine, whose items are images, as progress counts them. Raises StoreError when another store is
    in the way, such as one of other pictures of the same names and sizes, and StorageError when writing fails.
    """
    identity, inside = finder(None).identity, contents(stills)
    made_from = {crop: fingerprint(descriptor, stills, identity, crop) for crop in paths}
    missing = tuple(crop for crop, path in paths.items() if not _is_done(path, made_from[crop], inside))
    if not missing:
        return None
    report = StillsReport()
    shared = provenance(
        source=descriptor.name,
        role=descriptor.role,
        classes=list(EXPRESSION_CLASSES),
        detector=identity,
        images=len(stills),
        contents=inside,
    )
    results = in_order(engine.map(_FindFaces(finder, missing), stills))
    with ExitStack() as stack:
        writers = []
        for crop in missing:
            meta = {**shared, "crop_size": crop.pixels, "crop": to_plain(crop), "fingerprint": made_from[crop]}
            writers.append(stack.enter_context(image_faces_writer(paths[crop], meta)))
        for rows in _batches(results, len(stills), report, progress):
            for place, write in enumerate(writers):
                write(_batch(rows, place))
    return report


def _is_done(path: Path, made_from: str, inside: str) -> bool:
    """See `is_done`. inside: the `contents`, which stores of earlier versions do not record."""
    if not is_done(path, made_from):
        return False
    if (read_meta(path) or {}).get("contents", inside) != inside:
        raise StoreError(f"{path}: was made from other pictures of the same names; choose another --out or remove it")
    return True


@dataclass(frozen=True, slots=True)
class _Face:
    """The face of a still: columns of the store and a JPEG per kind of crop, empty without a face.

    is_readable: whether the file is an image.
    """

    columns: Mapping[str, Any] = field(default_factory=dict)
    jpegs: tuple[bytes, ...] = ()
    is_readable: bool = True


@dataclass(frozen=True, slots=True)
class _FindFaces:
    """What workers apply to stills."""

    finder: OpenFinder
    crops: tuple[Crop, ...]

    def set_up(self, threads: int | None) -> Callable[[Still, Progress], _Face]:
        return partial(_find_face, self.finder(threads), self.crops)


def _find_face(finder: FaceFinder, crops: Sequence[Crop], still: Still, progress: Progress) -> _Face:
    image = read_rgb(still.path)
    if image is None:
        return _Face(is_readable=False)
    found = finder(image, still.box_xyxy)
    if found is None:
        return _Face()
    columns: dict[str, Any] = {"score": found.score}
    if found.box_xyxy is not None:
        columns["box_xyxy"] = found.box_xyxy.tolist()
    if found.landmarks_xy is not None:
        columns["landmarks_xy"] = found.landmarks_xy.reshape(-1).tolist()
    return _Face(columns, tuple(encode_crop(found.cut(image, crop), _JPEG_QUALITY) for crop in crops))


_Row = tuple[dict[str, Any], tuple[bytes, ...]]
"""The columns of a row besides `jpeg`, and the crops of each kind, none without a face."""


def _batches(
    results: Iterator[ItemResult[Still, _Face]], total: int, report: StillsReport, progress: Progress
) -> Iterator[list[_Row]]:
    rows: list[_Row] = []
    for result in results:
        rows.append(_row(result, report))
        progress(report.num_rows, total)
        if len(rows) == _ROWS or report.num_rows == total:
            yield rows
            rows = []


def _batch(rows: Sequence[_Row], place: int) -> pa.RecordBatch:
    """The rows with the crops of the kind at `place`."""
    filled = [{**columns, "jpeg": jpegs[place]} if jpegs else columns for columns, jpegs in rows]
    return pa.RecordBatch.from_pylist(filled, schema=IMAGE_SCHEMA)


def _row(result: ItemResult[Still, _Face], report: StillsReport) -> _Row:
    still, face = result.item, result.outcome
    row = {"image": still.key, "label": None if still.label == UNLABELLED else still.label, "votes": still.votes}
    report.num_rows += 1
    if isinstance(face, AbawError):
        report.failed.append((still.key, face))
        return row, ()
    if not face.is_readable:
        report.unreadable.append(still.key)
    report.num_faces += bool(face.jpegs)
    return {**row, **face.columns}, face.jpegs


def read_rgb(path: Path) -> Image | None:
    """(H, W, 3) RGB; None and DataError as for `read_picture`."""
    return read_picture(path, cv2.IMREAD_COLOR_RGB)
