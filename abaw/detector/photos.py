"""Photos of faces with the boxes and landmarks that a teacher finds in them: the material of training scenes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from abaw.core.artifacts import atomic_path, utf8
from abaw.core.errors import DataError
from abaw.core.progress import Progress, silent
from abaw.importing.still import images_below
from abaw.video.detecting.boxes import SAME_FACE, areas, iou_matrix
from abaw.video.detecting.detections import Detections
from abaw.video.detecting.detector import Detector
from abaw.video.reading.still import read_picture

_LONG_SIDE = 320
"""The teacher sees photos at this size, once unchanged and once mirrored: the mean of both is more stable."""
_BORDER = 0.15
"""Black border as a share of the long side: a face that fills its photo gets a lower score."""
_MIN_SCORE = 0.7
_MAX_SPREAD = 0.035
"""Maximum mean distance of the landmarks from their mean over both passes, as a share of the face's size."""
_TURNED = 0.36
"""A head counts as turned far away if its eyes are closer than this share of the face's width."""


@dataclass(frozen=True, eq=False)
class FacePhotos:
    """N grey photos, each with one face, found by the teacher with confidence.

    names: (N,) file names without suffix; pictures: N of (H, W) uint8; box_xyxy: (N, 4); landmarks_xy: (N, 5, 2), both
    float32 in pixels.
    """

    names: tuple[str, ...]
    pictures: tuple[NDArray[np.uint8], ...]
    box_xyxy: NDArray[np.float32]
    landmarks_xy: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.names)

    def pick(self, rows: Sequence[int] | NDArray[np.int64]) -> FacePhotos:
        return FacePhotos(
            tuple(self.names[row] for row in rows),
            tuple(self.pictures[row] for row in rows),
            self.box_xyxy[rows],
            self.landmarks_xy[rows],
        )

    @cached_property
    def turned(self) -> NDArray[np.int64]:
        """Indices of the photos of heads turned far away, up to profiles."""
        eyes = np.linalg.norm(self.landmarks_xy[:, 0] - self.landmarks_xy[:, 1], axis=1)
        return np.flatnonzero(eyes < _TURNED * (self.box_xyxy[:, 2] - self.box_xyxy[:, 0]))

    def fingerprint(self) -> str:
        """16 hexadecimal digits that identify these photos and labels."""
        digest = hashlib.sha256(self.box_xyxy.tobytes() + self.landmarks_xy.tobytes())
        for name, picture in zip(self.names, self.pictures, strict=True):
            digest.update(utf8(name))
            digest.update(picture.tobytes())
        return digest.hexdigest()[:16]

    def split(self, share: float) -> tuple[FacePhotos, FacePhotos]:
        """Photos to learn from, and those of about `share` of the people, held out.

        A person is the file name without its last `_` and number (`Aaron_Eckhart_0001`), or the whole name if it has no
        number. The split depends on nothing else.
        """
        chance = np.array([_hash_position(re.sub(r"_\d+$", "", name)) for name in self.names])
        return self.pick(np.flatnonzero(chance >= share)), self.pick(np.flatnonzero(chance < share))


def _hash_position(name: str) -> float:
    """0..1, uniform over names."""
    return int.from_bytes(hashlib.sha256(utf8(name)).digest()[:4], "big") / 2**32


def read_photos(folders: Sequence[Path], teacher: Detector, cache: Path, progress: Progress = silent) -> FacePhotos:
    """All photos in folders and their sub-folders in which the teacher finds exactly one face, with confidence.

    The teacher's boxes and landmarks are cached in the file `cache` (.npz) and reused as long as teacher and photos are
    the same. Raises DataError for a folder without photos, for a photo that cannot be read, and if the teacher finds
    no face at all.
    """
    files = [file for folder in folders for file in _photos_of(folder)]
    pictures = [_read(file) for file in files]
    names = [file.stem for file in files]
    key = _fingerprint(teacher.identity, names, pictures)
    labels = _load(cache, key)
    if labels is None:
        labels = _label(pictures, teacher, progress)
        with atomic_path(cache) as temporary, temporary.open("wb") as file:
            np.savez(file, key=np.array(key), labels=labels)
    found = np.flatnonzero(np.isfinite(labels).all(axis=1))
    if not len(found):
        listed = ", ".join(map(str, folders))
        raise DataError(f"{listed}: {teacher.identity} finds no clear face in these {len(files)} photos; check them")
    rows = labels[found]
    return FacePhotos(
        tuple(names[row] for row in found),
        tuple(pictures[row] for row in found),
        rows[:, :4],
        rows[:, 4:].reshape(-1, 5, 2),
    )


