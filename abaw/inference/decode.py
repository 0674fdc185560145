"""Predictions -> one class per frame: fill gaps, smooth, arg-max. Validation and submission use the result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.sequence.filters import fill_gaps
from abaw.sequence.smooth import Smoothing
from abaw.stores.predictions import Predictions


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """The result for one video; frame k is at index k - 1.

    labels: (T,) int8 classes; probs: (T, C) filled, smoothed and biased; both empty, (0,) and (T, 0), when expression
    is not predicted; valence_arousal: (T, 2) and action_units:
    (T, 12), filled and smoothed, None when not predicted.
    """

    labels: NDArray[np.int8]
    probs: NDArray[np.float32]
    valence_arousal: NDArray[np.float32] | None
    action_units: NDArray[np.float32] | None


def decode(predictions: Predictions, smoothing: Smoothing, class_bias: NDArray[np.floating] | None = None) -> Decoded:
    """Fill frames without a prediction from their neighbours, smooth, and take the most probable class.

    smoothing: converted to the frame rate of the predictions; class_bias: (C,), replaces its bias.

    In a video without any prediction the probabilities are uniform and the class is the first, Neutral, with every
    smoothing and bias; valence, arousal and action units are 0. Raises DataError when the classes are not those of the
    challenge, the frames are not 1, 2, 3, …, or a prediction is not finite; and ConfigError for a bias that is not one
    finite number per class, or for seconds without a frame rate.
    """
    if predictions.classes not in (EXPRESSION_CLASSES, ()):
        raise DataError(
            f"{predictions.name}: expected the classes {', '.join(EXPRESSION_CLASSES)}; "
            f"found {', '.join(predictions.classes)}; predict with a model of these classes"
        )
    if not np.array_equal(predictions.frames, np.arange(1, len(predictions) + 1)):
        raise DataError(f"{predictions.name}: expected one row per frame, 1, 2, 3, …; predict the video again")
    for values in (predictions.probs, predictions.valence_arousal, predictions.action_units):
        if values is not None:
            _require_finite(predictions, values)
    smoothing = smoothing.for_shares(predictions.class_shares) if class_bias is None else smoothing.biased(class_bias)
    smoothing = smoothing.at(predictions.fps)
    labels, probs = _classes(predictions, smoothing) if predictions.classes else _no_classes(predictions)
    return Decoded(
        labels=labels,
        probs=probs,
        valence_arousal=_columns(predictions.valence_arousal, predictions.predicted, smoothing),
        action_units=_columns(predictions.action_units, predictions.predicted, smoothing),
    )


def _classes(predictions: Predictions, smoothing: Smoothing) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    filled = fill_gaps(predictions.probs, predictions.predicted, 1 / len(EXPRESSION_CLASSES))
    probs = smoothing(filled) if predictions.predicted.any() else filled
    return probs.argmax(axis=1).astype(np.int8), probs


def _no_classes(predictions: Predictions) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    return np.empty(0, np.int8), predictions.probs


def _require_finite(predictions: Predictions, values: NDArray[np.float32]) -> None:
    """Raise DataError, naming the first frame, if a prediction is not finite: filters would spread it."""
    wrong = np.flatnonzero(predictions.predicted & ~np.isfinite(values).all(axis=1))
    if len(wrong):
        raise DataError(
            f"{predictions.name}: the prediction of frame {predictions.frames[wrong[0]]} is not a finite number "
            f"({len(wrong)} such frames); predict the video again"
        )


def _columns(
    values: NDArray[np.float32] | None, predicted: NDArray[np.bool_], smoothing: Smoothing
) -> NDArray[np.float32] | None:
    return None if values is None else smoothing.columns(fill_gaps(values, predicted, 0.0))
