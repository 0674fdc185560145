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
from abaw.core.errors import ConfigError, DataError
from abaw.core.progress import Progress, silent
from abaw.detector.passes import detect_at, face_row
from abaw.importing.still import images_below
from abaw.video.detecting.boxes import SAME_FACE, areas, iou_matrix
from abaw.video.detecting.detections import Detections
from abaw.video.detecting.detector import Detector
from abaw.video.detecting.regions import own_face
from abaw.video.reading.still import read_picture

_LONG_SIDES = (208, 160)
"""The teacher sees photos at these sizes, each unchanged and mirrored: the mean over the passes is more precise."""
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

    def joined(self, others: FacePhotos) -> FacePhotos:
        return FacePhotos(
            self.names + others.names,
            self.pictures + others.pictures,
            np.concatenate([self.box_xyxy, others.box_xyxy]),
            np.concatenate([self.landmarks_xy, others.landmarks_xy]),
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
        chance = np.array([hash_position(re.sub(r"_\d+$", "", name)) for name in self.names])
        return self.pick(np.flatnonzero(chance >= share)), self.pick(np.flatnonzero(chance < share))


def split_photos(photos: FacePhotos, holdout: float) -> tuple[FacePhotos, FacePhotos]:
    """`FacePhotos.split`. Raises ConfigError if there are no photos to learn from or none to score on."""
    training, held_out = photos.split(holdout)
    if not len(training) or not len(held_out):
        raise ConfigError(
            f"{len(photos)} photos make {len(training)} to learn from and {len(held_out)} to score on: give more "
            f"photos or another holdout ({holdout})"
        )
    return training, held_out


def hash_position(name: str) -> float:
    """0..1, uniform over names."""
    return int.from_bytes(hashlib.sha256(utf8(name)).digest()[:4], "big") / 2**32


def read_photos(folders: Sequence[Path], teacher: Detector, cache: Path, progress: Progress = silent) -> FacePhotos:
    """All photos in folders and their sub-folders in which the teacher finds exactly one face, with confidence.

    The teacher's boxes and landmarks are cached in the folder `cache`, one file (.npz) per folder of photos, and reused
    as long as teacher and photos are the same. Raises DataError for a folder without photos, for a photo that cannot be
    read, and if the teacher finds no face at all.
    """
    names: list[str] = []
    pictures: list[NDArray[np.uint8]] = []
    labels = [np.empty((0, 14), np.float32)]
    for folder in folders:
        files = _photos_of(folder)
        grey = [read_or_refuse(file, cv2.IMREAD_GRAYSCALE) for file in files]
        labels.append(_cached_labels(files, grey, teacher, cache, progress))
        names += [file.stem for file in files]
        pictures += grey
    rows = np.concatenate(labels)
    found = np.flatnonzero(np.isfinite(rows).all(axis=1))
    if not len(found):
        listed = ", ".join(map(str, folders))
        raise DataError(f"{listed}: {teacher.identity} finds no clear face in these {len(rows)} photos; check them")
    return FacePhotos(
        tuple(names[row] for row in found),
        tuple(pictures[row] for row in found),
        rows[found, :4],
        rows[found, 4:].reshape(-1, 5, 2),
    )


def _cached_labels(
    files: Sequence[Path], pictures: Sequence[NDArray[np.uint8]], teacher: Detector, cache: Path, progress: Progress
) -> NDArray[np.float32]:
    """(N, 14) as `label_photo` returns them, from the cache if it has them."""
    settings = f"{teacher.identity} {_LONG_SIDES} {_BORDER} {_MIN_SCORE} {_MAX_SPREAD}"
    key = pictures_fingerprint(settings, [file.stem for file in files], pictures)
    stored = cache / f"photos_{key}.npz"
    if stored.is_file():
        with np.load(stored) as arrays:
            return np.asarray(arrays["labels"], np.float32)
    labels = np.full((len(pictures), 14), np.nan, np.float32)
    for index, picture in enumerate(pictures):
        labels[index] = label_photo(picture, teacher)
        progress(index + 1, len(pictures))
    cache.mkdir(parents=True, exist_ok=True)
    with atomic_path(stored) as temporary, temporary.open("wb") as file:
        np.savez(file, labels=labels)
    return labels


def _photos_of(folder: Path) -> list[Path]:
    files = sorted(images_below(folder)) if folder.is_dir() else []
    if not files:
        raise DataError(f"{folder}: contains no photos; give a folder of .jpg or .png files with one face each")
    return files


def read_or_refuse(file: Path, mode: int) -> NDArray[np.uint8]:
    """A picture by one of OpenCV's modes. Raises DataError for a file that is none."""
    picture = read_picture(file, mode)
    if picture is None:
        raise DataError(f"{file}: cannot be read as a picture; remove it or download it again")
    return picture


def pictures_fingerprint(settings: str, names: Sequence[str], pictures: Sequence[NDArray[np.uint8]]) -> str:
    """16 hexadecimal digits for what is done with pictures, and for their names and pixels."""
    digest = hashlib.sha256(settings.encode())
    for name, picture in zip(names, pictures, strict=True):
        digest.update(utf8(f"{name} {picture.shape}"))
        digest.update(picture.tobytes())
    return digest.hexdigest()[:16]


def label_photo(picture: NDArray[np.uint8], teacher: Detector) -> NDArray[np.float32]:
    """(14,) box and landmarks of the one face of a grey photo (H, W): means over passes at several sizes and mirrored.

    NaN if one of the passes at the first size finds no face, a second face elsewhere, or none with a high score, or if
    the passes disagree. Passes at the other sizes that do not find the face are left out of the mean.
    """
    nothing = np.full(14, np.nan, np.float32)
    rows: list[NDArray[np.float32]] = []
    seen = np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB), np.uint8)
    for size in _LONG_SIDES:
        for mirrored in (False, True):
            found = detect_at(seen, teacher, size, mirrored, _BORDER)
            if size != _LONG_SIDES[0]:
                same = None if not len(found) else own_face(found, np.stack(rows)[:, :4].mean(axis=0))
                rows += [] if same is None else [face_row(found, same)]
            elif _is_one_face(found):
                rows.append(face_row(found, 0))
            else:
                return nothing
    passes = np.stack(rows)
    mean = np.asarray(passes.mean(axis=0), np.float32)
    apart = np.linalg.norm((passes - mean)[:, 4:].reshape(-1, 5, 2), axis=2).mean()
    face = np.sqrt(areas(mean[None, :4])[0])
    return mean if apart <= _MAX_SPREAD * face else nothing


def _is_one_face(found: Detections) -> bool:
    if not len(found) or found.landmarks_xy is None or found.score[0] < _MIN_SCORE:
        return False
    return bool((iou_matrix(found.box_xyxy[:1], found.box_xyxy) >= SAME_FACE).all())
