"""Refines the landmarks on the crop of each face: a small network that runs once per face, after the detector."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from abaw.core.artifacts import file_hash
from abaw.core.onnx_session import start_session
from abaw.core.reading import read_errors
from abaw.stores.crop import ALIGNED_PIXELS
from abaw.video.align import TEMPLATE_XY, matrix_from_landmarks, warp

LANDMARKS: Final = "landmarks.onnx"
"""The file of the network, next to the detector's."""
POINTS: Final = 5
SIDE: Final = 64
"""Side of the crop in pixels."""
_PER_TEMPLATE: Final = 0.42
"""Pixels of the crop per pixel of the 112-pixel template: the crop shows 1.36 times as much on each axis."""
_MIN_SCALE: Final = 1e-3
TEMPLATE: Final = (TEMPLATE_XY - ALIGNED_PIXELS / 2) * _PER_TEMPLATE + np.array([SIDE / 2, SIDE / 2])
"""(5, 2) where the landmarks of a face of standard proportions are in the crop."""


def placement(landmarks_xy: NDArray[np.float32]) -> NDArray[np.float64]:
    """(2, 3) from picture to crop: the similarity that brings landmarks (5, 2) closest to TEMPLATE."""
    matrix = matrix_from_landmarks(landmarks_xy) * _PER_TEMPLATE
    matrix[:, 2] += SIDE / 2 - ALIGNED_PIXELS / 2 * _PER_TEMPLATE
    return matrix


class LandmarkRefiner:
    """The network of `abaw train-landmarks`: `crops` (N, 1, SIDE, SIDE), 0..255 -> `offsets` (N, 10).

    Raises DataError for a file that is not such a network.
    """

    def __init__(self, weights: Path, threads: int | None) -> None:
        self.identity = f"{weights.name} {file_hash(weights)[:16]}"
        advice = "train it again (abaw train-landmarks), or remove it: the detector works without it"
        with read_errors(weights, "is not a network for landmarks", advice, (Exception,)):
            self._session: Any = start_session(str(weights), threads)
            self._offsets(np.zeros((2, SIDE, SIDE), np.uint8))

    def refine(self, grey: NDArray[np.uint8], landmarks_xy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Landmarks (N, 5, 2) of N faces of a grey picture (H, W), from those that the detector found.

        Landmarks that are all in one place are returned unchanged: they do not say where the face is.
        """
        matrices = [placement(points) for points in landmarks_xy]
        usable = [row for row, matrix in enumerate(matrices) if np.hypot(*matrix[:, 0]) > _MIN_SCALE]
        if not usable:
            return landmarks_xy
        matrices = [matrices[row] for row in usable]
        there = TEMPLATE + SIDE * self._offsets(np.stack([warp(grey, matrix, SIDE) for matrix in matrices]))
        back = [np.linalg.solve(m[:, :2], (xy - m[:, 2]).T).T for m, xy in zip(matrices, there, strict=True)]
        refined = landmarks_xy.copy()
        refined[usable] = np.stack(back)
        return refined

    def _offsets(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, 5, 2) how far the landmarks are from TEMPLATE in crops (N, SIDE, SIDE), in sides of the crop."""
        offsets = self._session.run(["offsets"], {"crops": crops[:, None].astype(np.float32)})[0]
        return np.asarray(offsets, np.float32).reshape(len(crops), POINTS, 2)
