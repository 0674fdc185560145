"""Linking the faces of one frame to those of the next: one identity number a person, as long as the person is seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from abaw.core.errors import ConfigError
from abaw.video.boxes import iou_matrix

_VELOCITY_MEMORY = 0.7


@dataclass(slots=True, eq=False)
class _Track:
    number: int
    frame: int
    box_xyxy: NDArray[np.float64]
    velocity_xy: NDArray[np.float64]

    def expected(self, frame: int) -> NDArray[np.float64]:
        """The box moved on at constant velocity; its size stays."""
        return self.box_xyxy + np.tile(self.velocity_xy * (frame - self.frame), 2)

    def follow(self, frame: int, box_xyxy: NDArray[np.float64]) -> None:
        moved = (box_xyxy - self.box_xyxy).reshape(2, 2).mean(axis=0) / (frame - self.frame)
        self.velocity_xy = _VELOCITY_MEMORY * self.velocity_xy + (1 - _VELOCITY_MEMORY) * moved
        self.box_xyxy, self.frame = box_xyxy, frame


class Tracker:
    """Association by overlap with the expected box, the best over all pairs at once (Hungarian method).

    max_gap: frames without the face that a track survives; min_iou: overlap below which a face is somebody else.
    Tracks are numbered from 1 in order of appearance. Raises ConfigError for settings out of range.
    """

    def __init__(self, max_gap: int = 15, min_iou: float = 0.3) -> None:
        if max_gap < 0 or not 0 < min_iou <= 1:
            raise ConfigError(f"tracker: expected max_gap >= 0 and 0 < min_iou <= 1, found {max_gap} and {min_iou}")
        self._max_gap = max_gap
        self._min_iou = min_iou
        self._tracks: list[_Track] = []
        self._count = 0

    def update(self, frame: int, box_xyxy: NDArray[np.float32]) -> NDArray[np.int32]:
        """Track numbers (N,) of the boxes (N, 4) of one frame; frames must come in rising order."""
        self._tracks = [track for track in self._tracks if frame - track.frame - 1 <= self._max_gap]
        boxes = box_xyxy.astype(np.float64)
        numbers = np.zeros(len(boxes), np.int32)
        for row, track in self._pairs(frame, boxes):
            track.follow(frame, boxes[row])
            numbers[row] = track.number
        for row in np.flatnonzero(numbers == 0).tolist():
            self._count += 1
            self._tracks.append(_Track(self._count, frame, boxes[row], np.zeros(2)))
            numbers[row] = self._count
        return numbers

    def _pairs(self, frame: int, boxes: NDArray[np.float64]) -> list[tuple[int, _Track]]:
        if not len(boxes) or not self._tracks:
            return []
        expected = np.stack([track.expected(frame) for track in self._tracks])
        overlap = iou_matrix(boxes, expected)
        overlap[overlap < self._min_iou] = 0.0
        rows, columns = linear_sum_assignment(overlap, maximize=True)
        pairs = zip(rows.tolist(), columns.tolist(), strict=True)
        return [(row, self._tracks[column]) for row, column in pairs if overlap[row, column] > 0]
