"""Shot cuts: where two successive pictures have nothing in common."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

THUMB_WH: Final = (32, 18)
_SAMPLES = 160
_MIN_CHANGE = 14.0
_MAX_CORRELATION = 0.5
"""A cut changes the thumbnail by at least this many grey levels on average, and the correlation falls below this. A
flash or a fade within a scene changes the level but not the pattern; a turn of the head, the pattern a little."""


def thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A small grey picture (18, 32) of an RGB picture (H, W, 3); grey is the green channel."""
    step = max(1, max(image.shape[:2]) // _SAMPLES)
    sampled = np.ascontiguousarray(image[::step, ::step, 1])
    return np.asarray(cv2.resize(sampled, THUMB_WH, interpolation=cv2.INTER_AREA), np.uint8)


def is_cut(previous: NDArray[np.uint8], thumb: NDArray[np.uint8]) -> bool:
    """True if a new shot begins between two thumbnails."""
    first, second = (picture.astype(np.float64) for picture in (previous, thumb))
    if np.abs(first - second).mean() < _MIN_CHANGE:
        return False
    first, second = first - first.mean(), second - second.mean()
    spread = np.linalg.norm(first) * np.linalg.norm(second)
    return bool((first * second).sum() < _MAX_CORRELATION * spread) if spread > 0 else True