def _photos_of(folder: Path) -> list[Path]:
    files = sorted(images_below(folder)) if folder.is_dir() else []
    if not files:
        raise DataError(f"{folder}: contains no photos; give a folder of .jpg or .png files with one face each")
    return files


def _read(file: Path) -> NDArray[np.uint8]:
    picture = read_picture(file, cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise DataError(f"{file}: cannot be read as a picture; remove it or download it again")
    return picture


def _fingerprint(teacher: str, names: Sequence[str], pictures: Sequence[NDArray[np.uint8]]) -> str:
    digest = hashlib.sha256(f"{teacher} {_LONG_SIDE} {_BORDER} {_MIN_SCORE} {_MAX_SPREAD}".encode())
    for name, picture in zip(names, pictures, strict=True):
        digest.update(utf8(f"{name} {picture.shape}"))
        digest.update(picture.tobytes())
    return digest.hexdigest()


def _load(cache: Path, key: str) -> NDArray[np.float32] | None:
    if not cache.is_file():
        return None
    with np.load(cache) as stored:
        return np.asarray(stored["labels"], np.float32) if str(stored["key"]) == key else None


def _label(pictures: Sequence[NDArray[np.uint8]], teacher: Detector, progress: Progress) -> NDArray[np.float32]:
    """(N, 14) box and landmarks, NaN where label_photo finds no clear face."""
    labels = np.full((len(pictures), 14), np.nan, np.float32)
    for index, picture in enumerate(pictures):
        labels[index] = label_photo(picture, teacher)
        progress(index + 1, len(pictures))
    return labels


def label_photo(picture: NDArray[np.uint8], teacher: Detector) -> NDArray[np.float32]:
    """(14,) box and landmarks of the one face of a grey photo (H, W): means over two detector passes.

    NaN if a pass finds no face, a second face elsewhere, or none with a high score, or if the passes disagree.
    """
    nothing = np.full(14, np.nan, np.float32)
    rows = []
    for mirrored in (False, True):
        row = _detect_face(picture, teacher, mirrored)
        if row is None:
            return nothing
        rows.append(row)
    passes = np.stack(rows)
    mean = np.asarray(passes.mean(axis=0), np.float32)
    apart = np.linalg.norm((passes - mean)[:, 4:].reshape(-1, 5, 2), axis=2).mean()
    size = np.sqrt(areas(mean[None, :4])[0])
    return mean if apart <= _MAX_SPREAD * size else nothing


def _detect_face(picture: NDArray[np.uint8], teacher: Detector, mirrored: bool) -> NDArray[np.float32] | None:
    """(14,) box and landmarks in the photo's pixels, None unless the teacher is confident of exactly one face."""
    scale = _LONG_SIDE / max(picture.shape)
    border = round(_BORDER * _LONG_SIDE)
    seen = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    if mirrored:
        seen = np.ascontiguousarray(seen[:, ::-1])
    padded = cv2.copyMakeBorder(seen, border, border, border, border, cv2.BORDER_CONSTANT)
    found = teacher.detect(np.asarray(cv2.cvtColor(padded, cv2.COLOR_GRAY2RGB), np.uint8))
    if not _is_one_face(found):
        return None
    face = found.pick([0]).shifted((-border, -border))
    if mirrored:
        face = face.mirrored(seen.shape[1])
    assert face.landmarks_xy is not None
    values = np.concatenate([face.box_xyxy.ravel(), face.landmarks_xy.ravel()])
    return np.asarray(values / np.float32(scale), np.float32)


def _is_one_face(found: Detections) -> bool:
    if not len(found) or found.landmarks_xy is None or found.score[0] < _MIN_SCORE:
        return False
    return bool((iou_matrix(found.box_xyxy[:1], found.box_xyxy) >= SAME_FACE).all())
