"""Training scenes that are parts of natural pictures, scaled, mirrored and slightly rotated."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from abaw.detector.augment import damage, dim, relight
from abaw.detector.natural import HardNegatives, NaturalPictures
from abaw.detector.scenes import Scene, half_size, inside
from abaw.detector.settings import SceneSettings
from abaw.video.detecting.detections import MIRRORED

_VISIBLE = 0.6
_DEGREES = 6.0
_SCALES = (0.35, 1.6)
"""Limits of the zoom into a picture."""
_FILLED = 0.75
"""Minimum share of the scene's side that the longer side of the picture fills."""
_SHRUNK = 0.7
"""Below this scale, pixels are averaged before the picture is rotated."""
_LARGEST = 0.8
"""Width of the largest face that a scene is zoomed to, in sides of the scene."""
_MARGIN = 0.12
"""Minimum distance from the edge, in sides of the scene, of the centre of what it shows."""
_RELIT, _DIMMED, _DAMAGED = 0.3, 0.5, 0.4
"""How often the light changes, how much less often than in composed scenes it is dim, how often the camera damages."""


def natural_scene(
    natural: NaturalPictures, hard: HardNegatives, settings: SceneSettings, side: int, rng: np.random.Generator
) -> Scene:
    """A square part of `side` pixels of one of the pictures, around a face, a hard negative or any point."""
    index, focus, scale = _choose(natural, hard, settings, side, rng)
    picture, faces, unsure = natural.pictures[index], natural.faces[index], natural.unsure[index]
    linear = _linear(scale, rng)
    offset = np.full(2, side / 2) - linear @ _middle(picture, focus, side / scale, rng)
    box, points = _moved(faces, linear, offset)
    unsure_box, _ = _moved(np.concatenate([unsure, np.zeros((len(unsure), 10), np.float32)], axis=1), linear, offset)
    seen = _warped(picture, linear, offset, side)
    if rng.random() < _RELIT:
        seen = relight(seen, rng)
    if rng.random() < _DIMMED * settings.dark:
        seen = dim(seen, rng)
    if rng.random() < _DAMAGED:
        seen = damage(seen, rng)
    counts = (inside(box, side) >= _VISIBLE) & (box[:, 2] - box[:, 0] >= settings.smallest)
    return Scene(
        seen,
        np.concatenate([box, unsure_box]),
        np.concatenate([points, np.zeros((len(unsure), 5, 2), np.float32)]),
        np.concatenate([counts, np.zeros(len(unsure), bool)]),
    )


def whole_scene(natural: NaturalPictures, index: int, smallest: float) -> Scene:
    """A whole picture, extended to whole strides."""
    picture, faces, unsure = natural.pictures[index], natural.faces[index], natural.unsure[index]
    bottom, right = (-picture.shape[0] % 32, -picture.shape[1] % 32)
    padded = cv2.copyMakeBorder(picture, 0, bottom, 0, right, cv2.BORDER_CONSTANT)
    return Scene(
        np.asarray(padded, np.uint8),
        np.concatenate([faces[:, :4], unsure]),
        np.concatenate([faces[:, 4:].reshape(-1, 5, 2), np.zeros((len(unsure), 5, 2), np.float32)]),
        np.concatenate([faces[:, 2] - faces[:, 0] >= smallest, np.zeros(len(unsure), bool)]),
    )


def _choose(
    natural: NaturalPictures, hard: HardNegatives, settings: SceneSettings, side: int, rng: np.random.Generator
) -> tuple[int, NDArray[np.float64], float]:
    """Index of a picture, the point (2,) to show, and the scale."""
    chance = rng.random()
    with_faces = natural.with_faces
    width = None
    if len(hard) and chance < settings.hard:
        row = int(rng.choice(len(hard), p=hard.chance))
        index, box = int(hard.picture[row]), hard.box_xyxy[row].astype(np.float64)
    elif len(with_faces) and (chance >= settings.hard + settings.plain or len(with_faces) == len(natural)):
        index = int(rng.choice(with_faces))
        box = natural.faces[index][int(rng.integers(len(natural.faces[index]))), :4].astype(np.float64)
        width = np.exp(rng.uniform(np.log(settings.smallest), np.log(_LARGEST * side)))
    else:
        index = int(rng.integers(len(natural)))
        box = np.tile(rng.uniform(0, 1, 2) * natural.pictures[index].shape[::-1], 2)
    lowest = min(1.0, max(_SCALES[0], _FILLED * side / max(natural.pictures[index].shape)))
    if width is None:
        scale = float(np.exp(rng.uniform(np.log(lowest), np.log(_SCALES[1]))))
    else:
        scale = float(np.clip(width / (box[2] - box[0]), lowest, _SCALES[1]))
    return index, (box[:2] + box[2:]) / 2, scale


def _middle(
    picture: NDArray[np.uint8], focus: NDArray[np.float64], reach: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """(2,) the point in the middle of a scene that shows `reach` pixels of the picture, with the focus in it.

    As little as possible of the scene is outside the picture.
    """
    size = np.array(picture.shape[::-1], np.float64)
    middle = focus + rng.uniform(_MARGIN - 0.5, 0.5 - _MARGIN, 2) * reach
    low, high = np.minimum(reach / 2, size - reach / 2), np.maximum(reach / 2, size - reach / 2)
    return np.asarray(np.clip(middle, low, high), np.float64)


def _linear(scale: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """(2, 2): scale, rotation and perhaps a reflection."""
    angle = np.deg2rad(rng.normal(0, _DEGREES))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    mirror = np.diag([-1.0 if rng.random() < 0.5 else 1.0, 1.0])
    return np.asarray(scale * turn @ mirror, np.float64)


def _moved(
    rows: NDArray[np.float32], linear: NDArray[np.float64], offset: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes (F, 4) and landmarks (F, 5, 2) of rows (F, 14) after the transform."""
    boxes, points = np.zeros((len(rows), 4), np.float32), np.zeros((len(rows), 5, 2), np.float32)
    mirrored = np.linalg.det(linear) < 0
    for index, row in enumerate(rows.astype(np.float64)):
        centre, half = linear @ ((row[:2] + row[2:4]) / 2) + offset, half_size(linear, row[:4])
        boxes[index] = np.concatenate([centre - half, centre + half])
        places = row[4:].reshape(5, 2) @ linear.T + offset
        points[index] = places[list(MIRRORED)] if mirrored else places
    return boxes, points


def _warped(
    picture: NDArray[np.uint8], linear: NDArray[np.float64], offset: NDArray[np.float64], side: int
) -> NDArray[np.uint8]:
    """The picture (H, W) on a square of `side` pixels, black around it."""
    scale = float(np.sqrt(abs(np.linalg.det(linear))))
    if scale < _SHRUNK:
        size = (max(4, round(picture.shape[1] * scale)), max(4, round(picture.shape[0] * scale)))
        linear = linear / (np.array(size) / picture.shape[::-1])
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    # The centre of pixel 0 is at 0.5 in the coordinates of boxes and landmarks, and at 0 in OpenCV's.
    matrix = np.concatenate([linear, (offset + linear @ [0.5, 0.5] - 0.5)[:, None]], axis=1)
    return np.asarray(cv2.warpAffine(picture, matrix, (side, side), flags=cv2.INTER_LINEAR), np.uint8)
