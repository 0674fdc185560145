"""Predictions -> a class a frame: gaps filled, smoothed, arg-max. What validation scores and a submission holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.sequence.smooth import Smoothing, fill_gaps
from abaw.stores.predictions import Predictions


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Frame k of the video at k - 1. labels: (T,) int8 classes; probs: (T, C) filled and smoothed."""

    labels: NDArray[np.int8]
    probs: NDArray[np.float32]


def decode(predictions: Predictions, smoothing: Smoothing) -> Decoded:
    """Fill frames without a prediction from their neighbours, smooth, take the most probable class.

    Where nothing at all was predicted the probabilities are uniform and the class is the first, Neutral. Raises
    DataError when the classes are not those of the challenge or the frames are not 1, 2, 3, ….
    """
    if predictions.classes != EXPRESSION_CLASSES:
        raise DataError(
            f"{predictions.name}: expected the classes {', '.join(EXPRESSION_CLASSES)}; "
            f"found {', '.join(predictions.classes)}; predict with a model of these classes"
        )
    if not np.array_equal(predictions.frames, np.arange(1, len(predictions) + 1)):
        raise DataError(
            f"{predictions.name}: expected a row for each of the frames 1, 2, 3, …; predict the video again"
        )
    probs = smoothing(fill_gaps(predictions.probs, predictions.predicted))
    return Decoded(probs.argmax(axis=1).astype(np.int8), probs)
