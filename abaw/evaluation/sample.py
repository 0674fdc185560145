"""A bounded sample of annotated frames with their probabilities, for fitting a class bias.

Shapes: T time, N kept frames, C class.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from abaw.evaluation.metrics import Labels
from abaw.protocol.classes import UNLABELLED

MAX_FRAMES = 1 << 19
"""The largest number of frames kept: 9 MB with eight classes."""


class FrameSample:
    """Every n-th annotated frame over all videos; when there are too many, every second one is dropped.

    stride: n, 1 while every annotated frame is kept. Probabilities are kept as float16.
    """

    def __init__(self, max_frames: int = MAX_FRAMES) -> None:
        self.stride = 1
        self._max_frames = max_frames
        self._seen = 0
        self._kept = 0
        self._chunks: list[tuple[NDArray[np.float16], NDArray[np.int8], NDArray[np.int16]]] = []

    def add(self, probs: NDArray[np.floating], labels: Labels, fold: int) -> None:
        """Add one video. probs: (T, C); labels: (T,), -1 left out; fold: the video's fold."""
        known = np.flatnonzero(labels > UNLABELLED)
        frames = known[-self._seen % self.stride :: self.stride]
        self._seen += len(known)
        self._kept += len(frames)
        self._chunks.append(
            (probs[frames].astype(np.float16), labels[frames].astype(np.int8), np.full(len(frames), fold, np.int16))
        )
        while self._kept > self._max_frames:
            probs_kept, labels_kept, folds = self.arrays()
            self.stride *= 2
            self._chunks = [(probs_kept[::2].copy(), labels_kept[::2].copy(), folds[::2].copy())]
            self._kept = len(self._chunks[0][0])

    def arrays(self) -> tuple[NDArray[np.float16], NDArray[np.int8], NDArray[np.int16]]:
        """Probabilities (N, C), labels (N,) and folds (N,) of the kept frames."""
        probs, labels, folds = zip(*self._chunks, strict=True)
        return np.concatenate(probs), np.concatenate(labels), np.concatenate(folds)
