"""Weights of a fusion from out-of-fold predictions: two passes over the stores, with one video in memory at a time.

The first pass scores each member and their equal mean and keeps what the fit needs; the second scores the fitted
weights on the videos they were fitted to, and each fold of the videos with weights fitted on the other folds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from abaw.core.artifacts import quick_hash
from abaw.core.errors import AbawError, DataError
from abaw.core.progress import Progress, silent
from abaw.core.text import listed
from abaw.evaluation.action_units import Estimate
from abaw.evaluation.bootstrap import DRAWS, video_groups
from abaw.evaluation.fusion_fit import FusionEvidence
from abaw.evaluation.intervals import f1_intervals
from abaw.evaluation.measures import measure_of
from abaw.evaluation.metrics import macro_f1_of
from abaw.evaluation.multitask import score_tasks
from abaw.evaluation.origin import Origin, origin_of
from abaw.evaluation.scored_labels import ScoredLabels
from abaw.evaluation.scoring import Tallies, new_tallies, training_record
from abaw.inference.decode import decode
from abaw.inference.fuse import Choice, Member, Weights, equal_weights, fuse, require_alike
from abaw.protocol.classes import TASKS
from abaw.sequence.smooth import Smoothing, parse_smoothing
from abaw.stores.predictions import read_predictions


@dataclass(frozen=True, slots=True)
class Input:
    """A member's stores of all videos. name: short, unique; stores: by video."""

    name: str
    stores: Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class FusionScore:
    """Scores of one task, without smoothing, on the videos that fit the weights.

    members: of each alone; equal: with equal weights; fitted: with the fitted weights, optimistic; nested: each video
    with weights fitted on the other folds, the figure to compare with the others; None with too few videos.
    """

    measure: str
    members: tuple[Estimate, ...]
    equal: Estimate
    fitted: Estimate
    nested: Estimate | None

    def facts(self, names: Sequence[str]) -> dict[str, Any]:
        """As it is written in JSON. names: of the members."""
        return {
            "measure": self.measure,
            "members": {name: each.facts for name, each in zip(names, self.members, strict=True)},
            "equal": self.equal.facts,
            "fitted": {**self.fitted.facts, "optimistic": True},
            "nested": self.nested.facts if self.nested else None,
        }

    def summary(self) -> str:
        """One line."""
        nested = f"nested {self.nested}" if self.nested else "too few videos for a nested score"
        return f"{self.measure}: {nested}; equal weights {self.equal}; fitted weights {self.fitted} (OPTIMISTIC)"


@dataclass(frozen=True, slots=True)
class FittedFusion:
    """weights: by task; scores: by task, for tasks that are annotated; videos: that fit the weights; notes: sentences
    for the reader."""

    weights: Weights
    scores: Mapping[str, FusionScore]
    videos: tuple[str, ...]
    notes: tuple[str, ...]

    def facts(self, names: Sequence[str]) -> dict[str, Any]:
        """As it is written in JSON. names: of the members."""
        return {
            "mean": "arithmetic",
            "members": list(names),
            "weights": {task: dict(zip(names, each, strict=True)) for task, each in self.weights.items()},
            "scores": {task: score.facts(names) for task, score in self.scores.items()},
            "fitted_on": list(self.videos),
            "notes": list(self.notes),
        }

    @property
    def choice(self) -> Choice:
        return Choice("oof", self.videos, {task: score.summary() for task, score in self.scores.items()})


def read_members(inputs: Sequence[Input], video: str) -> list[Member]:
    """A video's predictions of the inputs that have it. Raises StoreError for a store that is missing or damaged."""
    paths = [(each.name, each.stores[video]) for each in inputs if video in each.stores]
    return [Member(name, quick_hash(path), read_predictions(path)) for name, path in paths]


def fit_fusion(
    inputs: Sequence[Input], labels: ScoredLabels, progress: Progress = silent, draws: int = DRAWS
) -> FittedFusion:
    """Fit the weights of the inputs, M of them, on the annotated videos that all of them have.

    progress: videos of both passes. Raises DataError when no such video is annotated, when the members of a video do
    not fit together, and when a member was trained on a video that it predicts here.
    """
    videos = sorted(set.intersection(labels.names, *(set(each.stores) for each in inputs)))
    if not videos:
        raise DataError(
            f"no annotated video is in all of {listed([each.name for each in inputs])}; annotated are "
            f"{listed(sorted(labels.names))}; give out-of-fold predictions of annotated videos (`abaw cross-validate`)"
        )
    folds = labels.folds(videos)
    return _Passes(inputs, labels, videos, folds, progress).run(draws)


