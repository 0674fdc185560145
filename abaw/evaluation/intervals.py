"""Intervals of F1 with about their nominal coverage, even for rare classes and few videos: studentized bootstrap.

The F1 of a class that few videos contain is underestimated, and resampling lowers it further: the percentiles of the
draws are too low and too close together. Here each draw's distance from the score is divided by the draw's own standard
error, which corrects most of both (bootstrap-t: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter
12). The standard error is from the delta method over videos.
Shapes: R seeds, V videos, G groups of videos that belong together, C class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abaw.evaluation.bootstrap import DRAWS, Interval, draw_weights, sum_by_group
from abaw.evaluation.metrics import Floats

_NO_ERROR = 1e-9


@dataclass(frozen=True, slots=True)
class F1Intervals:
    """Intervals of macro F1 and of the F1 of each of the C classes, within 0..1."""

    macro: Interval
    per_class: tuple[Interval, ...]


def f1_intervals(
    confusions: NDArray[np.number], groups: Sequence[str], draws: int = DRAWS, seed: int = 0, level: float = 0.95
) -> F1Intervals:
    """Intervals from draws of whole videos. confusions: (V, C, C), rows annotated; groups: V names (`video_groups`).

    If more than (1 - level) / 2 of the draws have no video of a class, the upper end of its interval is 1: the videos
    do not determine it. Raises DataError when there are no videos, or not one name per video.
    """
    summed = sum_by_group(confusions, groups)
    hits = np.diagonal(summed, axis1=1, axis2=2)
    occurrences = summed.sum(axis=1) + summed.sum(axis=2)
    scores, errors = f1_with_errors(hits, occurrences, np.ones((1, len(summed))))
    drawn, drawn_errors = f1_with_errors(hits, occurrences, draw_weights(len(summed), draws, seed))
    found = [
        _studentized(*columns, level) for columns in zip(scores[0], errors[0], drawn.T, drawn_errors.T, strict=True)
    ]
    return F1Intervals(found[0], tuple(found[1:]))


def mean_interval(confusions: NDArray[np.number], groups: Sequence[str], draws: int = DRAWS) -> Interval:
    """95 % interval over videos of the mean over the seeds of macro F1. confusions: (R, V, C, C).

    The classes of all seeds together are S x C classes, and the mean of their F1 is the mean over the seeds.
    """
    seeds, videos, classes, _ = confusions.shape
    blocks = np.zeros((videos, seeds, classes, seeds, classes), dtype=confusions.dtype)
    for seed in range(seeds):
        blocks[:, seed, :, seed] = confusions[seed]
    return f1_intervals(blocks.reshape(videos, seeds * classes, seeds * classes), groups, draws).macro


def f1_with_errors(hits: Floats, occurrences: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Macro F1 and the F1 of each class for every row of weights, and their standard errors: (draws, 1 + C) each.

    hits: (G, C) correct frames; occurrences: (G, C) annotated plus predicted frames; weights: (draws, G).
    A group changes a class's F1 = 2 H / S by (2 h - F1 s) / S; the variance is the sum of the squares of these changes.
    """
    total = weights @ occurrences
    safe = np.where(total > 0, total, 1)
    f1 = 2 * (weights @ hits) / safe
    squares = (
        4 * (weights @ hits**2) - 4 * f1 * (weights @ (hits * occurrences)) + f1**2 * (weights @ occurrences**2)
    ) / safe**2
    moved = (2 / safe) @ hits.T - (f1 / safe) @ occurrences.T
    of_macro = (weights * moved**2).sum(axis=1, keepdims=True) / hits.shape[1] ** 2
    variances = np.concatenate([of_macro, np.maximum(squares, 0)], axis=1)
    return np.concatenate([f1.mean(axis=1, keepdims=True), f1], axis=1), np.sqrt(variances)


def _studentized(score: float, error: float, drawn: Floats, drawn_errors: Floats, level: float) -> Interval:
    """The interval of one score. drawn, drawn_errors: (draws,) each.

    The score of a draw with standard error 0 may be far too low: its distance counts as minus infinity.
    """
    if error < _NO_ERROR:
        return Interval(float(score), float(score))
    usable = drawn_errors > _NO_ERROR
    distances = np.where(usable, (drawn - score) / np.where(usable, drawn_errors, 1), -np.inf)
    low, high = np.quantile(distances, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return Interval(float(np.clip(score - high * error, 0, 1)), float(np.clip(score - low * error, 0, 1)))
