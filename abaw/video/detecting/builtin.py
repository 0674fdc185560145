"""The project's own face detector: grey canvases of any size, through onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from abaw.core.artifacts import file_hash
from abaw.video.detecting.boxes import areas, iou_matrix
from abaw.video.detecting.detector import Detections
from abaw.video.detecting.networks import shape_of_picture, whole_strides

STRIDES: Final = (8, 16, 32)
OUTPUTS: Final = ("faces_8", "faces_16", "faces_32")
"""Of the graph, a grid (1, 15, H/S, W/S) each: see `decode`."""
_MIN_SCORE = 0.55
_VOTE_SCORE = 0.1
"""Cells that say with at least this score that they see a face have a say in where it is."""
_SHARED = 0.4
"""Of the smaller box."""
_VOTE_IOU = 0.6
_LARGEST = 6.0
"""Bound of the logarithm of a side in strides: no face is 400 strides wide."""


class GreyNetwork:
    """The detector of `abaw train-detector`, at the picture's own shape, long side at most 640."""

    def __init__(self, weights: Path, min_score: float | None, threads: int | None) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
        self._session: Any = onnxruntime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
        self._input: str = self._session.get_inputs()[0].name
        self._min_score = _MIN_SCORE if min_score is None else min_score
        self.identity = f"grey {weights.name} {file_hash(weights)[:16]}"

    def canvas_wh(self, image_wh: tuple[int, int]) -> tuple[int, int]:
        return shape_of_picture(image_wh)

    def mosaic_wh(self, side: int) -> tuple[int, int]:
        return whole_strides(side), whole_strides(side)

    def find(self, canvas_bgr: NDArray[np.uint8]) -> Detections:
        grey = cv2.cvtColor(canvas_bgr, cv2.COLOR_BGR2GRAY).astype(np.float32)
        grids = self._session.run(list(OUTPUTS), {self._input: grey[None, None]})
        return decode([grid[0] for grid in grids], self._min_score)


def decode(grids: Sequence[NDArray[np.float32]], min_score: float) -> Detections:
    """The faces that the grids (15, H/S, W/S) of STRIDES tell of, best first, in pixels.

    A cell gives the logit of a face; the centre of its box from the cell's corner (x, y) and the logarithms of its
    width and height; five landmarks from the cell's corner (x, y); all in strides. The cells that see the same face
    (IoU of .6 with the surest) vote: box and landmarks are their means, weighted by score. Two faces do not share a
    place: what has .4 of its area in a surer one, or around .4 of it, is left out.
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
        gone = _shared(candidates[0, 1:5], candidates[:, 1:5]) >= _SHARED
        # A box without area overlaps nothing, not even itself, and must not stay for ever.
        gone[0] = True
        candidates = candidates[~gone]
    rows = np.stack(faces).astype(np.float32) if faces else np.empty((0, 15), np.float32)
    return Detections(rows[:, 1:5], rows[:, 0], rows[:, 5:].reshape(-1, 5, 2))


def _shared(box: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float64]:
    """(K,) how much of the smaller of two boxes lies in the other, for (4,) and each of (K, 4)."""
    low, high = np.maximum(others[:, :2], box[:2]), np.minimum(others[:, 2:], box[2:])
    inside = np.clip(high - low, 0, None).prod(axis=1)
    return np.asarray(inside / np.maximum(np.minimum(areas(others), areas(box[None])), 1e-6), np.float64)


def _candidates(grid: NDArray[np.float32], stride: int, min_score: float) -> NDArray[np.float32]:
    """(K, 15) score, box and landmarks in pixels of the cells that see a face."""
    least = np.log(min_score / (1 - min_score))
    row, column = np.nonzero(grid[0] >= least)
    values = grid[:, row, column].T.astype(np.float32)
    corner = np.stack([column, row], axis=1).astype(np.float32) * stride
    score = 1 / (1 + np.exp(-values[:, :1]))
    centre = corner + values[:, 1:3] * stride
    half = np.exp(np.minimum(values[:, 3:5], _LARGEST)) * stride / 2
    landmarks = np.tile(corner, 5) + values[:, 5:] * stride
    return np.concatenate([score, centre - half, centre + half, landmarks], axis=1)