class _Passes:
    def __init__(
        self,
        inputs: Sequence[Input],
        labels: ScoredLabels,
        videos: Sequence[str],
        folds: Mapping[str, int],
        progress: Progress,
    ) -> None:
        self._inputs, self._labels, self._videos, self._folds = inputs, labels, videos, folds
        self._progress = progress
        self._done = 0
        # What the members' models have seen, by video.
        self._metas: list[dict[str, dict[str, Any]]] = [{} for _ in inputs]
        self._smoothing: Smoothing = parse_smoothing("none")

    def run(self, draws: int) -> FittedFusion:
        evidence, tasks, alone, equal = self._first_pass()
        weights = evidence.fit()
        folds = sorted(set(self._folds.values()))
        by_fold = {fold: evidence.fit(without_fold=fold) for fold in folds} if len(folds) > 1 else {}
        fitted, nested = self._second_pass(weights, by_fold)
        of_members = [_estimates(each, self._videos, draws) for each in alone]
        of_equal, of_fitted = (_estimates(each, self._videos, draws) for each in (equal, fitted))
        of_nested = _estimates(nested, self._videos, draws) if by_fold else {}
        scores = {
            task: FusionScore(
                measure_of([task]).name,
                tuple(each[task] for each in of_members),
                of_equal[task],
                of_fitted[task],
                of_nested.get(task),
            )
            for task in tasks
            if task in of_equal
        }
        if not scores:
            raise DataError("no annotated frame was predicted; give annotations of the predicted tasks")
        return FittedFusion(weights, scores, tuple(self._videos), tuple(self._notes(evidence)))

    def _first_pass(self) -> tuple[FusionEvidence, list[str], list[Tallies], Tallies]:
        evidence: FusionEvidence | None = None
        tasks: list[str] = []
        alone, equal = [new_tallies(self._smoothing) for _ in self._inputs], new_tallies(self._smoothing)
        seen: dict[tuple[str, ...], tuple[str, ...]] = {}
        for video in self._videos:
            members = self._read(video)
            predictions = [member.predictions for member in members]
            if evidence is None:
                tasks = list(predictions[0].by_task)
                evidence = FusionEvidence(tasks, len(members))
            elif tasks != list(predictions[0].by_task):
                raise DataError(
                    f"{video}: has the tasks {listed(list(predictions[0].by_task))}, others {listed(tasks)}"
                )
            evidence.add(predictions, self._labels.for_frames(video, len(predictions[0])), self._folds[video])
            for tallies, metas, each in zip(alone, self._metas, predictions, strict=True):
                tallies.add(video, each, decode(each, self._smoothing), self._labels)
                metas[video] = training_record(each, seen)
            self._tally(equal, video, members, equal_weights(tasks, len(members)))
        assert evidence is not None, "there is at least one video"
        self._require_out_of_fold()
        return evidence, tasks, alone, equal

    def _second_pass(self, weights: Weights, by_fold: Mapping[int, Weights]) -> tuple[Tallies, Tallies]:
        fitted, nested = new_tallies(self._smoothing), new_tallies(self._smoothing)
        for video in self._videos:
            members = self._read(video)
            self._tally(fitted, video, members, weights)
            if by_fold:
                self._tally(nested, video, members, by_fold[self._folds[video]])
        return fitted, nested

    def _read(self, video: str) -> list[Member]:
        members = read_members(self._inputs, video)
        try:
            require_alike(members)
        except AbawError as error:
            raise DataError(f"{video}: {error}") from error
        self._done += 1
        self._progress(self._done, 2 * len(self._videos))
        return members

    def _tally(self, tallies: Tallies, video: str, members: Sequence[Member], weights: Weights) -> None:
        predictions = fuse(members, weights, Choice())
        tallies.add(video, predictions, decode(predictions, self._smoothing), self._labels)

    def _origins(self) -> list[tuple[str, Origin]]:
        return [(each.name, origin_of(metas)) for each, metas in zip(self._inputs, self._metas, strict=True)]

    def _require_out_of_fold(self) -> None:
        for name, origin in self._origins():
            if origin.trained_on:
                raise DataError(
                    f"{name}: its models were trained on {len(origin.trained_on)} of the {origin.num_videos} videos "
                    f"({listed(origin.trained_on)}), and weights fitted there favour models that memorise; give "
                    "out-of-fold predictions (`abaw cross-validate`)"
                )

    def _notes(self, evidence: FusionEvidence) -> list[str]:
        notes = [f"{name}: {warning}" for name, origin in self._origins() for warning in origin.warnings()]
        annotated = {name for each in self._inputs for name in each.stores} & self._labels.names
        lacking = sorted(annotated - set(self._videos))
        if lacking:
            notes.append(f"not used for the fit, because not all members have them: {listed(lacking)}")
        if evidence.stride > 1:
            notes.append(f"the weights are fitted on one annotated frame in {evidence.stride}, and scored on all")
        return notes


def _estimates(tallies: Tallies, videos: Sequence[str], draws: int) -> dict[str, Estimate]:
    """The score of each task that is predicted and annotated."""
    groups = video_groups(videos)
    confusions = np.stack([video.confusion for video in tallies.videos])
    found: dict[str, Estimate] = {}
    if confusions.any():
        score = float(macro_f1_of(confusions.sum(axis=0)))
        found["expression"] = Estimate(score, f1_intervals(confusions, groups, draws).macro)
    tasks = score_tasks(tallies.tasks, confusions, groups, draws) if tallies.tasks else None
    if tasks is not None and tasks.ccc is not None:
        found["valence_arousal"] = tasks.ccc[2]
    if tasks is not None and tasks.mean_action_units is not None:
        found["action_units"] = tasks.mean_action_units
    return {task: found[task] for task in TASKS if task in found}
