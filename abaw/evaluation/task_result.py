"""The result of predictions without expression: scores of valence and arousal and of action units.

Shapes: O options, V videos, S sums of a video.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.evaluation.action_units import Estimate, choose_thresholds, estimate, mean_unit_f1_of
from abaw.evaluation.bootstrap import bootstrap, video_groups
from abaw.evaluation.metrics import Floats
from abaw.evaluation.multitask import TaskScores, TaskTally, ccc_of, score_tasks
from abaw.evaluation.origin import Origin, origin_of
from abaw.evaluation.scoring import StoreScores
from abaw.evaluation.selection import nested_selection
from abaw.protocol.classes import NUM_ACTION_UNITS, NUM_EXPRESSIONS, VALENCE_AROUSAL

_NUM_MOMENTS = len(VALENCE_AROUSAL) * 6


@dataclass(frozen=True, slots=True)
class TaskChoice:
    """The best of several smoothings, chosen on the scored videos by `measure`.

    labels: of the options; scores: of each; nested: the unbiased estimate by nested selection, None when there are too
    few videos.
    """

    measure: str
    labels: tuple[str, ...]
    scores: tuple[Estimate, ...]
    best: int
    nested: Estimate | None

    def summary(self) -> str:
        """One line."""
        text = (
            f"OPTIMISTIC: '{self.labels[self.best]}' is the best of {len(self.labels)} by {self.measure}, "
            f"chosen on the videos that score it: {self.scores[self.best]}"
        )
        if self.nested is None:
            return f"{text}; too few videos for nested selection"
        return f"{text}; nested selection, each video scored with the best option on the others: {self.nested}"


@dataclass(frozen=True, slots=True, eq=False)
class TaskResult:
    """The scores of one set of predictions without expression. Fields as in Result; draws: of the bootstrap."""

    name: str
    source: str
    smoothing: str
    draws: int
    num_videos: int
    tasks: TaskScores
    origin: Origin
    choice: TaskChoice | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()

    @property
    def leaked(self) -> bool:
        return self.origin.leaked

    @property
    def optimistic(self) -> bool:
        return self.choice is not None or self.leaked


def task_result(found: StoreScores, folds: Mapping[str, int], draws: int, notes: Sequence[str]) -> TaskResult:
    """Score every smoothing, take the best by the task's own score, and fit thresholds if they were tallied.

    The score is mean CCC, mean F1 of the action units, or the sum of both. folds: by video. Raises DataError when no
    frame is both annotated and predicted.
    """
    groups = video_groups(found.scored)
    of_video = np.array([folds[name] for name in found.scored])
    options = [tallies.tasks for tallies in found.tallies]
    labels = [str(tallies.smoothing) for tallies in found.tallies]
    choice = _choose(options, labels, of_video, groups, draws) if len(options) > 1 else None
    best = choice.best if choice else 0
    tasks = score_tasks(options[best], _no_confusions(len(groups)), groups, draws)
    if tasks is None:
        raise DataError(f"{found.path}: no annotated frame of its tasks was predicted; give annotations of its tasks")
    return TaskResult(
        name=found.name,
        source=str(found.path),
        smoothing=labels[best],
        draws=draws,
        num_videos=len(groups),
        tasks=with_thresholds(tasks, options, labels, of_video, groups, draws),
        origin=origin_of(found.metas),
        choice=choice,
        facts=found.facts,
        notes=(*found.notes, *notes),
        differences=tuple(found.differences),
    )


def with_thresholds(
    tasks: TaskScores,
    options: Sequence[Sequence[TaskTally]],
    labels: Sequence[str],
    folds: NDArray[np.integer],
    groups: Sequence[str],
    draws: int,
) -> TaskScores:
    """Add thresholds fitted on the scored videos with the best of these options, if they were tallied for that.

    options: O lists of the tallies of V videos; labels: their smoothings; folds: (V,); groups: V names.
    """
    histograms = [[tally.histogram for tally in tallies if tally.histogram is not None] for tallies in options]
    if not histograms[0]:
        return tasks
    return replace(tasks, thresholds=choose_thresholds([*map(np.stack, histograms)], labels, folds, groups, draws))


def _no_confusions(num_videos: int) -> NDArray[np.int64]:
    return np.zeros((num_videos, NUM_EXPRESSIONS, NUM_EXPRESSIONS), np.int64)


def _choose(
    options: Sequence[Sequence[TaskTally]],
    labels: Sequence[str],
    folds: NDArray[np.integer],
    groups: Sequence[str],
    draws: int,
) -> TaskChoice:
    sums = np.stack([[_sums(tally) for tally in tallies] for tallies in options])
    parts = {
        "mean CCC": bool(sums[0, :, :_NUM_MOMENTS].any()),
        "mean F1 of the action units": any(tally.num_units for tally in options[0]),
    }

    def score(total: NDArray[np.number]) -> Floats:
        moments = total[..., :_NUM_MOMENTS].reshape(*total.shape[:-1], len(VALENCE_AROUSAL), 6)
        counts = total[..., _NUM_MOMENTS:].reshape(*total.shape[:-1], NUM_ACTION_UNITS, 3)
        # A task without annotated frames scores 0.
        means: Floats = ccc_of(moments.astype(np.float64)).mean(axis=-1) + mean_unit_f1_of(counts)
        return means

    names = np.unique(folds)
    selection = nested_selection(sums, [sums] * len(names), np.searchsorted(names, folds), score)
    return TaskChoice(
        measure=" + ".join(name for name, present in parts.items() if present),
        labels=tuple(labels),
        scores=tuple(estimate(score(each.sum(axis=0)), bootstrap(each, score, groups, draws)) for each in sums),
        best=selection.best,
        nested=estimate(selection.nested_f1, bootstrap(selection.confusions, score, groups, draws))
        if len(names) > 1
        else None,
    )


def _sums(tally: TaskTally) -> Floats:
    """(S,), moments and then counts."""
    return np.concatenate([tally.moments.ravel(), tally.counts.ravel()])
