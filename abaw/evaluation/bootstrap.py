"""Intervals by bootstrap over videos: frames of one video resemble each other, so whole videos are drawn.

A score that follows from sums over videos (a confusion matrix, moments) is bootstrapped from one small array a video.
Shapes: V videos, G groups of videos that belong together, C class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.evaluation.metrics import Floats, macro_f1_of
from abaw.protocol.layout import parse_subject

DRAWS = 1000
_NUMBERS_AT_ONCE = 1 << 22


@dataclass(frozen=True, slots=True)
class Interval:
    """The range of a score at a given level, both ends included. `f"{interval:.4f}"` is `[0.1234, 0.2345]`."""

    low: float
    high: float

    def __format__(self, form: str) -> str:
        return f"[{self.low:{form}}, {self.high:{form}}]"

    @property
    def ends(self) -> list[float]:
        """As it is written in JSON."""
        return [self.low, self.high]


@dataclass(frozen=True, slots=True)
class Difference:
    """How much the score of b lies above that of a, on the same videos.

    observed: on the videos as they are; mean and interval: over the draws; share_not_better: share of the draws in
    which b <= a.
    """

    observed: float
    mean: float
    interval: Interval
    share_not_better: float


def video_groups(names: Sequence[str]) -> list[str]:
    """The video that each name is a person of: both people of one video are drawn together."""
    return [parse_subject(name).video for name in names]


def draw_weights(num_groups: int, draws: int, seed: int) -> Floats:
    """How often each group is drawn, (draws, G): G times out of G, with replacement. Every row sums to G."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(num_groups, np.full(num_groups, 1 / num_groups), size=draws).astype(np.float64)


def bootstrap(
    statistics: NDArray[np.number],
    score: Callable[[Floats], Floats],
    groups: Sequence[str],
    draws: int = DRAWS,
    seed: int = 0,
) -> Floats:
    """The score of every draw.

    statistics: (V, ...) what each video adds; score: from sums (draws, ...) to (draws, ...); groups: V names, the
    videos of one name are drawn together. The same seed and groups give the same draws, in whatever order the videos
    come. Raises DataError when there is no video, or not one name a video.
    """
    summed = sum_by_group(statistics, groups)
    weights = draw_weights(len(summed), draws, seed)
    flat = summed.reshape(len(summed), -1)
    at_once = max(1, _NUMBERS_AT_ONCE // flat.shape[1])
    parts = [
        score((weights[first : first + at_once] @ flat).reshape(-1, *summed.shape[1:]))
        for first in range(0, draws, at_once)
    ]
    return np.concatenate(parts)


def sum_by_group(statistics: NDArray[np.number], groups: Sequence[str]) -> Floats:
    """Sums over the videos of each group, (G, ...), groups in the order of their names.

    Raises DataError when there is no video, or not one name a video.
    """
    if not len(statistics):
        raise DataError("no video to draw from")
    if len(groups) != len(statistics):
        raise DataError(f"expected a group for each of the {len(statistics)} videos, found {len(groups)}")
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    summed = np.zeros((len(names), *statistics.shape[1:]))
    np.add.at(summed, index, statistics)
    return summed


def bootstrap_macro_f1(
    confusions: NDArray[np.number], groups: Sequence[str], draws: int = DRAWS, seed: int = 0
) -> Floats:
    """Macro F1 of every draw, (draws,). confusions: (V, C, C), rows annotated; groups: V names (`video_groups`)."""
    return bootstrap(confusions, macro_f1_of, groups, draws, seed)


def interval(samples: Floats, level: float = 0.95) -> Interval:
    """The middle `level` of the samples (draws,): from one percentile to the other.

    For macro F1 with rare classes these ends lie too low and too close; `intervals.f1_intervals` mends that.
    """
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def paired_difference(
    a: NDArray[np.number], b: NDArray[np.number], groups: Sequence[str], draws: int = DRAWS, seed: int = 0
) -> Difference:
    """By how much b's macro F1 lies above a's, both scored on the same draws of videos.

    a, b: (V, C, C) of the same videos in the same order; groups: V names. Raises DataError when they differ in number.
    """
    if a.shape != b.shape:
        raise DataError(f"expected the same videos on both sides, found confusion matrices of {a.shape} and {b.shape}")
    samples = bootstrap_macro_f1(b, groups, draws, seed) - bootstrap_macro_f1(a, groups, draws, seed)
    return Difference(
        observed=float(macro_f1_of(b.sum(axis=0)) - macro_f1_of(a.sum(axis=0))),
        mean=float(samples.mean()),
        interval=interval(samples),
        share_not_better=float(np.mean(samples <= 0)),
    )
