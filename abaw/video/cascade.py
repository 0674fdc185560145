"""The detector that needs no download: scikit-image's LBP face cascade. Boxes only, near-frontal faces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from skimage import data
from skimage.feature import Cascade

from abaw.core.artifacts import file_hash
from abaw.video.boxes import iou_matrix
from abaw.video.detect import Detections

_LONG_SIDE = 320
_MARGIN = 0.12
"""Border repeated around the picture, as a part of its long side: a face that fills the picture has no frame of skin
and hair around it, which the cascade wants to see."""
_COARSE_MIN_SIDE = 30
_FINE_SIDE = 48
_FINE_REACH = 0.35
_MERGE_IOU = 0.4
_MIN_NEIGHBOURS = 4

_SIDE_PER_SIZE = 1.14
_SHIFT_XY = (-0.035, -0.023)
_ASPECT = 1.4
"""The cascade's square against YuNet's box, medians over real clips: its side is 1.14 times the box's size (geometric
mean of its sides), its centre is off by this part of the size, and the box is 1.4 times as high as wide."""


class CascadeDetector:
    """Finds faces in two steps: coarsely on the whole picture, then finely around each find, which must confirm it.

    When that finds nothing, the coarse look is done once more with a smaller step.
    The boxes are brought to the framing of the neural detectors' boxes. There are no scores and no landmarks.
    """

    lesser = True

    def __init__(self) -> None:
        weights = Path(data.lbp_frontal_face_cascade_filename())
        self._cascade = Cascade(str(weights))
        self.identity = f"lbp cascade {file_hash(weights)[:16]}"

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Faces of one RGB picture, (H, W, 3) uint8; the most often confirmed first."""
        scale = min(1.0, _LONG_SIDE / max(image.shape[:2]))
        grey = _resized(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), scale)
        margin = round(_MARGIN * max(grey.shape))
        padded = np.pad(grey, margin, mode="edge")
        squares = self._search(padded, step=2.0)
        if not len(squares):
            squares = self._search(padded, step=1.0)
        return Detections(_as_face_boxes((squares - margin) / scale), None, None)

    def detect_regions(
        self, images: Sequence[NDArray[np.uint8]], regions_xyxy: NDArray[np.int32], side: int
    ) -> list[Detections]:
        """Faces about half as large as region i (4,) in the middle of it, in RGB picture i, by the close look alone."""
        found = []
        for image, region in zip(images, regions_xyxy, strict=True):
            columns, rows = (
                np.clip(np.arange(region[axis], region[axis + 2]), 0, image.shape[1 - axis] - 1) for axis in (0, 1)
            )
            grey = cv2.cvtColor(image[rows[:, None], columns], cv2.COLOR_RGB2GRAY)
            length = len(rows)
            squares, votes = _merge(self._confirm(grey, np.array([0.22, 0.22, 0.78, 0.78]) * length))
            moved = _drop_nested(squares[votes >= _MIN_NEIGHBOURS]) + np.tile(region[:2], 2)
            found.append(Detections(_as_face_boxes(moved), None, None))
        return found

    def regions_at_once(self, side: int) -> int:
        """Each region is looked at by itself."""
        return 1

    def _search(self, grey: NDArray[np.uint8], step: float) -> NDArray[np.float64]:
        """Confirmed squares (M, 4); step: how many pixels the window moves on the coarse look, at its smallest."""
        coarse, _ = _merge(self._windows(grey, (_COARSE_MIN_SIDE, min(grey.shape)), 1.2, step))
        fine = [self._confirm(grey, square) for square in coarse]
        squares, votes = _merge(np.concatenate([np.empty((0, 4)), *fine]))
        return _drop_nested(squares[votes >= _MIN_NEIGHBOURS])

    def _confirm(self, grey: NDArray[np.uint8], square: NDArray[np.float64]) -> NDArray[np.float64]:
        """Windows (K, 4) that the cascade accepts when it looks closely at one coarse find."""
        side = square[2] - square[0]
        left, top = (max(0, int(edge - _FINE_REACH * side)) for edge in square[:2])
        right, bottom = (int(edge + _FINE_REACH * side) + 1 for edge in square[2:])
        zoom = _FINE_SIDE / side
        patch = _resized(grey[top:bottom, left:right], zoom)
        sides = (round(0.75 * _FINE_SIDE), min(round(1.35 * _FINE_SIDE), *patch.shape))
        windows: NDArray[np.float64] = self._windows(patch, sides, 1.1, 1.0) / zoom
        moved: NDArray[np.float64] = windows + np.array([left, top, left, top])
        return moved

    def _windows(
        self, grey: NDArray[np.uint8], sides: tuple[int, int], scale_factor: float, step: float
    ) -> NDArray[np.float64]:
        """All accepted windows, (K, 4) xyxy, sorted: the cascade's threads give them in any order."""
        found = self._cascade.detect_multi_scale(
            img=grey,
            scale_factor=scale_factor,
            step_ratio=step,
            min_size=(sides[0], sides[0]),
            max_size=(sides[1], sides[1]),
            min_neighbor_number=0,
            intersection_score_threshold=2.0,
        )
        rows = sorted((w["c"], w["r"], w["c"] + w["width"], w["r"] + w["height"]) for w in found)
        return np.array(rows, np.float64).reshape(-1, 4)


def _resized(grey: NDArray[Any], scale: float) -> NDArray[np.uint8]:
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(grey, None, fx=scale, fy=scale, interpolation=interpolation), np.uint8)


def _merge(windows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Windows that overlap become their mean: (M, 4) and the number of windows in each, most first."""
    if not len(windows):
        return windows, np.zeros(0, np.int64)
    num, group = connected_components(iou_matrix(windows, windows) >= _MERGE_IOU, directed=False)
    means = np.stack([windows[group == index].mean(axis=0) for index in range(num)])
    votes = np.bincount(group, minlength=num)
    order = np.argsort(-votes, kind="stable")
    return means[order], votes[order]


def _drop_nested(squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Leave out squares whose centre lies in a stronger one: two faces do not share a place."""
    kept: list[NDArray[np.float64]] = []
    for square in squares:
        x, y = (square[:2] + square[2:]) / 2
        if not any(other[0] < x < other[2] and other[1] < y < other[3] for other in kept):
            kept.append(square)
    return np.array(kept, np.float64).reshape(-1, 4)


def _as_face_boxes(squares: NDArray[np.float64]) -> NDArray[np.float32]:
    size = (squares[:, 2:] - squares[:, :2]) / _SIDE_PER_SIZE
    centre = (squares[:, :2] + squares[:, 2:]) / 2 + size * np.array(_SHIFT_XY)
    half = size * np.array([_ASPECT**-0.5, _ASPECT**0.5]) / 2
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)
