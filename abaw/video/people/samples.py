"""Boxes of a few dozen frames, evenly over a video of unknown length, for a person to look at afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_MOST = 48


class Samples:
    """Every n-th frame with its faces; n doubles whenever there are too many."""

    def __init__(self) -> None:
        self._step = 1
        self._faces: dict[int, list[list[int]]] = {}

    def add(self, frame: int, numbers: NDArray[np.int32], box_xyxy: NDArray[np.float32]) -> None:
        """The track numbers (N,) and boxes (N, 4) of one frame."""
        if (frame - 1) % self._step:
            return
        boxes = np.rint(box_xyxy).astype(int).tolist()
        self._faces[frame] = [[number, *box] for number, box in zip(numbers.tolist(), boxes, strict=True) if number]
        if len(self._faces) > _MOST:
            self._step *= 2
            self._faces = {frame: faces for frame, faces in self._faces.items() if not (frame - 1) % self._step}

    def to_plain(self) -> list[dict[str, Any]]:
        """One `{frame, faces}` a frame, faces as (track, x1, y1, x2, y2) in whole pixels, for a store's metadata."""
        return [{"frame": frame, "faces": faces} for frame, faces in sorted(self._faces.items())]
