"""Choices made on the data that is then scored: how much they flatter, and what they bring on videos they did not see.

Shapes: O options, K folds, V videos, T time, C class, L grid of values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from abaw.core.errors import DataError
from abaw.evaluation.metrics import Counts, Floats, confusion_of, macro_f1_of
from abaw.protocol.classes import UNLABELLED

FOLDS = 5
GRID: Floats = np.round(np.arange(-120, 121) * 0.05, 2)
"""Values that a class's bias can take, ascending."""

_TINY = 1e-7
_MOST_ROUNDS = 12
_LEAST_GAIN = 1e-4
_FRAMES_AT_FIRST = 30_000
_SAMPLES = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """A choice among options by macro F1.

    best: the option that is best on all videos; optimistic_f1: its score there, too high because it was chosen there;
    honest_f1: the score when each video is scored with the option that is best on the folds without it; chosen: that
    option, a fold; confusions: (V, C, C), what honest_f1 follows from.
    """

    best: int
    optimistic_f1: float
    honest_f1: float
    chosen: tuple[int, ...]
    confusions: Counts


def video_folds(
    label_counts: NDArray[np.integer], groups: Sequence[str], num_folds: int = FOLDS, seed: int = 0
) -> NDArray[np.int64]:
    """The fold of each video, (V,): groups stay together, and each class is spread over the folds as evenly as it goes.

    label_counts: (V, C) annotated frames; groups: V names; seed: decides between groups whose labels are spread alike.
    As many folds as groups when there are fewer groups. Raises DataError when there are fewer than two groups with
    annotated frames.
    """
    counts = np.asarray(label_counts, dtype=np.int64)
    names, of_video = np.unique(np.asarray(groups), return_inverse=True)
    annotated = len(np.unique(of_video[counts.sum(axis=1) > 0]))
    if annotated < 2:
        raise DataError(f"folds need annotated frames of two different videos at least; found {annotated}")
    folds = min(num_folds, annotated)
    # Each sample stands for so many frames of a video and class; shares stay as they are.
    samples = -(-counts * _SAMPLES // max(int(counts.sum()), _SAMPLES))
    if samples.sum(axis=0)[counts.any(axis=0)].min() < folds:
        samples = samples * folds  # scikit-learn asks for as many samples of a class as folds
    videos, classes = (np.repeat(index.ravel(), samples.ravel()) for index in np.indices(samples.shape))
    # Groups of which the labels are spread alike are taken in this order: scikit-learn's own shuffling depends on its
    # version.
    place = np.random.default_rng(seed).permutation(len(names))
    fold_of_place = np.zeros(len(names), dtype=np.int64)
    place_of_sample = place[of_video[videos]]
    for fold, (_, held_out) in enumerate(StratifiedGroupKFold(folds).split(classes, classes, place_of_sample)):
        fold_of_place[np.unique(place_of_sample[held_out])] = fold
    return fold_of_place[place[of_video]]


def nested_selection(confusions: Counts, groups: Sequence[str], num_folds: int = FOLDS, seed: int = 0) -> Selection:
    """Choose the option of the highest macro F1, and score the way of choosing on videos that it did not see.

    confusions: (O, V, C, C), rows annotated, the same videos for every option; groups: V names, those of one name stay
    in one fold. Of equal options the first is taken. Raises DataError as `video_folds`.
    """
    folds = video_folds(confusions[0].sum(axis=-1), groups, num_folds, seed)
    return select_fitted(confusions, [confusions] * (int(folds.max()) + 1), folds)


def select_fitted(confusions: Counts, by_fold: Sequence[Counts], folds: NDArray[np.integer]) -> Selection:
    """As `nested_selection`, for options with a part that is fitted on labels.

    confusions: (O, V, C, C) fitted on all videos; by_fold: K times (O, V, C, C), fitted on the videos outside the fold;
    folds: (V,) the fold of each video, 0..K-1.
    """
    everywhere = macro_f1_of(confusions.sum(axis=1))
    honest = np.zeros_like(confusions[0])
    chosen = []
    for fold, fitted in enumerate(by_fold):
        inside = folds == fold
        option = int(macro_f1_of(fitted[:, ~inside].sum(axis=1)).argmax())
        honest[inside] = fitted[option, inside]
        chosen.append(option)
    best = int(everywhere.argmax())
    return Selection(best, float(everywhere[best]), float(macro_f1_of(honest.sum(axis=0))), tuple(chosen), honest)


def log_probs(probs: NDArray[np.floating]) -> NDArray[np.float32]:
    """Natural logarithm, finite for a probability of 0 too. probs (T, C) -> (T, C)."""
    logs: NDArray[np.float32] = np.log(np.maximum(probs.astype(np.float32), np.float32(_TINY)))
    return logs


def biased_confusion(logs: NDArray[np.floating], labels: NDArray[np.integer], bias: Floats) -> Counts:
    """Frame counts (C, C) of the arg-max of logs + bias. logs: (T, C); labels: (T,), -1 left out; bias: (C,)."""
    return confusion_of(labels, (logs + bias.astype(logs.dtype)).argmax(axis=1), logs.shape[1])


def fit_class_bias(probs: NDArray[np.floating], labels: NDArray[np.integer], grid: Floats = GRID) -> Floats:
    """A bias a class, added to the log of the probabilities, by coordinate ascent on macro F1: (C,), the first 0.

    probs: (T, C) without gaps; labels: (T,), -1 left out; grid: (L,) ascending. Each class's bias in turn takes the
    best value of the grid while the others stay, exactly, from counts: O(T C) a class. The ascent starts at no bias
    and at the one that evens out the class frequencies, first on 30,000 frames spread evenly when there are more; from
    the better of the two ends it goes on with all frames. No bias when the end does not beat it. Raises DataError when
    no frame is annotated.
    """
    known = labels > UNLABELLED
    if not known.any():
        raise DataError("no frame is annotated with a class: there is no class bias to fit")
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
    for _ in range(_MOST_ROUNDS):
        before = reached
        for index in range(1, logs.shape[1]):
            curve = _curve(logs, labels, bias, index, grid)
            bias[index] = grid[curve.argmax()]
            reached = float(curve.max())
        if reached <= before + _LEAST_GAIN:
            break
    return bias


def _curve(logs: NDArray[np.float32], labels: NDArray[np.int64], bias: Floats, index: int, grid: Floats) -> Floats:
    """Macro F1 (L,) for every value of the grid as bias of one class, the others as they are.

    A frame goes to the class from the grid value on that lifts it above the best of the others. So the frames are
    sorted once into the gaps of the grid, and cumulative counts say how many have gone over at each value.
    """
    num_classes = logs.shape[1]
    others = logs + bias.astype(np.float32)
    others[:, index] = -np.inf
    rival = others.argmax(axis=1)
    threshold = np.take_along_axis(others, rival[:, None], axis=1)[:, 0] - logs[:, index]
    step = np.searchsorted(grid, threshold, side="right")
    shape = (len(grid) + 1, num_classes)
    cells = step * num_classes
    size = shape[0] * shape[1]
    lost = np.bincount(cells + rival, minlength=size).reshape(shape)
    right = labels == rival
    lost_hits = np.bincount(cells[right] + rival[right], minlength=size).reshape(shape)
    gained_hits = np.bincount(step[labels == index], minlength=shape[0])
    predicted = lost.sum(axis=0) - lost.cumsum(axis=0)[:-1]
    hits = lost_hits.sum(axis=0) - lost_hits.cumsum(axis=0)[:-1]
    predicted[:, index] = lost.sum(axis=1).cumsum()[:-1]
    hits[:, index] = gained_hits.cumsum()[:-1]
    below = predicted + np.bincount(labels, minlength=num_classes)
    means: Floats = (2 * hits / np.maximum(below, 1)).mean(axis=1)
    return means
