"""The regions in which known faces are searched between passes over the whole picture, and how to judge the result."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from abaw.video.detecting.boxes import SAME_FACE, iou_matrix
from abaw.video.detecting.detections import Detections

EDGE = 0.04
"""A box closer than this to the edge of its region, in sides of the region, may be cut off."""
_OWN_IOU = 0.1
_DRIFT = 0.08
_GROWTH = (0.75, 1.3)
"""How far a face may move from the centre of its region, in sides of the region, and how much its size may change,
before the region is placed again."""


def square_regions(box_xyxy: NDArray[np.float64], factor: float) -> NDArray[np.int32]:
    """Squares (N, 4) in whole pixels around boxes (N, 4), `factor` times their longer side.

    They may extend beyond the picture.
    """
    centre = (box_xyxy[:, :2] + box_xyxy[:, 2:]) / 2
    side = np.maximum(8, np.rint(factor * (box_xyxy[:, 2:] - box_xyxy[:, :2]).max(axis=1, initial=0)))[:, None]
    low = np.rint(centre - side / 2)
    return np.concatenate([low, low + side], axis=1).astype(np.int32)


def own_face(found: Detections, expected_xyxy: NDArray[np.float64]) -> int | None:
    """Index of the face that a region was placed for, by overlap with the expected box (4,); None if it is missing."""
    if not len(found):
        return None
    overlap = iou_matrix(found.box_xyxy, expected_xyxy[None])[:, 0]
    best = int(overlap.argmax())
    return best if overlap[best] >= _OWN_IOU else None


def near_edge(box_xyxy: NDArray[np.float32], region_xyxy: NDArray[np.int32]) -> bool:
    """True if a box (4,) is so close to the edge of its region that it may be cut off."""
    margin = np.concatenate([box_xyxy[:2] - region_xyxy[:2], region_xyxy[2:] - box_xyxy[2:]])
    return bool(margin.min() < EDGE * (region_xyxy[2] - region_xyxy[0]))


def is_stale(box_xyxy: NDArray[np.float32], region_xyxy: NDArray[np.int32], factor: float) -> bool:
    """True if the region (4,) should be placed again before the next frame."""
    side = float(region_xyxy[2] - region_xyxy[0])
    offset = (box_xyxy[:2] + box_xyxy[2:] - region_xyxy[:2] - region_xyxy[2:]) / 2
    growth = factor * float((box_xyxy[2:] - box_xyxy[:2]).max()) / side
    return bool(np.abs(offset).max() > _DRIFT * side) or not _GROWTH[0] < growth < _GROWTH[1]


def two_claim_one(box_xyxy: NDArray[np.float32]) -> bool:
    """True if two of the boxes (N, 4), each the face of its own region, are the same face."""
    return bool((np.triu(iou_matrix(box_xyxy, box_xyxy), k=1) >= SAME_FACE).any())
