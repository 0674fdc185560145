"""The project's own face detector (`abaw train-detector`): grey canvases of any size, through onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from abaw.core.artifacts import file_hash
from abaw.core.errors import DataError
from abaw.core.onnx_session import start_session
from abaw.video.detecting.boxes import areas, iou_matrix
from abaw.video.detecting.detections import Detections
from abaw.video.detecting.detector import shape_of_picture, whole_strides
from abaw.video.detecting.graph import Graph
from abaw.video.detecting.landmarks import LANDMARKS, LandmarkRefiner

STRIDES: Final = (8, 16, 32)
OUTPUTS: Final = ("faces_8", "faces_16", "faces_32")
"""Outputs of the graph, one grid (1, 15, H/S, W/S) per stride: see `decode`."""
_MIN_SCORE = 0.55
_VOTE_SCORE = 0.1
"""Grid points with at least this score help to locate the face."""
_MAX_OVERLAP = 0.4
"""Share of the smaller box."""
_VOTE_IOU = 0.6
_MAX_LOG_SIDE = 6.0
"""Upper bound of the logarithm of a box's side in strides: no face is 400 strides wide."""


class GreyNetwork:
    """A detector from `abaw train-detector`, at the picture's own shape, long side at most 640.

    Landmarks are refined by the network of `abaw train-landmarks` if its file is next to the detector's.
    """

    title = "a detector from train-detector"

    def __init__(self, weights: Path, min_score: float | None, threads: int | None) -> None:
        self._session: Any = start_session(str(weights), threads)
        self._input: str = self._session.get_inputs()[0].name
        self._min_score = _MIN_SCORE if min_score is None else min_score
        self.identity = f"grey {weights.name} {file_hash(weights)[:16]}"
        refined_by = weights.with_name(LANDMARKS)
        self._refiner = LandmarkRefiner(refined_by, threads) if refined_by.is_file() else None
        if self._refiner is not None:
            self.identity += f" {self._refiner.identity}"

    @staticmethod
    def recognises(graph: Graph) -> bool:
        return set(graph.outputs) == set(OUTPUTS)

    def canvas_wh(self, image_wh: tuple[int, int]) -> tuple[int, int]:
        return shape_of_picture(image_wh)

    def mosaic_wh(self, side: int) -> tuple[int, int]:
        return whole_strides(side), whole_strides(side)

    def find(self, canvas_bgr: NDArray[np.uint8]) -> Detections:
        grey = np.asarray(cv2.cvtColor(canvas_bgr, cv2.COLOR_BGR2GRAY), np.uint8)
        grids = self._session.run(list(OUTPUTS), {self._input: grey[None, None].astype(np.float32)})
        if not all(np.isfinite(grid).all() for grid in grids):  # `decode` would see no face there
            raise DataError(f"{self.identity}: the outputs of this detector are not finite; give other weights")
        found = decode([grid[0] for grid in grids], self._min_score)
        if self._refiner is None or found.landmarks_xy is None:
            return found
        return replace(found, landmarks_xy=self._refiner.refine(grey, found.landmarks_xy))


NETWORK = GreyNetwork


def decode(grids: Sequence[NDArray[np.float32]], min_score: float) -> Detections:
    """The faces that the grids (15, H/S, W/S) of STRIDES describe, best first, in pixels.

    The 15 values of a grid point are the logit of a face; the centre of the box relative to the point (x, y) and the
    logarithms of its width and height; five landmarks relative to the point (x, y); all lengths in strides. The points
    that see the same face (IoU of at least .6 with the most confident one) vote: box and landmarks are their means,
    weighted by score. Faces do not overlap much: one that shares .4 of the smaller box with a more confident face is
    left out.
    """
    candidates = np.concatenate(
        [_candidates(grid, stride, min(min_score, _VOTE_SCORE)) for grid, stride in zip(grids, STRIDES, strict=True)]
    )
    candidates = candidates[np.argsort(-candidates[:, 0], kind="stable")]
    faces = []
    while len(candidates) and candidates[0, 0] >= min_score:
        overlap = iou_matrix(candidates[:1, 1:5], candidates[:, 1:5])[0]
        voters = candidates[overlap >= _VOTE_IOU]
        weight = voters[:, :1] / voters[:, 0].sum()
        faces.append(np.concatenate([candidates[0, :1], (voters[:, 1:] * weight).sum(axis=0)]))
        gone = _overlap(candidates[0, 1:5], candidates[:, 1:5]) >= _MAX_OVERLAP
        # A box without area overlaps nothing, not even itself; without this line it would never be removed.
        gone[0] = True
        candidates = candidates[~gone]
    rows = np.stack(faces).astype(np.float32) if faces else np.empty((0, 15), np.float32)
    return Detections(rows[:, 1:5], rows[:, 0], rows[:, 5:].reshape(-1, 5, 2))


def _overlap(box: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float64]:
    """(K,) the share of the smaller box that is inside the other one, for a box (4,) and each of (K, 4)."""
    low, high = np.maximum(others[:, :2], box[:2]), np.minimum(others[:, 2:], box[2:])
    inside = np.clip(high - low, 0, None).prod(axis=1)
    return np.asarray(inside / np.maximum(np.minimum(areas(others), areas(box[None])), 1e-6), np.float64)


def _candidates(grid: NDArray[np.float32], stride: int, min_score: float) -> NDArray[np.float32]:
    """(K, 15) score, box and landmarks in pixels, of the grid points that see a face."""
    min_logit = np.log(min_score / (1 - min_score))
    row, column = np.nonzero(grid[0] >= min_logit)
    values = grid[:, row, column].T.astype(np.float32)
    corner = np.stack([column, row], axis=1).astype(np.float32) * stride
    score = 1 / (1 + np.exp(-values[:, :1]))
    centre = corner + values[:, 1:3] * stride
    half = np.exp(np.minimum(values[:, 3:5], _MAX_LOG_SIDE)) * stride / 2
    landmarks = np.tile(corner, 5) + values[:, 5:] * stride
    return np.concatenate([score, centre - half, centre + half, landmarks], axis=1)
