"""A cheap descriptor of a face, to recognise a person after a shot cut: our reading.

Two small pictures in Lab colours: the aligned crop without its mean lightness (skin, hair line, beard, glasses are
always at the same places), and the area below the box (clothes).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

_CROP_TILES = 8
_CLOTHES_TILES_WH = (4, 2)
_CLOTHES_PIXELS = 32
_MEDIUM_DARK = 30.0
"""Subtracted from the lightness of clothes, so dark and light ones point in opposite directions."""
DEPTH: Final = 3 * (_CROP_TILES**2 + _CLOTHES_TILES_WH[0] * _CLOTHES_TILES_WH[1])


def appearances(
    image: NDArray[np.uint8], box_xyxy: NDArray[np.float32], crops: Sequence[NDArray[np.uint8]]
) -> NDArray[np.float32]:
    """Unit vectors (N, DEPTH) of the N faces of a picture, compared by their cosine.

    image: (H, W, 3) RGB; box_xyxy: (N, 4); crops: the aligned ones (112, 112, 3).
    """
    rows = [_appearance(image, box, crop) for box, crop in zip(box_xyxy, crops, strict=True)]
    return np.array(rows, np.float32).reshape(-1, DEPTH)


def _appearance(
    image: NDArray[np.uint8], box_xyxy: NDArray[np.float32], crop: NDArray[np.uint8]
) -> NDArray[np.float32]:
    face = _tiles(crop, (_CROP_TILES, _CROP_TILES))
    face[:, 0] -= face[:, 0].mean()
    clothes = _tiles(_below(image, box_xyxy), _CLOTHES_TILES_WH)
    clothes[:, 0] -= _MEDIUM_DARK
    parts = [part.reshape(-1) / max(float(np.linalg.norm(part)), 1e-6) for part in (face, clothes)]
    return np.asarray(np.concatenate(parts) / np.sqrt(2), np.float32)


def _below(image: NDArray[np.uint8], box_xyxy: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The part of the picture below the box, twice as wide and as high; the picture's last row if it is outside."""
    x1, y1, x2, y2 = box_xyxy.tolist()
    height, width = image.shape[:2]
    wide = (x2 - x1) / 2
    left, right = (int(min(max(x, 0), width)) for x in (x1 - wide, x2 + wide))
    top, bottom = (int(min(max(y, 0), height)) for y in (y2 + 0.2 * (y2 - y1), 2 * y2 - y1))
    left, top = min(left, width - 1), min(top, height - 1)
    # A sparse grid gives the same few mean colours at a fraction of the time.
    step = max(1, (right - left) // _CLOTHES_PIXELS)
    return image[top : max(bottom, top + 1) : step, left : max(right, left + 1) : step]


def _tiles(image: NDArray[np.uint8], size_wh: tuple[int, int]) -> NDArray[np.float32]:
    """(W·H, 3) mean Lab colours of the picture's W × H tiles, row by row."""
    small = cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2LAB), np.float32).reshape(-1, 3)
