"""Intervals by bootstrap over videos: frames of one video are similar, so whole videos are drawn.

A score of sums over videos (confusion matrix, moments) needs only one small array per video.
Shapes: V videos, G groups of videos that belong together, C class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.evaluation.metrics import Floats, macro_f1_of
from abaw.protocol.layout import video_of

DRAWS = 1000
_NUMBERS_PER_BATCH = 1 << 22


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
    """The score of b minus that of a, on the same videos.

    observed: on all videos; mean, interval: over the draws; share_not_better: share of draws with b <= a.
    """

    observed: float
    mean: float
    interval: Interval
    share_not_better: float


def video_groups(names: Sequence[str]) -> list[str]:
    """The video of each name: the people of one video are drawn together."""
    return [video_of(name) for name in names]


def draw_weights(num_groups: int, draws: int, seed: int) -> Floats:
    """How often each group is drawn, (draws, G): G draws with replacement, so each row sums to G."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(num_groups, np.full(num_groups, 1 / num_groups), size=draws).astype(np.float64)


def bootstrap(
    statistics: NDArray[np.number],
    score: Callable[[Floats], Floats],
    groups: Sequence[str],
    draws: int = DRAWS,
    seed: int = 0,
) -> Floats:
    """The score of every draw, (draws, …).

    statistics: (V, …), the contribution of each video; score: maps sums (draws, …) to (draws, …); groups: V names;
    videos with the same name are drawn together. Draws depend only on the seed and the set of groups, not on the order
    of videos. Raises DataError when there are no videos, or not one name per video.
    """
    summed = sum_by_group(statistics, groups)
    weights = draw_weights(len(summed), draws, seed)
    flat = summed.reshape(len(summed), -1)
    batch_size = max(1, _NUMBERS_PER_BATCH // flat.shape[1])
    parts = [
        score((weights[first : first + batch_size] @ flat).reshape(-1, *summed.shape[1:]))
        for first in range(0, draws, batch_size)
    ]
    return np.concatenate(parts)


def sum_by_group(statistics: NDArray[np.number], groups: Sequence[str]) -> Floats:
    """Sums over the videos of each group, (G, …), in alphabetical order of the groups.

    statistics: (V, …); groups: V names. Raises DataError when there are no videos, or not one name per video.
    """
    if not len(statistics):
        raise DataError("no videos to draw from; give at least one annotated video")
    if len(groups) != len(statistics):
        raise DataError(f"expected one group for each of the {len(statistics)} videos, found {len(groups)}")
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
    """The percentile interval that holds the middle share `level` of the samples, (draws,).

    For macro F1 with rare classes its ends are too low and too close together; `intervals.f1_intervals` corrects that.
    """
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def paired_difference(
    a: NDArray[np.number],
    b: NDArray[np.number],
    groups: Sequence[str],
    draws: int = DRAWS,
    seed: int = 0,
    score: Callable[[NDArray[np.number]], Floats] = macro_f1_of,
) -> Difference:
    """The score of b minus that of a, both on the same draws of videos.

    a, b: (V, …), for macro F1 (V, C, C), of the same videos in the same order; groups: V names. Raises DataError when
    their shapes differ.
    """
    if a.shape != b.shape:
        raise DataError(f"expected the same videos on both sides, found sums of {a.shape} and {b.shape}")
    samples = bootstrap(b, score, groups, draws, seed) - bootstrap(a, score, groups, draws, seed)
    return Difference(
        observed=float(score(b.sum(axis=0)) - score(a.sum(axis=0))),
        mean=float(samples.mean()),
        interval=interval(samples),
        share_not_better=float(np.mean(samples <= 0)),
    )
