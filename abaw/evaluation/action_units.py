"""F1 of action units, and a threshold per unit that is chosen on the scored videos.

Frames are counted by the steps of a grid of thresholds that their probability reaches. From these counts per video, the
scores of all thresholds follow exactly, for any set of videos.
Shapes: O options, V videos, T time, U action units, L grid of thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.evaluation.bootstrap import Interval, bootstrap, interval
from abaw.evaluation.metrics import Counts, Floats
from abaw.evaluation.selection import nested_selection
from abaw.protocol.classes import UNLABELLED

ON = 0.5
"""An action unit with at least this probability counts as on, unless another threshold is chosen."""
THRESHOLDS: Floats = np.round(np.arange(1, 100) * 0.01, 2)
"""The thresholds to choose from, (L,), ascending."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A score over all videos with its 95 % interval."""

    value: float
    interval: Interval

    def __str__(self) -> str:
        return f"{self.value:.4f} {self.interval:.4f}"

    @property
    def facts(self) -> dict[str, Any]:
        """As it is written in JSON."""
        return {"value": self.value, "interval": self.interval.ends}


def estimate(value: float | Floats, drawn: Floats) -> Estimate:
    """A score with the percentile interval of its draws, (draws,)."""
    return Estimate(float(value), interval(drawn))


@dataclass(frozen=True, slots=True, eq=False)
class FittedThresholds:
    """Thresholds that were chosen on the videos that score them.

    smoothing: with which they were fitted; values: one per unit; action_units: F1 of each with them, and their mean:
    optimistic. nested: the mean F1 by nested selection, where each video is scored with thresholds fitted on the other
    folds; None with too few videos.
    """

    smoothing: str
    values: tuple[float, ...]
    action_units: tuple[Estimate, ...]
    mean: Estimate
    nested: Estimate | None

    def summary(self) -> str:
        """One line."""
        text = f"OPTIMISTIC: with a threshold per action unit, fitted on the videos that score it: {self.mean}"
        if self.nested is None:
            return f"{text}; too few videos for nested selection"
        return f"{text}; nested selection, each video scored with the thresholds of the others: {self.nested}"


def unit_counts(labels: NDArray[np.integer], probs: NDArray[np.floating], thresholds: float | Floats = ON) -> Floats:
    """Frames per action unit that are on in both, predicted on, and annotated on, (U, 3).

    labels: (T, U), 1 on, 0 off, -1 left out; probs: (T, U), probability of on; thresholds: one, or (U,).
    """
    known = labels > UNLABELLED
    annotated, predicted = labels == 1, (probs.astype(np.float64) >= thresholds) & known
    columns = (annotated & predicted, predicted, annotated)
    return np.stack([column.sum(axis=0).astype(np.float64) for column in columns], axis=-1)


def unit_f1_of(counts: NDArray[np.number]) -> Floats:
    """F1 of "on", (…), from `unit_counts`, (…, 3); 0 where a unit is neither annotated nor predicted on."""
    denominator = counts[..., 1] + counts[..., 2]
    scores: Floats = np.divide(2 * counts[..., 0], np.where(denominator > 0, denominator, 1), dtype=np.float64)
    return scores


def mean_unit_f1_of(counts: NDArray[np.number]) -> Floats:
    """Mean F1 of the units, (…). counts: (…, U, 3)."""
    means: Floats = unit_f1_of(counts).mean(axis=-1)
    return means


def unit_histogram(labels: NDArray[np.integer], probs: NDArray[np.floating]) -> Counts:
    """Frames of each unit that are annotated off and on, by the number of thresholds they reach, (U, 2, L + 1).

    labels, probs: (T, U), as in `unit_counts`.
    """
    num_units, num_steps = labels.shape[1], len(THRESHOLDS) + 1
    reached = np.searchsorted(THRESHOLDS, probs.astype(np.float64), side="right")
    places = (np.arange(num_units) * 2 + labels) * num_steps + reached
    counts = np.bincount(places[labels > UNLABELLED], minlength=num_units * 2 * num_steps)
    return counts.reshape(num_units, 2, num_steps).astype(np.int64)


def counts_by_threshold(histogram: Counts) -> Counts:
    """`unit_counts` for every threshold of the grid, (…, U, L, 3), from `unit_histogram`, (…, U, 2, L + 1)."""
    reaching = histogram[..., ::-1].cumsum(axis=-1)[..., ::-1][..., 1:]
    annotated = np.broadcast_to(histogram[..., 1, :].sum(axis=-1, keepdims=True), reaching[..., 1, :].shape)
    return np.stack([reaching[..., 1, :], reaching.sum(axis=-2), annotated], axis=-1)


def best_steps(histogram: Counts) -> NDArray[np.int64]:
    """Index of the threshold with the highest F1 of each unit, (U,); of equally good ones, the one nearest to .5.

    histogram: (U, 2, L + 1).
    """
    scores = unit_f1_of(counts_by_threshold(histogram))
    far = np.where(scores == scores.max(axis=-1, keepdims=True), np.abs(THRESHOLDS - ON), np.inf)
    steps: NDArray[np.int64] = far.argmin(axis=-1)
    return steps


def choose_thresholds(
    histograms: Sequence[Counts], labels: Sequence[str], folds: NDArray[np.integer], groups: Sequence[str], draws: int
) -> FittedThresholds:
    """Fit a threshold per unit for each option, take the best option, and score this choice by nested selection.

    histograms: of O options, (V, U, 2, L + 1) each; labels: their names; folds: (V,); groups: V names. The choice of
    the option is repeated in every fold, as are the fits. Raises DataError when no action unit is annotated.
    """
    if not histograms[0].any():
        raise DataError("no frame is annotated with action units: there is no threshold to fit")
    tables = [counts_by_threshold(each) for each in histograms]
    steps = [best_steps(each.sum(axis=0)) for each in histograms]
    fitted = np.stack([_at(table, step) for table, step in zip(tables, steps, strict=True)])
    names = np.unique(folds)
    by_fold = [
        np.stack(
            [
                _at(table, best_steps(each[folds != fold].sum(axis=0)))
                for table, each in zip(tables, histograms, strict=True)
            ]
        )
        for fold in names
    ]
    selection = nested_selection(fitted, by_fold, np.searchsorted(names, folds), mean_unit_f1_of)
    counts = fitted[selection.best]
    drawn = bootstrap(counts, unit_f1_of, groups, draws)
    nested = estimate(selection.nested_f1, bootstrap(selection.confusions, mean_unit_f1_of, groups, draws))
    return FittedThresholds(
        smoothing=labels[selection.best],
        values=tuple(THRESHOLDS[steps[selection.best]].tolist()),
        action_units=tuple(map(estimate, unit_f1_of(counts.sum(axis=0)), drawn.T)),
        mean=estimate(selection.optimistic_f1, drawn.mean(axis=1)),
        nested=nested if len(names) > 1 else None,
    )


def _at(table: Counts, steps: NDArray[np.int64]) -> Counts:
    """(V, U, 3), the counts of each unit's threshold. table: (V, U, L, 3); steps: (U,)."""
    return table[:, np.arange(len(steps)), steps]
