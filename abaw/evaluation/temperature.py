"""Temperature scaling (arXiv 1706.04599): calibrates a model without changing what it predicts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from abaw.core.errors import DataError
from abaw.evaluation.metrics import Labels
from abaw.protocol.classes import UNLABELLED

_LIMIT = 10.0


def fit_temperature(logits: NDArray[np.floating], labels: Labels) -> float:
    """The T in 0.1..10 for which `softmax(logits / T)` makes the labels most likely; below 1 it raises confidence.

    logits: (N, C); labels: (N,), -1 left out. Raises DataError without labels.
    """
    known = labels > UNLABELLED
    if not known.any():
        raise DataError("no labels: a temperature is fitted on labelled faces")
    scores, of_label = logits[known].astype(np.float64), labels[known].astype(np.int64)[:, None]

    def loss(log_temperature: float) -> float:
        scaled = scores / np.exp(log_temperature)
        return float((logsumexp(scaled, axis=1) - np.take_along_axis(scaled, of_label, axis=1)[:, 0]).mean())

    limits = (-np.log(_LIMIT), np.log(_LIMIT))
    return float(np.exp(minimize_scalar(loss, bounds=limits, method="bounded").x))
