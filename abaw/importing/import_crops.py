"""The official crops, `<video>/00001.jpg`, as faces stores with unchanged JPEG bytes."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa

from abaw.core.artifacts import provenance, value_hash
from abaw.core.errors import DataError
from abaw.core.reading import read_errors
from abaw.stores.faces import VIDEO_SCHEMA, write_video_faces

_CROP = re.compile(r"^(\d+)\.jpe?g$", re.IGNORECASE)
_ROWS = 1024


@dataclass(frozen=True, slots=True)
class CropFolder:
    """The crops of one video. images: file names by frame, from 1; ignored: names of files that are not crops."""

    path: Path
    images: Mapping[int, str]
    ignored: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def last_frame(self) -> int:
        """0 if there is no image."""
        return max(self.images, default=0)


@dataclass(slots=True)
class CropReport:
    """The result of one folder: rows written, and the names of the images that were not complete JPEGs."""

    num_rows: int = 0
    num_faces: int = 0
    bad: list[str] = field(default_factory=list)


def find_crop_folders(paths: Iterable[Path], known: Collection[str] = ()) -> list[Path]:
    """Folders with crops, among the paths and below them, sorted by name.

    known: names of videos; an empty folder of such a name is a video without a face, other empty folders are skipped.
    Raises DataError for a path that is not a folder, a folder without crops, or two videos of the same name.
    """
    found: dict[str, Path] = {}
    for path in paths:
        if not path.is_dir():
            raise DataError(f"{path}: no such folder")
        below = [
            Path(folder)
            for folder, inside, files in os.walk(path)
            if any(map(_CROP.match, files)) or (not inside and not files and Path(folder).name in known)
        ]
        if not below:
            raise DataError(f"{path}: contains no crops; expected <video>/00001.jpg in it or in folders below")
        for folder in below:
            other = found.setdefault(folder.resolve().name, folder)
            if other.resolve() != folder.resolve():
                raise DataError(
                    f"two folders are named '{folder.name}': {other} and {folder}; remove one of them, or import "
                    "them separately, each with its own --out"
                )
    return [found[name] for name in sorted(found)]


def list_crops(folder: Path) -> CropFolder:
    """List one folder. Raises DataError for two images of one frame, or a frame numbered 0."""
    images: dict[int, str] = {}
    ignored: list[str] = []
    for name in sorted(os.listdir(folder)):
        match = _CROP.match(name)
        if match is None:
            ignored.append(name)
            continue
        frame = int(match[1])
        if frame < 1:
            raise DataError(f"{folder / name}: frames are counted from 1; rename the images")
        other = images.setdefault(frame, name)
        if other != name:
            raise DataError(f"{folder}: {other} and {name} are both frame {frame}; remove one of them")
    return CropFolder(folder.resolve(), images, tuple(ignored))


def fingerprint(crops: CropFolder, num_frames: int) -> str:
    """Identifies the files of the folder (names and sizes) and the number of rows."""
    sizes = [[name, (crops.path / name).stat().st_size] for name in crops.images.values()]
    return value_hash({"files": sizes, "num_frames": num_frames})


def import_crops(crops: CropFolder, path: Path, num_frames: int | None = None) -> CropReport:
    """Write one store: one row per frame, from 1 to the largest number, or to `num_frames` if that is larger.

    A frame without an image, or whose image is not a complete JPEG, becomes a row without a face. There are no boxes,
    landmarks, scores or times. Raises StorageError if writing fails and DataError if an image cannot be read.
    """
    report = CropReport(num_rows=max(crops.last_frame, num_frames or 0))
    meta = provenance(
        source="crops",
        frames=report.num_rows,
        images=len(crops.images),
        fingerprint=fingerprint(crops, report.num_rows),
    )
    write_video_faces(path, _batches(crops, report), meta)
    return report


def _batches(crops: CropFolder, report: CropReport) -> Iterator[pa.RecordBatch]:
    for start in range(1, report.num_rows + 1, _ROWS):
        frames = range(start, min(start + _ROWS, report.num_rows + 1))
        jpegs = [_read(crops, frame, report) for frame in frames]
        report.num_faces += sum(jpeg is not None for jpeg in jpegs)
        yield _batch(frames, jpegs)


def _read(crops: CropFolder, frame: int, report: CropReport) -> bytes | None:
    name = crops.images.get(frame)
    if name is None:
        return None
    file = crops.path / name
    with read_errors(file, "not readable"):
        data = file.read_bytes()
    if is_whole_jpeg(data):
        return data
    report.bad.append(name)
    return None


def is_whole_jpeg(data: bytes) -> bool:
    """True if the bytes start and end like a JPEG and decode; a truncated file is not whole."""
    if not data.startswith(b"\xff\xd8") or not data.rstrip(b"\x00").endswith(b"\xff\xd9"):
        return False
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is not None
    except cv2.error:
        return False


def _batch(frames: range, jpegs: Sequence[bytes | None]) -> pa.RecordBatch:
    given = {"frame": pa.array(frames, pa.int32()), "jpeg": pa.array(jpegs, pa.binary())}
    columns = [
        given[column.name] if column.name in given else pa.nulls(len(frames), column.type) for column in VIDEO_SCHEMA
    ]
    return pa.record_batch(columns, schema=VIDEO_SCHEMA)
