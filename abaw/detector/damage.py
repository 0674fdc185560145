"""What light, things in front and cameras do to faces and scenes: grey pictures (H, W) uint8 in, the same out."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_WIDEST_BAR = 0.12


def relight(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Another brightness and contrast, and by chance light from one side."""
    level, contrast = rng.normal(0, 30), np.exp(rng.normal(0, 0.3))
    lit = (picture.astype(np.float32) - 120) * np.float32(contrast) + np.float32(120 + level)
    if rng.random() < 0.35:
        corners = rng.uniform(0.35, 1.3, (2, 2)).astype(np.float32)
        lit *= cv2.resize(corners, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(lit, 0, 255), np.uint8)


def cover(picture: NDArray[np.uint8], box: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Something in front of the face in `box` (4,): dark glasses, a mask, a hand, a bar."""
    covered = picture.copy()
    size = box[2:] - box[:2]

    def at(x: float, y: float) -> tuple[int, int]:
        """A place in the box, in its sides, as whole pixels."""
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


def dim(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Low light: a quarter to most of the brightness, and dark parts darker."""
    light, gamma = rng.uniform(0.25, 0.7), rng.uniform(1.0, 1.3)
    table = 255 * light * (np.arange(256) / 255) ** gamma
    return np.asarray(cv2.LUT(picture, table.astype(np.uint8)), np.uint8)


def damage(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Exposure, blur or sharpening, noise, JPEG and a black bar at an edge, each by chance."""
    if rng.random() < 0.5:
        gamma = np.exp(rng.normal(0, 0.35))
        table = 255 * (np.arange(256) / 255) ** gamma * rng.uniform(0.6, 1.1)
        picture = np.asarray(cv2.LUT(picture, np.clip(table, 0, 255).astype(np.uint8)), np.uint8)
    chance = rng.random()
    if chance < 0.2:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.4, 1.8))), np.uint8)
    elif chance < 0.3:
        picture = _moved(picture, rng)
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


def _moved(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The blur of a camera or a head that moves straight."""
    length = int(rng.integers(3, 9))
    kernel = np.zeros((length, length), np.float32)
    angle, middle = rng.uniform(0, np.pi), (length - 1) / 2
    reach = np.array([np.cos(angle), np.sin(angle)]) * middle
    start, end = np.rint(middle - reach).astype(int).tolist(), np.rint(middle + reach).astype(int).tolist()
    cv2.line(kernel, (start[0], start[1]), (end[0], end[1]), 1.0, 1)
    return np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum()), np.uint8)
