"""Natural pictures with the faces that a teacher finds in them: training scenes as they are, and hard negatives."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from abaw.core.artifacts import atomic_path
from abaw.core.errors import DataError
from abaw.core.progress import Progress, silent
from abaw.detector.passes import detect_at, face_row
from abaw.detector.photos import FacePhotos, hash_position, pictures_fingerprint, read_or_refuse
from abaw.importing.still import images_below, key_of
from abaw.video.detecting.boxes import areas, iou_matrix
from abaw.video.detecting.detections import Detections
from abaw.video.detecting.detector import Detector

_LONG_SIDES = (320, 480)
"""The teacher sees pictures at these sizes, each unchanged and mirrored."""
_SURE = 0.6
_MIN_SURE = 2
"""A face is certain if this many of the four passes find it with this score."""
_UNSURE = 0.5
"""What one pass finds with this score, without being certain, is neither learned as a face nor as background."""
SEEN = 0.3
"""Score from which the teacher's answers are looked at: they help to place a face that other passes are certain of."""
_SAME = 0.4
"""Overlap (IoU) of one face in two passes."""
_SMALLEST_PHOTO = 24.0
_SURROUNDINGS = 0.6
"""What is shown around a face that becomes a photo, on each side, in sizes of the face."""
_MINED_SIDES = (288, 480)
MINED = 0.25
"""Score from which a false detection is a hard negative."""
_SMALLEST_MINED = 12.0
"""Pixels: what is smaller may be a face that the teacher cannot see."""
_TOUCHES = 0.1
"""A detection that overlaps a face or something unsure this much (IoU) is not false."""

TRAINING, SCORED, SET_ASIDE = 0, 1, 2


@dataclass(frozen=True, eq=False)
class NaturalPictures:
    """N grey pictures and their faces.

    names: path below the folder; pictures: N of (H, W) uint8; faces: N of (F, 14) float32, box and landmarks in pixels;
    unsure: N of (U, 4) boxes of what may be a face.
    """

    names: tuple[str, ...]
    pictures: tuple[NDArray[np.uint8], ...]
    faces: tuple[NDArray[np.float32], ...]
    unsure: tuple[NDArray[np.float32], ...]

    def __len__(self) -> int:
        return len(self.names)

    def pick(self, rows: Sequence[int] | NDArray[np.int64]) -> NaturalPictures:
        return NaturalPictures(
            tuple(self.names[row] for row in rows),
            tuple(self.pictures[row] for row in rows),
            tuple(self.faces[row] for row in rows),
            tuple(self.unsure[row] for row in rows),
        )

    @cached_property
    def with_faces(self) -> NDArray[np.int64]:
        """Indices of the pictures with certain faces."""
        return np.flatnonzero([len(faces) > 0 for faces in self.faces])

    @cached_property
    def empty(self) -> NDArray[np.int64]:
        """Indices of the pictures in which the teacher finds nothing, not even something unsure."""
        pairs = zip(self.faces, self.unsure, strict=True)
        return np.flatnonzero([not len(faces) and not len(unsure) for faces, unsure in pairs])

    def fingerprint(self) -> str:
        """16 hexadecimal digits that identify these pictures and labels."""
        digest = hashlib.sha256(_fingerprint("", self.names, self.pictures).encode())
        for part in (*self.faces, *self.unsure):
            digest.update(part.tobytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class HardNegatives:
    """M places where a detector finds a face that is none. picture: (M,) index; box_xyxy: (M, 4); score: (M,)."""

    picture: NDArray[np.int64]
    box_xyxy: NDArray[np.float32]
    score: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.picture)

    @cached_property
    def chance(self) -> NDArray[np.float64]:
        """(M,) how often each is drawn: the more confident the mistake, the more often."""
        weight = self.score.astype(np.float64) ** 2
        return np.asarray(weight / weight.sum(), np.float64)


