"""A bounded sample of annotated frames with their probabilities: what a class bias is fitted on.

Shapes: T time, N kept frames, C class.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from abaw.evaluation.metrics import Labels
from abaw.protocol.classes import UNLABELLED

MOST_FRAMES = 1 << 19
"""At most this many frames are kept: 9 MB with eight classes."""


class FrameSample:
    """Every `stride`-th annotated frame over all videos, evenly: when there are too many, every second one is let go.

    stride: 1 while every annotated frame is kept. Probabilities are kept as float16.
    """

    def __init__(self, most: int = MOST_FRAMES) -> None:
        self.stride = 1
        self._most = most
        self._seen = 0
        self._kept = 0
        self._chunks: list[tuple[NDArray[np.float16], NDArray[np.int8], NDArray[np.int16]]] = []

    def add(self, probs: NDArray[np.floating], labels: Labels, fold: int) -> None:
        """One video. probs: (T, C); labels: (T,), -1 left out; fold: the one that the video belongs to."""
        known = np.flatnonzero(labels > UNLABELLED)
        frames = known[-self._seen % self.stride :: self.stride]
        self._seen += len(known)
        self._kept += len(frames)
        self._chunks.append(
            (probs[frames].astype(np.float16), labels[frames].astype(np.int8), np.full(len(frames), fold, np.int16))
        )
        while self._kept > self._most:
            probs_kept, labels_kept, folds = self.arrays()
            self.stride *= 2
            self._chunks = [(probs_kept[::2].copy(), labels_kept[::2].copy(), folds[::2].copy())]
            self._kept = len(self._chunks[0][0])

    def arrays(self) -> tuple[NDArray[np.float16], NDArray[np.int8], NDArray[np.int16]]:
        """Probabilities (N, C), labels (N,), fold (N,)."""
        probs, labels, folds = zip(*self._chunks, strict=True)
        return np.concatenate(probs), np.concatenate(labels), np.concatenate(folds)
