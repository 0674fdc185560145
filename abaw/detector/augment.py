"""Augmentations of faces and scenes: light, occlusion, head turn, camera. Grey pictures (H, W) uint8 in and out."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_WIDEST_BAR = 0.12
_NOSE = 2
_MIN_NARROW, _MAX_NARROW = 0.12, 0.85
"""Remaining width of the half that turns away."""
_MAX_WIDE = 1.2
"""Maximum width of the half that turns to the camera."""


def relight(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Change brightness and contrast, and sometimes light the picture from one side."""
    level, contrast = rng.normal(0, 30), np.exp(rng.normal(0, 0.3))
    lit = (picture.astype(np.float32) - 120) * np.float32(contrast) + np.float32(120 + level)
    if rng.random() < 0.35:
        corners = rng.uniform(0.35, 1.3, (2, 2)).astype(np.float32)
        lit *= cv2.resize(corners, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(lit, 0, 255), np.uint8)


def cover(picture: NDArray[np.uint8], box: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw something in front of the face in `box` (4,): dark glasses, a mask, a hand or a bar."""
    covered = picture.copy()
    size = box[2:] - box[:2]

    def at(x: float, y: float) -> tuple[int, int]:
        """A place in the box, given in sides of the box, in whole pixels."""
        place = box[:2] + size * [x, y]
        return int(place[0]), int(place[1])

    def length(share: float) -> int:
        return max(1, int(share * size[0]))

    grey = int(rng.integers(0, 256))
    kind = rng.integers(4)
    if kind == 0:
        grey = int(rng.integers(0, 70))
        for x in (0.29, 0.71):
            cv2.ellipse(covered, at(x, 0.4), (length(0.17), length(0.13)), 0, 0, 360, grey, -1, cv2.LINE_AA)
        cv2.line(covered, at(0.05, 0.37), at(0.95, 0.37), grey, length(0.03), cv2.LINE_AA)
    elif kind == 1:
        cv2.ellipse(covered, at(0.5, 0.82), (length(0.42), length(0.33)), 0, 0, 360, grey, -1, cv2.LINE_AA)
    elif kind == 2:
        grey = int(np.clip(picture.mean() + rng.normal(0, 15), 0, 255))
        x, y, angle = rng.uniform(0, 1), rng.uniform(0.2, 1.1), rng.uniform(-40, 40)
        for finger in range(int(rng.integers(2, 5))):
            place = at(x + 0.13 * finger, y)
            cv2.ellipse(covered, place, (length(0.06), length(0.4)), angle, 0, 360, grey, -1, cv2.LINE_AA)
            cv2.ellipse(covered, place, (length(0.06), length(0.4)), angle, 0, 360, max(0, grey - 40), 1, cv2.LINE_AA)
    else:
        corner = rng.uniform(-0.2, 0.9, 2)
        end = corner + rng.uniform(0.1, 0.5, 2)
        cv2.rectangle(covered, at(corner[0], corner[1]), at(end[0], end[1]), grey, -1)
    return covered


def turn_head(
    picture: NDArray[np.uint8], box: NDArray[np.float64], points: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]:
    """Narrow one half of the face in a grey picture (H, W); box (4,) and landmarks (5, 2) follow.

    The columns of one half move together, those of the other half apart. This imitates a turn of the head, up to a
    profile but without what a profile newly shows: in photos people look at the camera, in videos often not.
    """
    nose = float(np.clip(points[_NOSE, 0], box[0] + 1, box[2] - 1))
    left = rng.random() < 0.5
    narrow = float(rng.uniform(_MIN_NARROW, _MAX_NARROW))
    wide = 1 + (_MAX_WIDE - 1) * (1 - narrow)
    left_half, right_half = (narrow, wide) if left else (wide, narrow)
    # Columns of the picture, the face and the nose, before and after. What is outside the face only moves.
    before = np.array([min(0.0, box[0]), box[0], nose, box[2], max(float(picture.shape[1]), box[2])])
    after = before[0] + np.cumsum([0, *(np.diff(before) * [1, left_half, right_half, 1])])
    width = max(4, int(after[4]))
    source_x = np.interp(np.arange(width) + 0.5, after, before).astype(np.float32) - np.float32(0.5)
    rows = np.arange(picture.shape[0], dtype=np.float32)
    map_x, map_y = np.meshgrid(source_x, rows)
    turned = cv2.remap(picture, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    box_x = np.interp(box[[0, 2]], before, after)
    moved = points.copy()
    moved[:, 0] = np.interp(points[:, 0], before, after)
    return np.asarray(turned, np.uint8), np.array([box_x[0], box[1], box_x[1], box[3]]), moved


def dim(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Low light: 25 to 70 % of the brightness, dark parts even darker."""
    light, gamma = rng.uniform(0.25, 0.7), rng.uniform(1.0, 1.3)
    table = 255 * light * (np.arange(256) / 255) ** gamma
    return np.asarray(cv2.LUT(picture, table.astype(np.uint8)), np.uint8)


def damage(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Exposure, blur or sharpening, noise, JPEG artefacts and a black bar at an edge, each with some probability."""
    if rng.random() < 0.5:
        gamma = np.exp(rng.normal(0, 0.35))
        table = 255 * (np.arange(256) / 255) ** gamma * rng.uniform(0.6, 1.1)
        picture = np.asarray(cv2.LUT(picture, np.clip(table, 0, 255).astype(np.uint8)), np.uint8)
    chance = rng.random()
    if chance < 0.2:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.4, 1.8))), np.uint8)
    elif chance < 0.3:
        picture = _motion_blurred(picture, rng)
    elif chance < 0.45:
        soft = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.8, 2.0)))
        amount = float(rng.uniform(0.3, 1.5))
        picture = np.asarray(cv2.addWeighted(picture, 1 + amount, soft, -amount, 0), np.uint8)
    if rng.random() < 0.4:
        noise = rng.standard_normal(picture.shape, np.float32) * np.float32(rng.uniform(1, 14))
        picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        quality = int(rng.integers(15, 95))
        packed = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        picture = np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8)
    if rng.random() < 0.15:
        bar = 1 + int(len(picture) * rng.uniform(0, _WIDEST_BAR))
        picture = picture.copy()
        edges = (picture[:bar], picture[-bar:], picture[:, :bar], picture[:, -bar:])
        edges[rng.integers(4)][:] = 0
    return picture


def _motion_blurred(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Motion blur along a straight line."""
    length = int(rng.integers(3, 9))
    kernel = np.zeros((length, length), np.float32)
    angle, middle = rng.uniform(0, np.pi), (length - 1) / 2
    reach = np.array([np.cos(angle), np.sin(angle)]) * middle
    start, end = np.rint(middle - reach).astype(int).tolist(), np.rint(middle + reach).astype(int).tolist()
    cv2.line(kernel, (start[0], start[1]), (end[0], end[1]), 1.0, 1)
    return np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum()), np.uint8)
