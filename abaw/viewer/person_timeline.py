"""One person in one video, per frame: where the face is, the predicted expression, the annotation.

Shapes: T time, C class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.core.segments import segment_bounds
from abaw.inference.decode import decode
from abaw.protocol.classes import EXPRESSION_CLASSES, UNLABELLED
from abaw.sequence.smooth import Smoothing
from abaw.stores.faces import FaceStore
from abaw.stores.predictions import Predictions
from abaw.video.align import matrix_from_box, matrix_from_landmarks
from abaw.video.encode import BACK_S

NO_FACE = -1
_FRAME_S = 0.04
"""How long a frame lasts that no other follows."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Frames `first` to `last` (inclusive, from 1) with the same predicted class. probability: its mean over them."""

    label: int
    first: int
    last: int
    start_s: float
    end_s: float
    probability: float


@dataclass(frozen=True, slots=True, eq=False)
class PersonTimeline:
    """The results for one person.

    name: of the stores; faces: the person's store; times: (T,) seconds, in order; box_xyxy: (T, 4) pixels; crop: (T, 4)
    the parameters a, b, x, y of the similarity (a·X − b·Y + x, b·X + a·Y + y) from the picture to the aligned crop;
    probs: (T, C) smoothed probabilities. box_xyxy, crop and probs are NaN on frames without a face. labels: (T,) the
    most probable class, NO_FACE without a face; annotated: (T,) class, -1 without a label; None without annotation.
    landmarks: (T, 10) five points x, y in pixels, None when the detector has none; valence_arousal: (T, 2) smoothed,
    None when the model does not predict them.
    """

    name: str
    faces: FaceStore
    times: NDArray[np.float64]
    box_xyxy: NDArray[np.float32]
    crop: NDArray[np.float32]
    probs: NDArray[np.float32]
    labels: NDArray[np.int8]
    annotated: NDArray[np.int8] | None
    landmarks: NDArray[np.float32] | None = None
    valence_arousal: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.times)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(T,) True on frames with a face."""
        return np.asarray(self.labels != NO_FACE, np.bool_)

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """(T,) True where the predicted class differs from the annotated one; all False without annotation."""
        if self.annotated is None:
            return np.zeros(len(self), np.bool_)
        return np.asarray(self.valid & (self.annotated != UNLABELLED) & (self.annotated != self.labels), np.bool_)

    @property
    def scored(self) -> int:
        """Number of frames that have both a face and a label."""
        return 0 if self.annotated is None else int((self.valid & (self.annotated != UNLABELLED)).sum())


def read_timeline(
    faces: FaceStore, predictions: Predictions, smoothing: Smoothing, annotated: NDArray[np.int8] | None
) -> PersonTimeline:
    """Read one person's stores. Gaps are filled and smoothed as in a submission, then masked again.

    annotated: (T,) class, -1 without a label. Raises DataError when the stores differ in length.
    """
    if len(faces) != len(predictions):
        raise DataError(
            f"{faces.store.path}: has {len(faces)} frames, but its predictions have {len(predictions)}; "
            "remove both stores and run again"
        )
    decoded = decode(predictions, smoothing)
    valid = faces.valid
    box = _rows(faces, "box_xyxy", 4)
    landmarks = _rows(faces, "landmarks_xy", 10)
    return PersonTimeline(
        name=faces.name,
        faces=faces,
        times=in_order(faces.store.table.column("time_s").to_numpy()),
        box_xyxy=box,
        crop=_crops(box, landmarks),
        probs=np.where(valid[:, None], decoded.probs, np.float32(np.nan)),
        labels=np.where(valid, decoded.labels, NO_FACE).astype(np.int8),
        annotated=annotated,
        landmarks=None if np.isnan(landmarks).all() else landmarks,
        valence_arousal=decoded.valence_arousal,
    )


def _rows(faces: FaceStore, column: str, width: int) -> NDArray[np.float32]:
    """(T, width), NaN where null."""
    values: pa.Array = faces.store.table.column(column).combine_chunks()
    present = values.is_valid().to_numpy(zero_copy_only=False)
    rows = np.full((len(faces), width), np.nan, np.float32)
    rows[present] = values.flatten().to_numpy().reshape(-1, width)
    return rows


def _crops(box_xyxy: NDArray[np.float32], landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """(T, 4) as in PersonTimeline, from the landmarks (T, 10), or from the box (T, 4) where these are missing."""
    found = np.full((len(box_xyxy), 4), np.nan, np.float32)
    for row in np.flatnonzero(~np.isnan(box_xyxy[:, 0])):
        by_points = not np.isnan(landmarks[row, 0])
        matrix = matrix_from_landmarks(landmarks[row].reshape(5, 2)) if by_points else matrix_from_box(box_xyxy[row])
        found[row] = matrix[0, 0], matrix[1, 0], matrix[0, 2], matrix[1, 2]
    return found


def in_order(stamps_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T,) times that never run backwards: where time stamps begin again, as in joined recordings, time goes on.

    They begin again with a step back of more than half a second, or to the first stamp or before it. After a shorter
    step back, time stands still until the stamps have caught up.
    """
    steps = np.diff(stamps_s)
    again = (steps < 0) & ((steps < -BACK_S) | (stamps_s[1:] <= stamps_s[:1]))
    added = np.cumsum(np.where(again, _usual_s(stamps_s) - steps, 0.0))
    return np.asarray(np.maximum.accumulate(stamps_s + np.concatenate([[0.0], added])), np.float64)


def ends_of(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T,) time in seconds at which each frame ends; the last frame gets the median duration. times: (T,), in order."""
    return np.concatenate([times[1:], times[-1:] + _usual_s(times)])


def _usual_s(times: NDArray[np.float64]) -> float:
    """Median time from a frame to a later one."""
    steps = np.diff(times)
    forward = steps[steps > 0]
    return float(np.median(forward)) if len(forward) else _FRAME_S


def segments(person: PersonTimeline) -> list[Segment]:
    """Segments of equal class, in order; frames without a face belong to none."""
    ends = ends_of(person.times)
    return [
        Segment(
            label=int(person.labels[start]),
            first=start + 1,
            last=stop,
            start_s=float(person.times[start]),
            end_s=float(ends[stop - 1]),
            probability=float(person.probs[start:stop, person.labels[start]].mean()),
        )
        for start, stop in segment_bounds(person.labels)
        if person.labels[start] != NO_FACE
    ]


def seconds_by_class(person: PersonTimeline) -> NDArray[np.float64]:
    """(C,) seconds during which each class is the most probable one."""
    durations = ends_of(person.times) - person.times
    valid = person.valid
    sums = np.bincount(person.labels[valid], durations[valid], minlength=len(EXPRESSION_CLASSES))
    return np.asarray(sums, np.float64)


def segments_where(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last frame, counted from 1, of the segments in which `flags` (T,) is True."""
    return [(start + 1, stop) for start, stop in segment_bounds(flags) if flags[start]]
