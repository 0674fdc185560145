"""The regions that are looked at between looks at the whole picture, and what to think of what is found there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from abaw.video.detecting.boxes import iou_matrix
from abaw.video.detecting.detector import Detections

EDGE = 0.04
"""A box nearer than this to its region's edge, in sides of the region, may be cut off."""
SAME_FACE = 0.5
"""Overlap (IoU) from which on two boxes are one face."""
_OWN_IOU = 0.1
_DRIFT = 0.08
_GROWTH = (0.75, 1.3)
"""How far a face may wander from the middle of its region, in sides of the region, and how much its size may change
until the regions are placed anew."""


def square_regions(box_xyxy: NDArray[np.float64], factor: float) -> NDArray[np.int32]:
    """Squares (N, 4) in whole pixels around boxes (N, 4), `factor` times their longer side; may leave the picture."""
    centre = (box_xyxy[:, :2] + box_xyxy[:, 2:]) / 2
    side = np.maximum(8, np.rint(factor * (box_xyxy[:, 2:] - box_xyxy[:, :2]).max(axis=1, initial=0)))[:, None]
    low = np.rint(centre - side / 2)
    return np.concatenate([low, low + side], axis=1).astype(np.int32)


def own_face(found: Detections, expected_xyxy: NDArray[np.float64]) -> int | None:
    """Which of the faces of a region is the one that it was placed for, by overlap with the expected box (4,)."""
    if not len(found):
        return None
    overlap = iou_matrix(found.box_xyxy, expected_xyxy[None])[:, 0]
    best = int(overlap.argmax())
    return best if overlap[best] >= _OWN_IOU else None


def near_edge(box_xyxy: NDArray[np.float32], region_xyxy: NDArray[np.int32]) -> bool:
    """True when a box (4,) comes so near to its region's edge that it may be cut off."""
    margin = np.concatenate([box_xyxy[:2] - region_xyxy[:2], region_xyxy[2:] - box_xyxy[2:]])
    return bool(margin.min() < EDGE * (region_xyxy[2] - region_xyxy[0]))


def is_stale(box_xyxy: NDArray[np.float32], region_xyxy: NDArray[np.int32], factor: float) -> bool:
    """True when the region (4,) should be placed anew before the next frame is looked at."""
    side = float(region_xyxy[2] - region_xyxy[0])
    offset = (box_xyxy[:2] + box_xyxy[2:] - region_xyxy[:2] - region_xyxy[2:]) / 2
    growth = factor * float((box_xyxy[2:] - box_xyxy[:2]).max()) / side
    return bool(np.abs(offset).max() > _DRIFT * side) or not _GROWTH[0] < growth < _GROWTH[1]


def two_claim_one(box_xyxy: NDArray[np.float32]) -> bool:
    """True when two of the boxes (N, 4), each the face of its own region, are one face."""
    return bool((np.triu(iou_matrix(box_xyxy, box_xyxy), k=1) >= SAME_FACE).any())


def taken(box_xyxy: NDArray[np.float32], others_xyxy: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(N,) which of the boxes (N, 4) are one face with any of the others (M, 4)."""
    return np.asarray((iou_matrix(box_xyxy, others_xyxy) >= SAME_FACE).any(axis=1), np.bool_)


def join(parts: list[Detections]) -> Detections:
    """The faces of several looks, best first; landmarks must be there in all or in none."""
    parts = [part for part in parts if len(part)]
    if not parts:
        return no_faces()
    box = np.concatenate([part.box_xyxy for part in parts])
    landmarks = [part.landmarks_xy for part in parts if part.landmarks_xy is not None]
    score = np.concatenate([part.score for part in parts])
    order = np.argsort(-score, kind="stable")
    return Detections(box[order], score[order], np.concatenate(landmarks)[order] if landmarks else None)


def pick(found: Detections, rows: list[int] | NDArray[np.int64]) -> Detections:
    """Some faces of a look, in the order of `rows`."""
    landmarks = None if found.landmarks_xy is None else found.landmarks_xy[rows]
    return Detections(found.box_xyxy[rows], found.score[rows], landmarks)


def no_faces() -> Detections:
    """Nobody there."""
    return Detections(np.empty((0, 4), np.float32), np.empty(0, np.float32), None)
