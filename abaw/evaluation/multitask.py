"""Scores of the other tasks: concordance of valence and arousal, F1 of action units, and their sum with expression.

All follow from sums per video and are bootstrapped over videos, as macro F1 is.
Shapes: V videos, T time, U action units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abaw.evaluation.action_units import THRESHOLDS, Estimate, FittedThresholds, estimate, unit_f1_of
from abaw.evaluation.bootstrap import bootstrap, bootstrap_macro_f1
from abaw.evaluation.metrics import Counts, Floats, macro_f1_of
from abaw.protocol.classes import NUM_ACTION_UNITS, VALENCE_AROUSAL


@dataclass(frozen=True, slots=True, eq=False)
class TaskTally:
    """The sums of a video's other tasks.

    moments: (2, 6), from `moments_of`; counts: (U, 3), from `unit_counts`; num_units: frames with annotated action
    units; histogram: (U, 2, L + 1), from `unit_histogram`, if thresholds are to be fitted.
    """

    moments: Floats
    counts: Floats
    num_units: int = 0
    histogram: Counts | None = None


@dataclass(frozen=True, slots=True)
class TaskScores:
    """Scores of the other tasks; None where nothing was predicted or annotated.

    ccc: of valence, of arousal, and their mean; num_valence_arousal, num_action_units: annotated frames; action_units:
    F1 of each of the twelve; total: macro F1 of expression + mean CCC + mean F1 of the action units, the score of the
    multi-task challenge; thresholds: fitted on the scored videos, None if not requested.
    """

    ccc: tuple[Estimate, Estimate, Estimate] | None
    num_valence_arousal: int
    action_units: tuple[Estimate, ...] | None
    mean_action_units: Estimate | None
    num_action_units: int
    total: Estimate | None
    thresholds: FittedThresholds | None = None

    def summary(self) -> str:
        """One line."""
        parts = []
        if self.ccc is not None:
            valence, arousal, mean = self.ccc
            parts.append(f"CCC {mean} (valence {valence.value:.4f}, arousal {arousal.value:.4f})")
        if self.mean_action_units is not None:
            parts.append(f"mean F1 of the action units {self.mean_action_units}")
        if self.total is not None:
            parts.append(f"sum with macro F1 of expression {self.total}")
        if self.thresholds is not None:
            parts.append(self.thresholds.summary())
        return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class TaskVideoScore:
    """Scores of one video; NaN where nothing of it is annotated.

    ccc: of valence and arousal; num_values, num_units: annotated frames; mean_unit_f1: over the num_on action units
    that are annotated as on in the video: others cannot be scored in it.
    """

    name: str
    ccc: tuple[float, float]
    num_values: int
    mean_unit_f1: float
    num_on: int
    num_units: int


def video_task_scores(names: Sequence[str], tallies: Sequence[TaskTally]) -> list[TaskVideoScore]:
    """The scores of each video. tallies: one per name."""
    return [_video_scores(name, tally) for name, tally in zip(names, tallies, strict=True)]


def _video_scores(name: str, tally: TaskTally) -> TaskVideoScore:
    num_values = int(tally.moments[0, 0])
    valence, arousal = ccc_of(tally.moments).tolist() if num_values else (np.nan, np.nan)
    on = tally.counts[:, 2] > 0
    mean_f1 = float(unit_f1_of(tally.counts)[on].mean()) if on.any() else np.nan
    return TaskVideoScore(name, (valence, arousal), num_values, mean_f1, int(on.sum()), tally.num_units)


def no_tasks(fit_thresholds: bool = False) -> TaskTally:
    """The sums of no frame, with a histogram if thresholds are to be fitted."""
    return TaskTally(
        np.zeros((len(VALENCE_AROUSAL), 6)),
        np.zeros((NUM_ACTION_UNITS, 3)),
        histogram=np.zeros((NUM_ACTION_UNITS, 2, len(THRESHOLDS) + 1), np.int64) if fit_thresholds else None,
    )


def moments_of(labels: NDArray[np.floating], predicted: NDArray[np.floating]) -> Floats:
    """The sums for a concordance, (K, 6): n, x, y, x², y², xy over the frames whose label x is not NaN.

    labels, predicted: (T, K) each.
    """
    known = np.isfinite(labels)
    x, y = np.where(known, labels, 0).astype(np.float64), np.where(known, predicted, 0).astype(np.float64)
    return np.stack([part.sum(axis=0) for part in (known.astype(np.float64), x, y, x * x, y * y, x * y)], axis=-1)


def ccc_of(moments: Floats) -> Floats:
    """Lin's concordance correlation coefficient, (…), from `moments_of`, (…, 6); 0 where neither side varies.

    2 cov(x, y) / (var x + var y + (mean x - mean y)²), with population variances (divided by n).
    """
    n, x, y, xx, yy, xy = np.moveaxis(moments, -1, 0)
    n = np.maximum(n, 1)
    mean_x, mean_y = x / n, y / n
    numerator = 2 * (xy / n - mean_x * mean_y)
    denominator = (xx / n - mean_x**2) + (yy / n - mean_y**2) + (mean_x - mean_y) ** 2
    coefficients: Floats = np.where(denominator > 1e-12, numerator / np.maximum(denominator, 1e-12), 0.0)
    return coefficients


def ccc(labels: NDArray[np.floating], predicted: NDArray[np.floating]) -> float:
    """Concordance of one column; frames whose label is NaN are left out. labels, predicted: (T,) each."""
    return float(ccc_of(moments_of(labels[:, None], predicted[:, None]))[0])


def score_tasks(
    tallies: Sequence[TaskTally], confusions: Counts, groups: Sequence[str], draws: int
) -> TaskScores | None:
    """Scores with intervals by bootstrap over videos, with the same draws for all tasks.

    tallies: V of them; confusions: (V, C, C), of expression; groups: V names. None when no frame was both annotated and
    predicted.
    """
    moments = np.stack([each.moments for each in tallies])
    counts = np.stack([each.counts for each in tallies])
    num_moments, num_units = int(moments[:, 0, 0].sum()), sum(each.num_units for each in tallies)
    if not num_moments and not num_units:
        return None
    drawn_f1 = bootstrap_macro_f1(confusions, groups, draws)
    drawn_ccc = bootstrap(moments, ccc_of, groups, draws)
    drawn_units = bootstrap(counts, unit_f1_of, groups, draws)
    coefficients, units = ccc_of(moments.sum(axis=0)), unit_f1_of(counts.sum(axis=0))
    mean_ccc = estimate(coefficients.mean(), drawn_ccc.mean(axis=1))
    mean_units = estimate(units.mean(), drawn_units.mean(axis=1))
    has_all_tasks = num_moments and num_units and confusions.any()
    total = macro_f1_of(confusions.sum(axis=0)) + mean_ccc.value + mean_units.value
    return TaskScores(
        ccc=(estimate(coefficients[0], drawn_ccc[:, 0]), estimate(coefficients[1], drawn_ccc[:, 1]), mean_ccc)
        if num_moments
        else None,
        num_valence_arousal=num_moments,
        action_units=tuple(map(estimate, units, drawn_units.T)) if num_units else None,
        mean_action_units=mean_units if num_units else None,
        num_action_units=num_units,
        total=estimate(total, drawn_f1 + drawn_ccc.mean(axis=1) + drawn_units.mean(axis=1)) if has_all_tasks else None,
    )