NO_PICTURES = NaturalPictures((), (), (), ())
NO_NEGATIVES = HardNegatives(np.zeros(0, np.int64), np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


def parts_of(names: Sequence[str], share: float) -> NDArray[np.int64]:
    """(N,) TRAINING, SCORED or SET_ASIDE for each picture.

    The pictures of each folder are ordered by the SHA-256 of their names (path below the root, with `/`). The first
    `share` of them, rounded, are set aside; as many after them are scored.
    """
    parts = np.full(len(names), TRAINING, np.int64)
    folders: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        folders.setdefault(name.rpartition("/")[0], []).append(index)
    for rows in folders.values():
        rows.sort(key=lambda row: hash_position(names[row]))
        count = round(share * len(rows))
        parts[rows[:count]] = SET_ASIDE
        parts[rows[count : 2 * count]] = SCORED
    return parts


def faces_of(natural: NaturalPictures) -> FacePhotos:
    """Each certain face of at least 24 pixels as a photo, with its surroundings."""
    names, pictures, boxes, landmarks = [], [], [], []
    for name, picture, faces in zip(natural.names, natural.pictures, natural.faces, strict=True):
        for number, face in enumerate(faces):
            box, points = face[:4].astype(np.float64), face[4:].reshape(5, 2)
            size = float(np.sqrt(areas(face[None, :4])[0]))
            if size < _SMALLEST_PHOTO:
                continue
            reach = _SURROUNDINGS * size
            low = np.clip(np.floor(box[:2] - reach), 0, None).astype(int)
            high = np.clip(np.ceil(box[2:] + reach), None, picture.shape[1::-1]).astype(int)
            names.append(f"{name}#{number}")
            pictures.append(np.ascontiguousarray(picture[low[1] : high[1], low[0] : high[0]]))
            boxes.append((box.reshape(2, 2) - low).ravel())
            landmarks.append(points - low)
    return FacePhotos(
        tuple(names),
        tuple(pictures),
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(landmarks, np.float32).reshape(-1, 5, 2),
    )


def read_natural(folder: Path, teacher: Detector, cache: Path, progress: Progress = silent) -> NaturalPictures:
    """All pictures in a folder and its sub-folders, with the faces that the teacher finds.

    teacher: should return faces from a score of SEEN. Its answers are cached in the folder `cache` and reused as long
    as teacher and pictures are the same. Raises DataError for a folder without pictures, or a picture that cannot be
    read.
    """
    files = sorted(images_below(folder)) if folder.is_dir() else []
    if not files:
        raise DataError(f"{folder}: contains no pictures; give a folder of .jpg or .png files")
    names = tuple(key_of(file, folder) for file in files)
    pictures = tuple(
        np.asarray(cv2.cvtColor(read_or_refuse(file, cv2.IMREAD_COLOR_RGB), cv2.COLOR_RGB2GRAY), np.uint8)
        for file in files
    )
    stored = cache / f"scenes_{_fingerprint(teacher.identity, names, pictures)}.npz"
    if not stored.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        rows = []
        for index, file in enumerate(files):
            found = label_picture(read_or_refuse(file, cv2.IMREAD_COLOR_RGB), teacher)
            rows.append(np.concatenate([np.full((len(found), 1), index, np.float32), found], axis=1))
            progress(index + 1, len(files))
        with atomic_path(stored) as temporary, temporary.open("wb") as target:
            np.savez(target, labels=np.concatenate(rows))
    with np.load(stored) as arrays:
        labels = np.asarray(arrays["labels"], np.float32)
    by_picture = [labels[labels[:, 0] == index, 1:] for index in range(len(files))]
    return NaturalPictures(
        names,
        pictures,
        tuple(rows[rows[:, 0] >= _MIN_SURE, 2:] for rows in by_picture),
        tuple(rows[(rows[:, 0] < _MIN_SURE) & (rows[:, 1] >= _UNSURE), 2:6] for rows in by_picture),
    )


def _fingerprint(teacher: str, names: Sequence[str], pictures: Sequence[NDArray[np.uint8]]) -> str:
    return pictures_fingerprint(f"{teacher} {_LONG_SIDES} {_SURE} {SEEN} {_SAME}", names, pictures)


def label_picture(picture: NDArray[np.uint8], teacher: Detector) -> NDArray[np.float32]:
    """(K, 16) what the teacher finds in an RGB picture, in four passes at two sizes, each unchanged and mirrored.

    How many passes find it with a score of _SURE, its best score, box and landmarks. These are means over those passes,
    or over all if there are none.
    """
    passes = [detect_at(picture, teacher, side, mirrored) for side in _LONG_SIDES for mirrored in (False, True)]
    found = Detections.join(passes)
    labels = []
    left = np.arange(len(found))
    while len(left):
        same = iou_matrix(found.box_xyxy[left[:1]], found.box_xyxy[left])[0] >= _SAME
        same[0] = True
        group, left = left[same], left[~same]
        sure = group[found.score[group] >= _SURE]
        values = np.stack([face_row(found, int(row)) for row in (sure if len(sure) else group)]).mean(axis=0)
        labels.append(np.concatenate([[len(sure), found.score[group].max()], values]))
    return np.stack(labels).astype(np.float32) if labels else np.empty((0, 16), np.float32)


def mine(natural: NaturalPictures, detector: Detector, progress: Progress = silent) -> HardNegatives:
    """What a detector takes for a face, at several sizes, where the teacher finds nothing."""
    index, boxes, scores = [], [], []
    for number, picture in enumerate(natural.pictures):
        seen = np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB), np.uint8)
        found = Detections.join([detect_at(seen, detector, side, False) for side in _MINED_SIDES])
        known = np.concatenate([natural.faces[number][:, :4], natural.unsure[number]])
        new = (iou_matrix(found.box_xyxy, known) < _TOUCHES).all(axis=1) & (found.score >= MINED)
        new &= np.sqrt(areas(found.box_xyxy)) >= _SMALLEST_MINED
        index += [number] * int(new.sum())
        boxes.append(found.box_xyxy[new])
        scores.append(found.score[new])
        progress(number + 1, len(natural))
    if not index:
        return NO_NEGATIVES
    return HardNegatives(np.array(index, np.int64), np.concatenate(boxes), np.concatenate(scores))
