"""Linking the faces of one frame to those of the next: one number per person, as long as the person is visible.

ByteTrack's association (arXiv 2110.06864): a Kalman filter predicts each track's place; confident faces are assigned to
tracks first, doubtful ones only to the remaining tracks, and they never start a track.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import ConfigError
from abaw.video.detecting.boxes import iou_matrix

_NOISE_PLACE = 1 / 20
_NOISE_VELOCITY = 1 / 160
"""ByteTrack's standard deviations of a measured place, and of the change of place and velocity in one frame, in sizes
of the face."""
_MIN_IOU_DOUBTFUL = 0.5


class _Track:
    """A Kalman filter of constant velocity on the box's centre; the box keeps its last size.

    Both coordinates have the same (place, velocity) covariance (2, 2), in squares of the face's size.
    """

    def __init__(self, number: int, frame: int, box_xyxy: NDArray[np.float64]) -> None:
        self.number = number
        self.frame = frame
        self._size_wh = box_xyxy[2:] - box_xyxy[:2]
        self._state = np.stack([(box_xyxy[:2] + box_xyxy[2:]) / 2, np.zeros(2)])
        self._covariance = np.diag([2 * _NOISE_PLACE, 10 * _NOISE_VELOCITY]) ** 2

    def expected(self, frame: int) -> NDArray[np.float64]:
        """The box (4,) predicted for a later frame."""
        centre = self._state[0] + (frame - self.frame) * self._state[1]
        return np.concatenate([centre - self._size_wh / 2, centre + self._size_wh / 2])

    def follow(self, frame: int, box_xyxy: NDArray[np.float64]) -> None:
        noise = np.diag([_NOISE_PLACE, _NOISE_VELOCITY]) ** 2
        step = np.array([[1.0, 1.0], [0.0, 1.0]])
        for _ in range(frame - self.frame):
            self._state = step @ self._state
            self._covariance = step @ self._covariance @ step.T + noise
        gain = self._covariance[:, 0] / (self._covariance[0, 0] + _NOISE_PLACE**2)
        self._state = self._state + np.outer(gain, (box_xyxy[:2] + box_xyxy[2:]) / 2 - self._state[0])
        self._covariance = self._covariance - np.outer(gain, self._covariance[0])
        self._size_wh, self.frame = box_xyxy[2:] - box_xyxy[:2], frame


class Tracker:
    """Association by overlap with the expected box, the best over all pairs at once (Hungarian method).

    max_gap: number of frames without the face that a track survives; min_iou: below this overlap a face is somebody
    else's; confident_score: faces with a lower score only continue a track of the frame before.
    Tracks are numbered from 1 in order of appearance. Raises ConfigError for settings out of range.
    """

    def __init__(self, max_gap: int = 15, min_iou: float = 0.3, confident_score: float = 0.6) -> None:
        if max_gap < 0 or not 0 < min_iou <= 1:
            raise ConfigError(f"tracker: expected max_gap >= 0 and 0 < min_iou <= 1, found {max_gap} and {min_iou}")
        self._max_gap = max_gap
        self._min_iou = min_iou
        self._confident_score = confident_score
        self._tracks: list[_Track] = []
        self._count = 0

    def update(
        self,
        frame: int,
        box_xyxy: NDArray[np.float32],
        score: NDArray[np.float32] | None = None,
        cut: bool = False,
    ) -> NDArray[np.int32]:
        """Track numbers (N,) of the boxes (N, 4) of one frame, 0 for a doubtful face of no track.

        score: (N,), None if all are confident; cut: a shot begins with this frame, so places say nothing and all tracks
        end. Frames must be given in ascending order.
        """
        self._tracks = [] if cut else self._live(frame)
        boxes = box_xyxy.astype(np.float64)
        numbers = np.zeros(len(boxes), np.int32)
        confident = np.ones(len(boxes), bool) if score is None else np.asarray(score >= self._confident_score)
        free = self._link(frame, boxes, np.flatnonzero(confident), self._tracks, self._min_iou, numbers)
        previous = [track for track in free if track.frame == frame - 1]
        min_iou = max(self._min_iou, _MIN_IOU_DOUBTFUL)
        self._link(frame, boxes, np.flatnonzero(~confident), previous, min_iou, numbers)
        for row in np.flatnonzero(confident & (numbers == 0)).tolist():
            self._count += 1
            self._tracks.append(_Track(self._count, frame, boxes[row]))
            numbers[row] = self._count
        return numbers

    def expected(self, frame: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Numbers (M,) and boxes (M, 4) of the live tracks, predicted for a frame after the last update."""
        live = self._live(frame)
        boxes = [track.expected(frame) for track in live]
        return np.array([track.number for track in live], np.int32), np.array(boxes, np.float64).reshape(-1, 4)

    def _live(self, frame: int) -> list[_Track]:
        return [track for track in self._tracks if frame - track.frame - 1 <= self._max_gap]

    def _link(
        self,
        frame: int,
        boxes: NDArray[np.float64],
        rows: NDArray[np.int64],
        tracks: Sequence[_Track],
        min_iou: float,
        numbers: NDArray[np.int32],
    ) -> list[_Track]:
        """Assign the faces in `rows` to `tracks` and enter their numbers; returns the tracks without a face."""
        if not len(rows) or not tracks:
            return list(tracks)
        overlap = iou_matrix(boxes[rows], np.stack([track.expected(frame) for track in tracks]))
        overlap[overlap < min_iou] = 0.0
        taken = set()
        for index, place in _best_pairs(overlap):
            if overlap[index, place] > 0:
                row, track = int(rows[index]), tracks[place]
                track.follow(frame, boxes[row])
                numbers[row] = track.number
                taken.add(track.number)
        return [track for track in tracks if track.number not in taken]


def _best_pairs(overlap: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Row and column of each pair, such that the sum of their overlaps, (rows, columns), is the largest."""
    if 1 in overlap.shape:
        row, column = np.unravel_index(int(overlap.argmax()), overlap.shape)
        return [(int(row), int(column))]
    # Loaded on use: it takes a second, and videos of one person do without.
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(overlap, maximize=True)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))
