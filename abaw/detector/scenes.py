"""Composed training scenes of the face detector: faces pasted on backdrops, with exactly known places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from abaw.detector.augment import cover, damage, dim, relight, turn_head
from abaw.detector.backdrops import backdrop, lure
from abaw.detector.photos import FacePhotos
from abaw.detector.settings import SceneSettings
from abaw.video.detecting.boxes import areas
from abaw.video.detecting.detections import MIRRORED

_TRIES = 6
_MAX_FACES = 7
_VISIBLE = 0.6
"""Minimum share of its box inside the scene for a face to be learned; with less it is ignored by the loss."""
_MAX_LURES = 3
_LARGEST_ZOOM = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A grey picture and its F faces.

    picture: (S, S) uint8; box_xyxy: (F, 4); landmarks_xy: (F, 5, 2); counts: (F,) False for a face that is
    ignored because too little of it is in the picture.
    """

    picture: NDArray[np.uint8]
    box_xyxy: NDArray[np.float32]
    landmarks_xy: NDArray[np.float32]
    counts: NDArray[np.bool_]


def make_scene(
    photos: FacePhotos,
    backgrounds: Sequence[NDArray[np.uint8]],
    settings: SceneSettings,
    side: int,
    rng: np.random.Generator,
) -> Scene:
    """One scene of `side` pixels. backgrounds: grey pictures (H, W) without faces, possibly none."""
    picture = backdrop(side, backgrounds, rng)
    taken = np.zeros((0, 4), np.float32)
    points = np.zeros((0, 5, 2), np.float32)
    claimed = np.zeros((0, 4), np.float32)
    for _ in range(_num_faces(settings, rng)):
        width = _width(settings, side, rng)
        for _ in range(_TRIES):
            placed = _place(photos, width, settings, side, rng)
            if not _touches(placed.claim_xyxy, claimed):
                _paste(picture, placed, settings, rng)
                taken = np.concatenate([taken, placed.box_xyxy[None]])
                points = np.concatenate([points, placed.landmarks_xy[None]])
                claimed = np.concatenate([claimed, placed.claim_xyxy[None]])
                break
    if rng.random() < 0.5:
        _add_lures(picture, photos, settings, claimed, rng)
    if rng.random() < settings.dark:
        picture = dim(picture, rng)
    return Scene(damage(picture, rng), taken, points, inside(taken, side) >= _VISIBLE)


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """A face with its place in a scene. source: photo (H, W), mirrored and shrunk; matrix: (2, 3) from it to the scene;
    claim_xyxy: the part of the scene that the pasted photo covers."""

    source: NDArray[np.uint8]
    matrix: NDArray[np.float64]
    source_box: NDArray[np.float64]
    box_xyxy: NDArray[np.float32]
    landmarks_xy: NDArray[np.float32]
    claim_xyxy: NDArray[np.float32]


def _num_faces(settings: SceneSettings, rng: np.random.Generator) -> int:
    if rng.random() < settings.empty:
        return 0
    return 1 if rng.random() < 0.4 else int(rng.integers(2, _MAX_FACES + 1))


def _width(settings: SceneSettings, side: int, rng: np.random.Generator) -> float:
    low, high = np.log(settings.smallest), np.log(settings.largest * side)
    return float(np.exp(rng.uniform(low, high)))


def _place(photos: FacePhotos, width: float, settings: SceneSettings, side: int, rng: np.random.Generator) -> _Placed:
    """A random photo at a random place, its face `width` wide. Large faces may extend beyond the scene."""
    index = _choose(photos, width, settings, rng)
    source, box, points = photos.pictures[index], photos.box_xyxy[index], photos.landmarks_xy[index]
    box, points = box.astype(np.float64), points.astype(np.float64)
    if rng.random() < 0.5:
        right = source.shape[1]
        source = np.ascontiguousarray(source[:, ::-1])
        box = np.array([right - box[2], box[1], right - box[0], box[3]])
        points = np.stack([right - points[:, 0], points[:, 1]], axis=1)[list(MIRRORED)]
    scale = width / (box[2] - box[0])
    if rng.random() < settings.turned:
        source, box, points = turn_head(source, box, points, rng)
    if scale < 0.5:
        height, right = source.shape
        size = (max(4, round(right * scale * 1.5)), max(4, round(height * scale * 1.5)))
        ratio = np.array([size[0] / right, size[1] / height])
        source = np.asarray(cv2.resize(source, size, interpolation=cv2.INTER_AREA), np.uint8)
        box, points, scale = box * np.tile(ratio, 2), points * ratio, scale / float(ratio.mean())
    linear = _turned(scale, settings.degrees, rng)
    half = half_size(linear, box)
    slack = np.minimum(0.6 * half, 0.2 * side)
    low, high = half - slack, side - half + slack
    centre = np.where(high > low, rng.uniform(np.minimum(low, high), np.maximum(low, high)), side / 2)
    offset = centre - linear @ ((box[:2] + box[2:]) / 2)
    matrix = np.concatenate([linear, offset[:, None]], axis=1)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * np.array(source.shape[::-1]) @ linear.T + offset
    return _Placed(
        source,
        matrix,
        box,
        np.concatenate([centre - half, centre + half]).astype(np.float32),
        (points @ linear.T + offset).astype(np.float32),
        np.concatenate([corners.min(axis=0), corners.max(axis=0)]).astype(np.float32),
    )


