"""A face as if the head were turned away: on photos people look at the camera, in videos often not."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_NOSE = 2
_LEAST, _MOST = 0.12, 0.85
"""What is left of the width of the half that turns away."""
_WIDENED = 1.2
"""At most: the width of the half that turns to the camera."""


def turn_head(
    picture: NDArray[np.uint8], box: NDArray[np.float64], points: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]:
    """The grey picture (H, W), its face's box (4,) and landmarks (5, 2), one half of the face narrower by chance.

    The columns of the half beyond the nose move together, those of the other half apart: our stand-in for a turn of the
    head up to a profile, without what a profile newly shows.
    """
    nose = float(np.clip(points[_NOSE, 0], box[0] + 1, box[2] - 1))
    left = rng.random() < 0.5
    narrow = float(rng.uniform(_LEAST, _MOST))
    wide = 1 + (_WIDENED - 1) * (1 - narrow)
    left_half, right_half = (narrow, wide) if left else (wide, narrow)
    # Columns of the picture, of the face and of the nose, before and after; what is beside the face only moves.
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
