"""Geometry of boxes in pixels, (x1, y1, x2, y2)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SAME_FACE = 0.5
"""Minimum overlap (IoU) at which two boxes count as the same face."""


def areas(box_xyxy: NDArray[Any]) -> NDArray[np.float64]:
    """(N,) areas of (N, 4) boxes, zero for one whose corners are in the wrong order."""
    sides = np.clip(box_xyxy[:, 2:].astype(np.float64) - box_xyxy[:, :2], 0, None)
    return np.asarray(sides[:, 0] * sides[:, 1], np.float64)


def iou_matrix(first_xyxy: NDArray[Any], second_xyxy: NDArray[Any]) -> NDArray[np.float64]:
    """Intersection over union of every pair: (N, 4) and (M, 4) -> (N, M)."""
    first, second = first_xyxy.astype(np.float64), second_xyxy.astype(np.float64)
    top_left = np.maximum(first[:, None, :2], second[None, :, :2])
    bottom_right = np.minimum(first[:, None, 2:], second[None, :, 2:])
    intersection = np.clip(bottom_right - top_left, 0, None).prod(axis=2)
    union = areas(first)[:, None] + areas(second)[None, :] - intersection
    ratio: NDArray[np.float64] = np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)
    return ratio


def same_boxes(first_xyxy: NDArray[Any], second_xyxy: NDArray[Any], min_iou: float) -> list[tuple[int, int]]:
    """Pairs of boxes (N, 4) and (M, 4) that overlap: each box in at most one pair, largest overlaps first."""
    overlap = iou_matrix(first_xyxy, second_xyxy)
    pairs = []
    while overlap.size and overlap.max() >= min_iou:
        row, column = (int(index) for index in np.unravel_index(overlap.argmax(), overlap.shape))
        pairs.append((row, column))
        overlap[row], overlap[:, column] = -1, -1
    return pairs


def taken(box_xyxy: NDArray[np.float32], others_xyxy: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(N,) which of the boxes (N, 4) are the same face as one of the others (M, 4)."""
    return np.asarray((iou_matrix(box_xyxy, others_xyxy) >= SAME_FACE).any(axis=1), np.bool_)
