"""What options, models and predictions are compared by: one score of sums over videos, with intervals.

Shapes: R seeds, V videos, S sums of a video.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abaw.evaluation.action_units import mean_unit_f1_of
from abaw.evaluation.bootstrap import DRAWS, Interval, bootstrap, interval
from abaw.evaluation.intervals import mean_interval
from abaw.evaluation.metrics import Floats, macro_f1_of
from abaw.evaluation.multitask import TaskTally, ccc_of
from abaw.protocol.classes import NUM_ACTION_UNITS, VALENCE_AROUSAL

Score = Callable[[NDArray[np.number]], Floats]

_NUM_MOMENTS = len(VALENCE_AROUSAL) * 6


@dataclass(frozen=True, slots=True)
class Measure:
    """name: in texts; key: in files; short: of the score in the keys of a choice; of: sums over videos (…) to scores.

    label_counts: annotated frames of each video by label, (V, L), from its sums (V, …), to balance folds.
    mean_interval: 95 % interval over videos of the mean over R seeds, from sums (R, V, …), V names of groups and the
    number of draws.
    """

    name: str
    key: str
    short: str
    of: Score
    label_counts: Callable[[NDArray[np.number]], NDArray[np.integer]]
    mean_interval: Callable[[NDArray[np.number], Sequence[str], int], Interval]

    def interval(self, statistics: NDArray[np.number], groups: Sequence[str], draws: int = DRAWS) -> Interval:
        """95 % interval over videos. statistics: (V, …); groups: V names."""
        return self.mean_interval(statistics[None], groups, draws)

    def total(self, statistics: NDArray[np.number]) -> float:
        """The score of all videos. statistics: (V, …)."""
        return float(self.of(statistics.sum(axis=0)))


def _class_counts(confusions: NDArray[np.number]) -> NDArray[np.integer]:
    counts: NDArray[np.integer] = confusions.sum(axis=-1).astype(np.int64)
    return counts


MACRO_F1 = Measure("macro F1", "macro_f1", "f1", macro_f1_of, _class_counts, mean_interval)
"""Of frame counts (C, C), rows annotated."""


def sums_of(tally: TaskTally) -> Floats:
    """(S,), what the measures of tasks other than expression are scores of: moments, then counts."""
    return np.concatenate([tally.moments.ravel(), tally.counts.ravel()])


def _moments(sums: NDArray[np.number]) -> Floats:
    return sums[..., :_NUM_MOMENTS].reshape(*sums.shape[:-1], len(VALENCE_AROUSAL), 6).astype(np.float64)


def _mean_ccc(sums: NDArray[np.number]) -> Floats:
    means: Floats = ccc_of(_moments(sums)).mean(axis=-1)
    return means


def _counts(sums: NDArray[np.number]) -> NDArray[np.number]:
    return sums[..., _NUM_MOMENTS:].reshape(*sums.shape[:-1], NUM_ACTION_UNITS, 3)


def _mean_unit_f1(sums: NDArray[np.number]) -> Floats:
    return mean_unit_f1_of(_counts(sums))


def _with_percentiles(name: str, key: str, score: Score) -> Measure:
    def mean_over_seeds(statistics: NDArray[np.number], groups: Sequence[str], draws: int) -> Interval:
        return interval(np.mean([bootstrap(each, score, groups, draws) for each in statistics], axis=0))

    return Measure(name, key, "score", score, _other_counts, mean_over_seeds)


def _other_counts(sums: NDArray[np.number]) -> NDArray[np.integer]:
    """Frames with valence and arousal, and frames on which each unit is annotated as on."""
    with_values, on = _moments(sums)[..., :1, 0], _counts(sums)[..., 2]
    return np.concatenate([with_values, on], axis=-1).astype(np.int64)


_CCC = _with_percentiles("mean CCC", "mean_ccc", _mean_ccc)
_UNITS = _with_percentiles("mean F1 of the action units", "mean_unit_f1", _mean_unit_f1)
_BOTH = _with_percentiles(
    f"{_CCC.name} + {_UNITS.name}", "sum", lambda sums: np.asarray(_mean_ccc(sums) + _mean_unit_f1(sums))
)


def measure_of(tasks: Sequence[str]) -> Measure:
    """Macro F1 with expression among the tasks; else mean CCC, mean F1 of the action units, or the sum of both.

    The sums of the last three are from `sums_of`.
    """
    if "expression" in tasks:
        return MACRO_F1
    if len(tasks) > 1:
        return _BOTH
    return _CCC if "valence_arousal" in tasks else _UNITS
