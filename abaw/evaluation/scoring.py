"""Passes over prediction stores, with one video in memory at a time; only counts are kept of a video.

Shapes: T time, C class, V videos, K folds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import AbawError, DataError
from abaw.core.progress import Progress, silent
from abaw.core.text import listed
from abaw.evaluation.action_units import unit_counts, unit_histogram
from abaw.evaluation.calibration import Calibration, calibration_of, no_frames
from abaw.evaluation.fitted_smoothing import fit_smoothing
from abaw.evaluation.metrics import ScoredVideo, VideoTally, confusion_of, evaluate_tallies, tally
from abaw.evaluation.multitask import TaskTally, moments_of, no_tasks
from abaw.evaluation.origin import VIDEO_LISTS
from abaw.evaluation.result import Option
from abaw.evaluation.scored_labels import ScoredLabels
from abaw.inference.decode import Decoded, decode
from abaw.inference.fuse import fusion_lines
from abaw.sequence.smooth import Smoothing
from abaw.stores.arrow import find_stores
from abaw.stores.predictions import Predictions, read_predictions

_FAULTS_SHOWN = 3
_FACTS = ("tool", "backbone", "checkpoints")


@dataclass(slots=True)
class Tallies:
    """The counts of one way to decode the predictions so far, one entry per video.

    fit_thresholds: keep what the fit of thresholds of the action units needs.
    """

    smoothing: Smoothing
    calibration: Calibration | None
    fit_thresholds: bool = False
    videos: list[VideoTally] = field(default_factory=list)
    tasks: list[TaskTally] = field(default_factory=list)

    def add(self, name: str, predictions: Predictions, decoded: Decoded, labels: ScoredLabels) -> None:
        known = labels.expression.get(name, np.empty(0, np.int8)) if predictions.classes else np.empty(0, np.int8)
        shared = min(len(known), len(predictions))
        known = known[:shared]
        self.videos.append(tally(ScoredVideo(name, known, decoded.labels[:shared], predictions.valid[:shared])))
        if self.calibration is not None and predictions.classes:
            self.calibration += calibration_of(decoded.probs[:shared], known)
        if labels.other:
            self.tasks.append(_task_tally(name, len(predictions), decoded, labels, self.fit_thresholds))

    def option(self, by_fold: NDArray[np.int64] | None = None) -> Option:
        bias = self.smoothing.class_bias
        return Option(
            str(self.smoothing),
            evaluate_tallies(self.videos),
            self.calibration,
            None if bias is None else np.array(bias),
            by_fold,
            self.smoothing,
        )


def new_tallies(smoothing: Smoothing, fit_thresholds: bool = False) -> Tallies:
    """Without calibration if the smoothing returns no probabilities."""
    return Tallies(smoothing, None if smoothing.name == "viterbi" else no_frames(), fit_thresholds)


def _task_tally(name: str, num_frames: int, decoded: Decoded, labels: ScoredLabels, fit_thresholds: bool) -> TaskTally:
    nothing = no_tasks(fit_thresholds)
    if name not in labels.other:
        return nothing
    other = labels.other[name].for_frames(num_frames)
    return TaskTally(
        nothing.moments
        if decoded.valence_arousal is None
        else moments_of(other.valence_arousal, decoded.valence_arousal),
        nothing.counts if decoded.action_units is None else unit_counts(other.action_units, decoded.action_units),
        0 if decoded.action_units is None else int((other.action_units >= 0).any(axis=1).sum()),
        unit_histogram(other.action_units, decoded.action_units)
        if fit_thresholds and decoded.action_units is not None
        else nothing.histogram,
    )


@dataclass(slots=True)
class StoreScores:
    """One folder of predictions after the first pass.

    tallies: one per smoothing; metas: the training metadata of each scored video's predictions; notes, differences,
    facts: as in Result.
    """

    name: str
    path: Path
    stores: Mapping[str, Path]
    tallies: list[Tallies]
    metas: dict[str, dict[str, Any]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    @property
    def scored(self) -> list[str]:
        return list(self.metas)


def score_store(
    path: Path,
    name: str,
    labels: ScoredLabels,
    smoothings: Sequence[Smoothing],
    failures: list[str],
    progress: Progress = silent,
    *,
    fit_thresholds: bool = False,
) -> StoreScores:
    """Decode and tally every video that has labels, with every smoothing. A faulty store is added to `failures`.

    fit_thresholds: see Tallies. Raises DataError when no video could be scored.
    """
    stores = {store.stem: store for store in find_stores([path])}
    matched = sorted(stores.keys() & labels.names)
    if not matched:
        raise DataError(f"{path}: none of its {len(stores)} videos ({listed(sorted(stores))}) {_unscored(labels)}")
    found = StoreScores(name, path, stores, [new_tallies(smoothing, fit_thresholds) for smoothing in smoothings])
    found.notes += _unmatched(stores, labels)
    seen: dict[tuple[str, ...], tuple[str, ...]] = {}
    for done, video in enumerate(matched, start=1):
        try:
            predictions = read_predictions(stores[video])
            decoded = [decode(predictions, smoothing) for smoothing in smoothings]
        except AbawError as error:
            failures.append(f"{name}: {error}")
            continue
        for tallies, one in zip(found.tallies, decoded, strict=True):
            tallies.add(video, predictions, one, labels)
        found.metas[video] = training_record(predictions, seen)
        found.facts = found.facts or _facts_of(predictions)
        found.differences += _length_difference(video, predictions, labels)
        if not predictions.predicted.any():
            value = "the first class" if predictions.classes else "0"
            found.notes.append(f"{video}: no frame was predicted; all count as {value}")
        progress(done, len(matched))
    if not found.metas:
        raise DataError(f"{path}: none of its videos could be scored: {'; '.join(failures)}")
    return found


def _facts_of(predictions: Predictions) -> dict[str, Any]:
    facts = {key: predictions.meta[key] for key in _FACTS if key in predictions.meta}
    fusion = fusion_lines(predictions.meta)
    return {**facts, "fusion": fusion} if fusion else facts


def training_record(predictions: Predictions, seen: dict[tuple[str, ...], tuple[str, ...]]) -> dict[str, Any]:
    """The lists of videos that predictions say their models have seen, for `origin_of`.

    seen: the lists so far, each kept once even if many videos share it.
    """
    lists = {key: tuple(predictions.meta[key]) for key in VIDEO_LISTS if key in predictions.meta}
    return {key: seen.setdefault(names, names) for key, names in lists.items()}


def _length_difference(name: str, predictions: Predictions, labels: ScoredLabels) -> list[str]:
    if name not in labels.expression and labels.expression:
        return []
    lines = labels.lines(name)
    if len(lines) > len(predictions):
        extra = lines[len(predictions) :]
        return [
            f"{name}: {len(extra)} label lines after its {len(predictions)} predicted frames are not scored "
            f"({int((extra >= 0).sum())} of them annotated)"
        ]
    if len(predictions) > len(lines):
        return [f"{name}: its last {len(predictions) - len(lines)} frames have no label line"]
    return []


def _unscored(labels: ScoredLabels) -> str:
    if labels.faults:
        return f"has annotations that could be read; at fault are {listed(labels.faults, _FAULTS_SHOWN, '; ')}"
    return (
        f"has annotations; annotated are {listed(sorted(labels.names))}; give predictions of the annotated videos, "
        "or score another --split"
    )


def _unmatched(predicted: Mapping[str, Path], labels: ScoredLabels) -> list[str]:
    notes = []
    missing = sorted(labels.names - predicted.keys())
    if missing:
        notes.append(
            f"not scored, because there are no predictions: {len(missing)} annotated videos ({listed(missing)})"
        )
    others = sorted(predicted.keys() - labels.names - {*labels.elsewhere, *labels.faulty})
    if others:
        notes.append(f"not scored, because they are not annotated: {len(others)} videos ({listed(others)})")
    return notes


def fitted_option(
    found: StoreScores,
    smoothing: Smoothing,
    labels: ScoredLabels,
    folds: Mapping[str, int],
    progress: Progress = silent,
) -> tuple[Option, list[TaskTally], int]:
    """The smoothing with a class bias fitted on the scored videos, and on those outside each fold.

    The WEIGHT of a hidden Markov pass is fitted together with its bias. folds: by video. Returns the option, the
    tallies of its other tasks and the stride of the frames of the fit. Two passes: the first keeps a bounded sample of
    frames, the second counts; progress: videos of both passes.
    """
    everywhere, by_fold, stride = fit_smoothing(
        smoothing, _annotated(found, labels, progress), [folds[name] for name in found.scored]
    )
    tallies = new_tallies(everywhere, found.tallies[0].fit_thresholds)
    confusions = []
    for video, predictions in _read_again(found, progress, passes_done=1):
        tallies.add(video, predictions, decode(predictions, everywhere), labels)
        known = _known(labels, video, predictions)
        decoded = [decode(predictions, fitted).labels[: len(known)] for fitted in by_fold]
        confusions.append([confusion_of(known, classes, len(predictions.classes)) for classes in decoded])
    return tallies.option(np.array(confusions).swapaxes(0, 1)), tallies.tasks, stride


def _annotated(
    found: StoreScores, labels: ScoredLabels, progress: Progress
) -> Iterator[tuple[Predictions, NDArray[np.int8]]]:
    for video, predictions in _read_again(found, progress, passes_done=0):
        yield predictions, _known(labels, video, predictions)


def _known(labels: ScoredLabels, video: str, predictions: Predictions) -> NDArray[np.int8]:
    return labels.expression.get(video, np.empty(0, np.int8))[: len(predictions)]


def _read_again(found: StoreScores, progress: Progress, passes_done: int) -> Iterator[tuple[str, Predictions]]:
    """The scored videos, for one of the two passes of `fitted_option`."""
    num_videos = len(found.scored)
    for done, video in enumerate(found.scored, start=1):
        yield video, read_predictions(found.stores[video])
        progress(passes_done * num_videos + done, 2 * num_videos)
