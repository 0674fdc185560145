"""The official crops, `<video>/00001.jpg`, as faces stores with unchanged JPEG bytes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa

from abaw.core.artifacts import provenance, value_hash
from abaw.core.config import to_plain
from abaw.core.errors import DataError
from abaw.core.folders import is_system_file, names_in, walk
from abaw.core.reading import read_errors
from abaw.core.text import listed
from abaw.protocol.layout import IMAGE_SUFFIXES
from abaw.stores.crop import ALIGNED_PIXELS, Crop
from abaw.stores.faces import VIDEO_SCHEMA, write_video_faces

_CROP = re.compile(r"([0-9]{1,9})\.jpe?g", re.IGNORECASE)
_LONGEST_GAP = 30_000
_GAP_PER_IMAGE = 10
"""A longer gap, in frames and in frames per image, is no absence of the face: a file of another kind has a number."""
_SHOWN = 3
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


def find_crop_folders(
    paths: Iterable[Path], known: Collection[str] = (), skipped: list[Path] | None = None
) -> list[Path]:
    """Folders with images, among the paths and below them, sorted by name.

    A folder whose images are not named like crops is among them, for `list_crops` to refuse, unless it holds other
    folders. known: names of videos; an empty folder of such a name is a video without a face, other empty folders are
    added to `skipped`. What operating systems leave is ignored. Raises DataError for a path that is not a folder, a
    folder without images, or two videos of the same name.
    """
    found: dict[str, Path] = {}
    refused: list[Path] = []
    for path in paths:
        if not path.is_dir():
            raise DataError(f"{path}: no such folder")
        below, without, empty = _walk(path, known)
        if skipped is not None:
            skipped += empty
        if not below and not without:
            raise DataError(f"{path}: contains no crops; expected <video>/00001.jpg in it or in folders below")
        refused += without
        for folder in below:
            other = found.setdefault(folder.resolve().name, folder)
            if other.resolve() != folder.resolve():
                raise DataError(
                    f"two folders are named '{folder.name}': {other} and {folder}; remove one of them, or import "
                    "them separately, each with its own --out"
                )
    return sorted({*found.values(), *refused}, key=lambda folder: (folder.resolve().name, folder))


def _walk(path: Path, known: Collection[str]) -> tuple[list[Path], list[Path], list[Path]]:
    """The folders of videos in and below `path`; those that hold images of other names and no folder; empty ones."""
    videos, others, empty = [], [], []
    for place, inside, names in walk(path):
        inside[:] = sorted(name for name in inside if not is_system_file(name))
        folder, files = Path(place), [name for name in names if not is_system_file(name)]
        is_empty = not inside and not files
        if any(map(_CROP.fullmatch, files)) or (is_empty and folder.resolve().name in known):
            videos.append(folder)
        elif not inside and any(Path(name).suffix.lower() in IMAGE_SUFFIXES for name in files):
            others.append(folder)
        elif is_empty:
            empty.append(folder)
    return videos, others, empty


def list_crops(folder: Path, num_frames: int = 0) -> CropFolder:
    """List one folder. num_frames: the length of the video as far as it is known from elsewhere.

    Raises DataError when no image has the name of a crop, for two images of one frame, a frame numbered 0, or a gap
    between the numbers that is too long to be real.
    """
    images: dict[int, str] = {}
    ignored: list[str] = []
    for name in (name for name in names_in(folder) if not is_system_file(name)):
        match = _CROP.fullmatch(name)
        if match is None:
            ignored.append(name)
            continue
        frame = int(match[1])
        if frame < 1:
            raise DataError(f"{folder / name}: frames are counted from 1; add 1 to the numbers of all images here")
        other = images.setdefault(frame, name)
        if other != name:
            raise DataError(f"{folder}: {other} and {name} are both frame {frame}; remove one of them")
    if ignored and not images:
        raise DataError(
            f"{folder}: none of its {len(ignored)} files is named like a crop: {listed(ignored, _SHOWN)}; expected "
            "00001.jpg (the frame's number alone, a JPEG); rename or convert them; import-images reads other images"
        )
    _require_possible(folder, images, num_frames)
    return CropFolder(folder.resolve(), images, tuple(ignored))


def _require_possible(folder: Path, images: Mapping[int, str], num_frames: int) -> None:
    """Raise DataError for a gap that is too long to be real, unless it is within the known length of the video."""
    longest = max(_LONGEST_GAP, _GAP_PER_IMAGE * len(images))
    for before, frame in pairwise((0, *sorted(images))):
        if frame - before > longest and frame > num_frames:
            raise DataError(
                f"{folder / images[frame]}: {frame - before - 1:,} frames without an image before it, in a folder of "
                f"{len(images):,} images; move it elsewhere if it is no crop of this video, or give --annotations or "
                "--template, which say how long the video is"
            )


def fingerprint(crops: CropFolder, num_frames: int) -> str:
    """Identifies the files of the folder (names and sizes) and the number of rows."""
    sizes = [[name, (crops.path / name).stat().st_size] for name in crops.images.values()]
    return value_hash({"files": sizes, "num_frames": num_frames})


def import_crops(crops: CropFolder, path: Path, num_frames: int | None = None) -> CropReport:
    """Write one store: one row per frame, from 1 to the largest number, or to `num_frames` if that is larger.

    A frame without an image, or whose image is not a complete JPEG, becomes a row without a face. There are no boxes,
    landmarks, scores or times. The size of the first image says the kind of crop. Raises StorageError if writing fails
    and DataError if an image cannot be read.
    """
    report = CropReport(num_rows=max(crops.last_frame, num_frames or 0))
    meta = provenance(
        source="crops",
        frames=report.num_rows,
        images=len(crops.images),
        crop=to_plain(_kind_of(crops)),
        fingerprint=fingerprint(crops, report.num_rows),
    )
    write_video_faces(path, _batches(crops, report), meta)
    return report


def _kind_of(crops: CropFolder) -> Crop:
    """official:112 if the first complete image has that size (or there is none), otherwise `other` with its size."""
    files = (_bytes(crops.path / crops.images[frame]) for frame in sorted(crops.images))
    jpeg = next(filter(is_whole_jpeg, files), None)
    image = None if jpeg is None else cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    pixels = ALIGNED_PIXELS if image is None else max(image.shape[:2])
    return Crop("official" if pixels == ALIGNED_PIXELS else "other", pixels)


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
    data = _bytes(crops.path / name)
    if is_whole_jpeg(data):
        return data
    report.bad.append(name)
    return None


def _bytes(file: Path) -> bytes:
    with read_errors(file, "not readable"):
        return file.read_bytes()


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
