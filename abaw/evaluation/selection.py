"""Choices made on the scored data: their optimistic score, and an unbiased estimate for new videos.

Shapes: O options, K folds, V videos, T time, C class, L grid of values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.evaluation.metrics import Counts, Floats, confusion_of, macro_f1_of
from abaw.protocol.classes import UNLABELLED

GRID: Floats = np.round(np.arange(-120, 121) * 0.05, 2)
"""The possible values of a class's bias, ascending."""

_TINY = 1e-7
_MAX_ROUNDS = 12
_MIN_GAIN = 1e-4
_FRAMES_AT_FIRST = 30_000


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """A choice among options by macro F1, or by the score given to `nested_selection`.

    best: the option that is best on all videos; optimistic_f1: its score there, too high because it was chosen there;
    nested_f1: the unbiased estimate by nested selection, which scores each video with the option that is best on the
    other folds; chosen: that option per fold; confusions: (V, C, C), the counts of nested_f1.
    """

    best: int
    optimistic_f1: float
    nested_f1: float
    chosen: tuple[int, ...]
    confusions: NDArray[np.number]


def nested_selection(
    confusions: NDArray[np.number],
    by_fold: Sequence[NDArray[np.number]],
    folds: NDArray[np.integer],
    score: Callable[[NDArray[np.number]], Floats] = macro_f1_of,
) -> Selection:
    """Choose the option with the highest score, the first of equal ones, and score this choice by nested selection.

    Options may be partly fitted on labels. confusions: (O, V, C, C), rows annotated, fitted on all videos; by_fold: K
    arrays (O, V, C, C), fitted on the videos outside each fold; folds: (V,) the fold of each video, 0..K-1; score: of
    sums over videos, (…, C, C) -> (…), macro F1 by default. Another score may need sums of another shape than (C, C).
    """
    overall = score(confusions.sum(axis=1))
    nested = np.zeros_like(confusions[0])
    chosen = []
    for fold, fitted in enumerate(by_fold):
        inside = folds == fold
        option = int(score(fitted[:, ~inside].sum(axis=1)).argmax())
        nested[inside] = fitted[option, inside]
        chosen.append(option)
    best = int(overall.argmax())
    return Selection(best, float(overall[best]), float(score(nested.sum(axis=0))), tuple(chosen), nested)


def log_probs(probs: NDArray[np.floating]) -> NDArray[np.float32]:
    """The natural logarithm of probabilities (T, C), finite even for a probability of 0."""
    logs: NDArray[np.float32] = np.log(np.maximum(probs.astype(np.float32), np.float32(_TINY)))
    return logs


def biased_confusion(logs: NDArray[np.floating], labels: NDArray[np.integer], bias: Floats) -> Counts:
    """Frame counts (C, C) of the arg-max of logs + bias. logs: (T, C); labels: (T,), -1 for none; bias: (C,)."""
    return confusion_of(labels, (logs + bias.astype(logs.dtype)).argmax(axis=1), logs.shape[1])


def fit_class_bias(probs: NDArray[np.floating], labels: NDArray[np.integer], grid: Floats = GRID) -> Floats:
    """Biases (C,), added to the log of the probabilities, by coordinate ascent on macro F1; the first is 0.

    Each class's bias in turn is set to the best value of the grid while the others are fixed; this is exact and takes
    O(T C) per class. The ascent starts from no bias and from the one that evens out the class frequencies, on 30,000
    evenly spaced frames if there are more; from the better result it continues with all frames. If this does not beat
    no bias, all biases are 0.

    probs: (T, C), without gaps; labels: (T,), -1 for none; grid: (L,), ascending. Raises DataError when no frame is
    annotated.
    """
    known = labels > UNLABELLED
    if not known.any():
        raise DataError("no frame is annotated with a class: there is no class bias to fit; give annotated videos")
    logs, classes = log_probs(probs[known]), labels[known].astype(np.int64)
    none = np.zeros(logs.shape[1])
    step = -(-len(logs) // _FRAMES_AT_FIRST)
    first = [
        _ascend(logs[::step], classes[::step], start, grid) for start in (none, _evened_out(classes, len(none), grid))
    ]
    ends = [none, _ascend(logs, classes, _best_of(first, logs, classes), grid)]
    return _best_of(ends, logs, classes)


def _best_of(biases: Sequence[Floats], logs: NDArray[np.float32], labels: NDArray[np.int64]) -> Floats:
    scores = [float(macro_f1_of(biased_confusion(logs, labels, bias))) for bias in biases]
    return biases[int(np.argmax(scores))]


def _evened_out(labels: NDArray[np.int64], num_classes: int, grid: Floats) -> Floats:
    """Minus the log of the class frequencies, relative to the first class, (C,), within the grid."""
    counts = np.maximum(np.bincount(labels, minlength=num_classes), 1)
    bias: Floats = np.clip(np.log(counts[0] / counts), grid[0], grid[-1])
    return bias


def _ascend(logs: NDArray[np.float32], labels: NDArray[np.int64], start: Floats, grid: Floats) -> Floats:
    bias = start.copy()
    reached = -1.0
    for _ in range(_MAX_ROUNDS):
        before = reached
        for index in range(1, logs.shape[1]):
            curve = _curve(logs, labels, bias, index, grid)
            bias[index] = grid[curve.argmax()]
            reached = float(curve.max())
        if reached <= before + _MIN_GAIN:
            break
    return bias


def _curve(logs: NDArray[np.float32], labels: NDArray[np.int64], bias: Floats, index: int, grid: Floats) -> Floats:
    """Macro F1 for every value of the grid as the bias of class `index`, with the other biases fixed, (L,).

    From some grid value on, a frame is assigned to the class instead of its rival, the best other class. The frames are
    sorted once into the steps of the grid; cumulative counts then say how many have changed at each value.
    """
    num_classes = logs.shape[1]
    others = logs + bias.astype(np.float32)
    others[:, index] = -np.inf
    rival = others.argmax(axis=1)
    threshold = np.take_along_axis(others, rival[:, None], axis=1)[:, 0] - logs[:, index]
    step = np.searchsorted(grid, threshold, side="right")
    shape = (len(grid) + 1, num_classes)
    offsets = step * num_classes
    size = shape[0] * shape[1]
    lost = np.bincount(offsets + rival, minlength=size).reshape(shape)
    correct = labels == rival
    lost_hits = np.bincount(offsets[correct] + rival[correct], minlength=size).reshape(shape)
    gained_hits = np.bincount(step[labels == index], minlength=shape[0])
    predicted = lost.sum(axis=0) - lost.cumsum(axis=0)[:-1]
    hits = lost_hits.sum(axis=0) - lost_hits.cumsum(axis=0)[:-1]
    predicted[:, index] = lost.sum(axis=1).cumsum()[:-1]
    hits[:, index] = gained_hits.cumsum()[:-1]
    occurrences = predicted + np.bincount(labels, minlength=num_classes)
    means: Floats = (2 * hits / np.maximum(occurrences, 1)).mean(axis=1)
    return means
