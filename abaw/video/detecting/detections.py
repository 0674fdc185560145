"""The faces that a detector finds in one picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from abaw.video.detecting.boxes import taken

MIRRORED: Final = (1, 0, 2, 4, 3)
"""Index of the landmark that takes each landmark's place in the mirror image."""


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """The N faces of one picture, in its pixels, best first.

    box_xyxy: (N, 4) float32; score: (N,) float32; landmarks_xy: (N, 5, 2) float32 (eye, eye, nose, mouth corner, mouth
    corner; the viewer's left before the right), or None from a detector that returns boxes only. Raises ValueError for
    other shapes.
    """

    box_xyxy: NDArray[np.float32]
    score: NDArray[np.float32]
    landmarks_xy: NDArray[np.float32] | None

    def __post_init__(self) -> None:
        num = len(self.box_xyxy)
        if self.box_xyxy.shape != (num, 4):
            raise ValueError(f"box_xyxy: expected shape (N, 4), found {self.box_xyxy.shape}")
        if self.score.shape != (num,):
            raise ValueError(f"score: expected shape ({num},), found {self.score.shape}")
        if self.landmarks_xy is not None and self.landmarks_xy.shape != (num, 5, 2):
            raise ValueError(f"landmarks_xy: expected shape ({num}, 5, 2), found {self.landmarks_xy.shape}")

    @classmethod
    def none(cls) -> Detections:
        """No face."""
        return cls(np.empty((0, 4), np.float32), np.empty(0, np.float32), None)

    @classmethod
    def join(cls, parts: Sequence[Detections]) -> Detections:
        """The faces of several detector passes, best first.

        Raises ValueError if only some of the parts have landmarks.
        """
        parts = [part for part in parts if len(part)]
        if not parts:
            return cls.none()
        box = np.concatenate([part.box_xyxy for part in parts])
        score = np.concatenate([part.score for part in parts])
        landmarks = [part.landmarks_xy for part in parts if part.landmarks_xy is not None]
        joined = cls(box, score, np.concatenate(landmarks) if landmarks else None)
        return joined.pick(np.argsort(-score, kind="stable"))

    def __len__(self) -> int:
        return len(self.box_xyxy)

    def pick(self, rows: Sequence[int] | NDArray[np.int64]) -> Detections:
        """Some of the faces, in the order of `rows`."""
        index = np.asarray(rows, np.int64)
        landmarks = None if self.landmarks_xy is None else self.landmarks_xy[index]
        return Detections(self.box_xyxy[index], self.score[index], landmarks)

    def with_new(self, others: Detections) -> Detections:
        """These faces, and those of the others that are none of these."""
        new = np.flatnonzero(~taken(others.box_xyxy, self.box_xyxy))
        return Detections.join([self, others.pick(new)]) if len(new) else self

    def mapped(self, transform: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> Detections:
        """The same faces in other coordinates.

        transform: maps points (..., 2), and x and y independently of each other, so that boxes stay boxes.
        """
        box = transform(self.box_xyxy.reshape(-1, 2, 2)).reshape(-1, 4)
        return Detections(box, self.score, None if self.landmarks_xy is None else transform(self.landmarks_xy))

    def shifted(self, offset_xy: tuple[int, int]) -> Detections:
        """The same faces, `offset_xy` pixels further right and down."""
        offset = np.array(offset_xy, np.float32)
        return self.mapped(lambda points: points + offset)

    def mirrored(self, width: int) -> Detections:
        """The same faces in the mirror image of a picture that is `width` pixels wide."""
        box = self.box_xyxy.copy()
        box[:, [0, 2]] = width - self.box_xyxy[:, [2, 0]]
        if self.landmarks_xy is None:
            return Detections(box, self.score, None)
        landmarks = self.landmarks_xy[:, list(MIRRORED)]
        landmarks[..., 0] = width - landmarks[..., 0]
        return Detections(box, self.score, landmarks)
