"""Comparison of options on the same videos: intervals, paired differences, and nested selection of the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from abaw.evaluation.bootstrap import DRAWS, paired_difference, video_groups
from abaw.evaluation.intervals import f1_intervals
from abaw.evaluation.measures import MACRO_F1, Measure, measure_of
from abaw.evaluation.metrics import Evaluation
from abaw.evaluation.multitask import TaskScores
from abaw.evaluation.result import BestOption, Comparison, Intervals, Result, Scored, TaskResult
from abaw.evaluation.selection import Selection, nested_selection


def score_intervals(evaluation: Evaluation, draws: int = DRAWS) -> Intervals:
    """Intervals of one evaluation's figures, all from the same draws of videos."""
    groups = video_groups([video.name for video in evaluation.videos])
    every = f1_intervals(evaluation.confusions, groups, draws)
    return Intervals(
        draws=draws,
        macro_f1=every.macro,
        macro_f1_with_face=f1_intervals(evaluation.confusions_with_face, groups, draws).macro
        if evaluation.with_face
        else None,
        per_class=every.per_class,
    )


def compare_options(
    options: Sequence[tuple[str, Scored]],
    folds: Mapping[str, int],
    draws: int = DRAWS,
    measure: Measure = MACRO_F1,
) -> BestOption:
    """Compare options on the videos that all of them have; each is compared with the first.

    options: label and option; folds: by video, for the nested selection of the best.
    """
    names = sorted(set.intersection(*(set(option.names) for _, option in options)))
    rows = [[option.names.index(name) for name in names] for _, option in options]
    sums = np.stack([option.statistics[row] for (_, option), row in zip(options, rows, strict=True)])
    groups = video_groups(names)
    of_video = np.array([folds[name] for name in names])
    selection = _select([option for _, option in options], rows, sums, of_video, measure)
    scores = tuple(measure.of(sums.sum(axis=1)).tolist())
    others = (paired_difference(sums[0], each, groups, draws, score=measure.of) for each in sums[1:])
    return BestOption(
        measure=measure,
        labels=tuple(label for label, _ in options),
        scores=scores,
        intervals=tuple(measure.interval(each, groups, draws) for each in sums),
        differences=(None, *others),
        best=int(np.argmax(scores)),
        selection=selection,
        nested_interval=measure.interval(selection.confusions, groups, draws) if selection else None,
        num_videos=len(names),
    )


def _select(
    options: Sequence[Scored],
    rows: Sequence[list[int]],
    sums: NDArray[np.number],
    folds: NDArray[np.integer],
    measure: Measure,
) -> Selection | None:
    present = np.unique(folds)
    if len(present) < 2:
        return None
    by_fold = []
    for fold in present:
        fitted = [
            plain if option.by_fold is None else option.by_fold[fold][row]
            for option, row, plain in zip(options, rows, sums, strict=True)
        ]
        by_fold.append(np.stack(fitted))
    return nested_selection(sums, by_fold, np.searchsorted(present, folds), measure.of)


def compare(results: Sequence[Result | TaskResult], folds: Mapping[str, int], draws: int = DRAWS) -> Comparison:
    """Compare results on the videos that all of them have. folds: by video, for the nested selection of the best.

    A result with several options is represented by its best one. The nested selection of the best of all repeats that
    choice in every fold. Results without expression are compared by the tasks that all of them have.
    """
    sets = [set(result.option.names) for result in results]
    shared = set.intersection(*sets)
    if not shared:
        return Comparison(None, None, ("the predictions have no video in common and cannot be compared",))
    measure, notes = _common_measure(results)
    if any(names != shared for names in sets):
        counts = ", ".join(f"{result.name} {len(names)}" for result, names in zip(results, sets, strict=True))
        notes.append(f"compared on the {len(shared)} videos that all predictions have (scored in all: {counts})")
    if measure is None:
        return Comparison(None, None, tuple(notes))
    frames = [_frames(result.evaluation, shared) for result in results if isinstance(result, Result)]
    if any(each != frames[0] for each in frames):
        notes.append("the predictions of a video differ in length: the compared frames are not quite the same")
    chosen: list[tuple[str, Scored]] = [(result.name, result.option) for result in results]
    rows = compare_options(chosen, folds, draws, measure)
    if not any(result.choice for result in results):
        return Comparison(rows, rows, tuple(notes))
    every: list[tuple[str, Scored]] = [
        (f"{result.name}, {option.label}", option) for result in results for option in result.options
    ]
    return Comparison(rows, compare_options(every, folds, draws, measure), tuple(notes))


def _common_measure(results: Sequence[Result | TaskResult]) -> tuple[Measure | None, list[str]]:
    """What the results are compared by, None if they have no task in common; and a note if some have more tasks."""
    tasks = [scored_tasks(result.tasks) for result in results if isinstance(result, TaskResult)]
    if not tasks:
        return MACRO_F1, []
    shared = [task for task in tasks[0] if all(task in each for each in tasks)]
    if not shared:
        return None, ["the predictions have no task in common and cannot be compared"]
    measure = measure_of(shared)
    more = any(len(each) > len(shared) for each in tasks)
    return measure, [f"compared by {measure.name}, which all predictions have"] if more else []


def scored_tasks(scores: TaskScores) -> list[str]:
    """The tasks other than expression that were predicted and annotated."""
    found = {"valence_arousal": scores.ccc, "action_units": scores.action_units}
    return [task for task, each in found.items() if each is not None]


def _frames(evaluation: Evaluation, names: set[str]) -> dict[str, int]:
    return {video.name: video.num_frames for video in evaluation.videos if video.name in names}
