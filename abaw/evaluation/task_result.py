"""The result of predictions without expression: scores of valence and arousal and of action units.

Shapes: O options, V videos.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.evaluation.action_units import choose_thresholds
from abaw.evaluation.bootstrap import video_groups
from abaw.evaluation.compare import compare_options, scored_tasks
from abaw.evaluation.measures import measure_of
from abaw.evaluation.multitask import TaskScores, TaskTally, score_tasks
from abaw.evaluation.origin import origin_of
from abaw.evaluation.result import TaskOption, TaskResult
from abaw.evaluation.scoring import StoreScores
from abaw.protocol.classes import NUM_EXPRESSIONS


def task_result(found: StoreScores, folds: Mapping[str, int], draws: int, notes: Sequence[str]) -> TaskResult:
    """Score every smoothing, take the best by the task's own score, and fit thresholds if they were tallied.

    The score is mean CCC, mean F1 of the action units, or the sum of both. folds: by video. Raises DataError when no
    frame is both annotated and predicted.
    """
    groups = video_groups(found.scored)
    options = tuple(TaskOption(str(tallies.smoothing), found.scored, tuple(tallies.tasks)) for tallies in found.tallies)
    first = score_tasks(options[0].tallies, _no_confusions(len(groups)), groups, draws)
    if first is None:
        raise DataError(f"{found.path}: no annotated frame of its tasks was predicted; give annotations of its tasks")
    measure = measure_of(scored_tasks(first))
    choice = (
        compare_options([(option.label, option) for option in options], folds, draws, measure)
        if len(options) > 1
        else None
    )
    best = options[choice.best if choice else 0]
    tasks = score_tasks(best.tallies, _no_confusions(len(groups)), groups, draws)
    assert tasks is not None, "all options have the same annotated frames"
    of_video = np.array([folds[name] for name in found.scored])
    labels = [option.label for option in options]
    return TaskResult(
        name=found.name,
        source=str(found.path),
        options=options,
        origin=origin_of(found.metas),
        choice=choice,
        tasks=with_thresholds(tasks, [option.tallies for option in options], labels, of_video, groups, draws),
        measure=measure,
        draws=draws,
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
