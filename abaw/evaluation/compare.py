"""Comparison of options on the same videos: intervals, paired differences, and nested selection of the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from abaw.evaluation.bootstrap import DRAWS, paired_difference, video_groups
from abaw.evaluation.intervals import f1_intervals
from abaw.evaluation.metrics import Counts, Evaluation, macro_f1_of
from abaw.evaluation.result import BestOption, Comparison, Intervals, Option, Result
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


def compare_options(options: Sequence[tuple[str, Option]], folds: Mapping[str, int], draws: int = DRAWS) -> BestOption:
    """Compare options on the videos that all of them have; each is compared with the first.

    options: label and option; folds: by video, for the nested selection of the best.
    """
    names = sorted(set.intersection(*(set(option.names) for _, option in options)))
    rows = [[option.names.index(name) for name in names] for _, option in options]
    confusions = np.stack([option.evaluation.confusions[row] for (_, option), row in zip(options, rows, strict=True)])
    groups = video_groups(names)
    selection = _select([option for _, option in options], rows, confusions, np.array([folds[name] for name in names]))
    scores = tuple(macro_f1_of(confusions.sum(axis=1)).tolist())
    return BestOption(
        labels=tuple(label for label, _ in options),
        macro_f1=scores,
        intervals=tuple(f1_intervals(each, groups, draws).macro for each in confusions),
        differences=(None, *(paired_difference(confusions[0], each, groups, draws) for each in confusions[1:])),
        best=int(np.argmax(scores)),
        selection=selection,
        nested_interval=f1_intervals(selection.confusions, groups, draws).macro if selection else None,
        num_videos=len(names),
    )


def _select(
    options: Sequence[Option], rows: Sequence[list[int]], confusions: Counts, folds: NDArray[np.integer]
) -> Selection | None:
    present = np.unique(folds)
    if len(present) < 2:
        return None
    by_fold = []
    for fold in present:
        fitted = [
            plain if option.by_fold is None else option.by_fold[fold][row]
            for option, row, plain in zip(options, rows, confusions, strict=True)
        ]
        by_fold.append(np.stack(fitted))
    return nested_selection(confusions, by_fold, np.searchsorted(present, folds))


def compare(results: Sequence[Result], folds: Mapping[str, int], draws: int = DRAWS) -> Comparison:
    """Compare results on the videos that all of them have. folds: by video, for the nested selection of the best.

    A result with several options is represented by its best one. The nested selection of the best of all repeats that
    choice in every fold.
    """
    sets = [set(result.option.names) for result in results]
    shared = set.intersection(*sets)
    if not shared:
        return Comparison(None, None, ("the predictions have no video in common and cannot be compared",))
    notes = []
    if any(names != shared for names in sets):
        counts = ", ".join(f"{result.name} {len(names)}" for result, names in zip(results, sets, strict=True))
        notes.append(f"compared on the {len(shared)} videos that all predictions have (scored in all: {counts})")
    frames = [_frames(result.evaluation, shared) for result in results]
    if any(each != frames[0] for each in frames):
        notes.append("the predictions of a video differ in length: the compared frames are not quite the same")
    rows = compare_options([(result.name, result.option) for result in results], folds, draws)
    if not any(result.choice for result in results):
        return Comparison(rows, rows, tuple(notes))
    every = [(f"{result.name}, {option.label}", option) for result in results for option in result.options]
    return Comparison(rows, compare_options(every, folds, draws), tuple(notes))


def _frames(evaluation: Evaluation, names: set[str]) -> dict[str, int]:
    return {video.name: video.num_frames for video in evaluation.videos if video.name in names}