def _choose(photos: FacePhotos, width: float, settings: SceneSettings, rng: np.random.Generator) -> int:
    """A random photo that is detailed enough for a face of `width`; if a few draws give none, the most detailed."""
    turned = photos.turned if rng.random() < settings.profiles else ()
    few = rng.choice(turned, size=_TRIES) if len(turned) else rng.integers(len(photos), size=_TRIES)
    found = photos.box_xyxy[few, 2] - photos.box_xyxy[few, 0]
    enough = np.flatnonzero(found * _LARGEST_ZOOM >= width)
    return int(few[enough[0]] if len(enough) else few[found.argmax()])


def _turned(scale: float, degrees: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """(2, 2): scale and rotation with a slight squeeze and shear, as by other cameras and viewpoints."""
    angle = np.deg2rad(np.clip(rng.normal(0, degrees), -45, 45))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    squeeze = np.exp(rng.normal(0, 0.06))
    shape = np.array([[squeeze, rng.normal(0, 0.05)], [0, 1 / squeeze]])
    return np.asarray(scale * turn @ shape, np.float64)


def half_size(linear: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2,) half width and height of the box around the ellipse in `box`, transformed by `linear`."""
    return np.asarray(np.linalg.norm(linear * (box[2:] - box[:2]) / 2, axis=1), np.float64)


def _touches(claim: NDArray[np.float32], others: NDArray[np.float32]) -> bool:
    low, high = np.maximum(claim[:2], others[:, :2]), np.minimum(claim[2:], others[:, 2:])
    return bool(((high - low) > 0).all(axis=1).any())


def inside(box_xyxy: NDArray[np.float32], side: int) -> NDArray[np.float64]:
    """(F,) share of each box inside the scene."""
    shown: NDArray[np.float64] = areas(np.clip(box_xyxy, 0, side)) / np.maximum(areas(box_xyxy), 1e-9)
    return shown


def _paste(picture: NDArray[np.uint8], placed: _Placed, settings: SceneSettings, rng: np.random.Generator) -> None:
    """Paste the photo, whole or cut out around the head, with a hard or a soft edge and its own lighting."""
    source = relight(placed.source, rng)
    if rng.random() < settings.covered:
        source = cover(source, placed.source_box, rng)
    mask = _cut_out(source.shape, placed.source_box, rng)
    size = (picture.shape[1], picture.shape[0])
    # The centre of pixel 0 is at 0.5 in the coordinates of boxes and landmarks, and at 0 in OpenCV's.
    matrix = placed.matrix.copy()
    matrix[:, 2] += placed.matrix[:, :2] @ [0.5, 0.5] - 0.5
    warped = cv2.warpAffine(source, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    weight = cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    claim = np.clip(placed.claim_xyxy, 0, size[0])
    (x1, y1), (x2, y2) = np.floor(claim[:2]).astype(int), np.ceil(claim[2:]).astype(int)
    part = (slice(y1, y2), slice(x1, x2))
    share = weight[part]
    picture[part] = np.rint(warped[part] * share + picture[part] * (1 - share)).astype(np.uint8)


def _cut_out(shape: tuple[int, ...], box: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float32]:
    """(H, W) 1 where the photo is kept."""
    mask = np.zeros(shape[:2], np.float32)
    width, height = box[2:] - box[:2]
    if rng.random() < 0.45:
        mask[:] = 1
        edge = int(rng.uniform(0.01, 0.08) * min(shape[:2]))
        if edge and rng.random() < 0.5:
            mask[:edge], mask[-edge:], mask[:, :edge], mask[:, -edge:] = 0, 0, 0, 0
            return np.asarray(cv2.blur(mask, (2 * edge + 1, 2 * edge + 1)), np.float32)
        return mask
    grow = rng.uniform(1.0, 1.35)
    centre = (box[:2] + box[2:]) / 2 + rng.normal(0, 0.03, 2) * [width, height]
    axes = (max(1, int(grow * width / 2)), max(1, int(grow * rng.uniform(0.95, 1.15) * height / 2)))
    cv2.ellipse(mask, (int(centre[0]), int(centre[1])), axes, 0, 0, 360, 1, -1)
    if rng.random() < 0.5:
        # Keep the neck, the part below the face.
        neck = int(width * rng.uniform(0.2, 0.5))
        mask[int(centre[1]) :, max(0, int(centre[0]) - neck) : int(centre[0]) + neck] = 1
    blur = float(rng.choice([0.0, 0.02, 0.06])) * float(width)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), blur) if blur > 0.3 else mask, np.float32)


def _add_lures(
    picture: NDArray[np.uint8],
    photos: FacePhotos,
    settings: SceneSettings,
    claimed: NDArray[np.float32],
    rng: np.random.Generator,
) -> None:
    """Paste face-like distractors where there is no face."""
    whole = len(picture)
    for _ in range(rng.integers(1, _MAX_LURES + 1)):
        side = int(np.clip(_width(settings, whole, rng), 12, whole * 0.6))
        left, top = (int(value) for value in rng.integers(0, whole - side + 1, 2))
        if _touches(np.array([left, top, left + side, top + side], np.float32), claimed):
            continue
        index = int(rng.integers(len(photos)))
        x1, y1, x2, y2 = np.clip(photos.box_xyxy[index], 0, np.tile(photos.pictures[index].shape[::-1], 2)).astype(int)
        patch = lure(side, photos.pictures[index][y1:y2, x1:x2], rng)
        mask = np.ones((side, side), np.float32)
        if rng.random() < 0.6:
            mask[:] = 0
            cv2.ellipse(mask, (side // 2, side // 2), (side * 2 // 5, side // 2), 0, 0, 360, 1, -1)
            mask = np.asarray(cv2.blur(mask, (3, 3)), np.float32)
        part = picture[top : top + side, left : left + side]
        part[...] = np.rint(patch * mask + part * (1 - mask)).astype(np.uint8)
