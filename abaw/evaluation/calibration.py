"""How well probabilities are calibrated: confidence compared with accuracy, and proper scores.

All values are sums over frames: the calibration of a set is the sum of those of its videos.
Shapes: T time, C class, B bins of confidence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abaw.evaluation.metrics import Floats, Labels
from abaw.protocol.classes import UNLABELLED

NUM_BINS = 15
_TINY = 1e-7


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Sums over annotated frames, in bins of equal width of the highest probability.

    frames, confidence, hits: (B,) each: number of frames, sum of their highest probabilities, number of correct ones;
    log_loss, brier: sums over all frames.
    """

    frames: Floats
    confidence: Floats
    hits: Floats
    log_loss: float
    brier: float

    def __add__(self, other: Calibration) -> Calibration:
        return Calibration(
            self.frames + other.frames,
            self.confidence + other.confidence,
            self.hits + other.hits,
            self.log_loss + other.log_loss,
            self.brier + other.brier,
        )

    @property
    def num_frames(self) -> int:
        return int(self.frames.sum())

    @property
    def nll(self) -> float:
        """Mean negative log-likelihood of the annotated class, in nats (log C if uniform); NaN without frames."""
        return self._mean(self.log_loss)

    @property
    def brier_score(self) -> float:
        """Mean squared distance of the probabilities from the annotated class, 0 to 2; NaN without frames."""
        return self._mean(self.brier)

    @property
    def ece(self) -> float:
        """Expected calibration error: mean distance of confidence and accuracy, bins weighted by their frames."""
        return self._mean(float(np.abs(self.confidence - self.hits).sum()))

    @property
    def mean_confidence(self) -> float:
        return self._mean(float(self.confidence.sum()))

    @property
    def accuracy(self) -> float:
        return self._mean(float(self.hits.sum()))

    def _mean(self, total: float) -> float:
        return total / self.num_frames if self.num_frames else float("nan")


def no_frames(num_bins: int = NUM_BINS) -> Calibration:
    """The empty calibration, with which a sum over videos starts."""
    return Calibration(np.zeros(num_bins), np.zeros(num_bins), np.zeros(num_bins), 0.0, 0.0)


def calibration_of(probs: NDArray[np.floating], labels: Labels, num_bins: int = NUM_BINS) -> Calibration:
    """The calibration of one video. In the log-likelihood, a probability of 0 counts as 1e-7.

    probs: (T, C), rows that sum to 1; labels: (T,), -1 left out.
    """
    known = labels > UNLABELLED
    probs, labels = probs[known].astype(np.float64), labels[known].astype(np.int64)
    if not len(labels):
        return no_frames(num_bins)
    confidence = np.minimum(probs.max(axis=1), 1.0)
    correct = probs.argmax(axis=1) == labels
    of_label = np.take_along_axis(probs, labels[:, None], axis=1)[:, 0]
    bins = np.minimum((confidence * num_bins).astype(np.int64), num_bins - 1)
    return Calibration(
        frames=np.bincount(bins, minlength=num_bins).astype(np.float64),
        confidence=np.bincount(bins, confidence, minlength=num_bins).astype(np.float64),
        hits=np.bincount(bins[correct], minlength=num_bins).astype(np.float64),
        log_loss=float(-np.log(np.maximum(of_label, _TINY)).sum()),
        brier=float(((probs**2).sum(axis=1) - 2 * of_label + 1).sum()),
    )
