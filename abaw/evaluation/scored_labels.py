"""The labels that predictions are scored against: of one or both splits, for every predicted task."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import AbawError, DataError
from abaw.core.text import listed
from abaw.evaluation.folds import folds_by_name
from abaw.protocol.annotations import annotation_files, fit_length, read_annotation, split_folder, text_files
from abaw.protocol.classes import NUM_EXPRESSIONS, UNLABELLED
from abaw.protocol.labels import FrameLabels, count_other_labels, names_elsewhere, read_labels, split_folders
from abaw.protocol.multitask import find_multitask_file

_SHOWN = 3

Expression = Mapping[str, "NDArray[np.int8]"]


@dataclass(frozen=True, slots=True, eq=False)
class ScoredLabels:
    """places: the folders and files they were read from; expression: (T,) by video, -1 for none, empty when expression
    is not predicted.

    other: labels of the other tasks by video; empty when there are none or none is predicted.
    elsewhere: videos that a split annotates which is not scored; faulty: videos whose file could not be read; faults:
    what is wrong with the files.
    """

    places: tuple[Path, ...]
    expression: Expression
    other: Mapping[str, FrameLabels]
    elsewhere: Collection[str] = ()
    faulty: Collection[str] = ()
    faults: tuple[str, ...] = ()

    def lines(self, name: str) -> NDArray[np.int8]:
        """The labels of a video's lines, (T,), negative without one: of expression, or of the other tasks if expression
        is not scored."""
        if self.expression or name not in self.other:
            return self.expression.get(name, np.empty(0, np.int8))
        video = self.other[name]
        known = np.isfinite(video.valence_arousal).all(axis=1) | (video.action_units >= 0).any(axis=1)
        return np.where(known, 0, UNLABELLED).astype(np.int8)

    @property
    def names(self) -> set[str]:
        return {*self.expression, *self.other}

    def for_frames(self, name: str, num_frames: int) -> FrameLabels:
        """The labels of all scored tasks for exactly `num_frames` frames of a video; none where it has none."""
        nothing = FrameLabels(name, np.empty(0, np.int8), np.empty((0, 2), np.float32), np.empty((0, 12), np.int8))
        found = self.other.get(name, nothing).for_frames(num_frames)
        return replace(
            found, expression=fit_length(self.expression.get(name, nothing.expression), num_frames, UNLABELLED)
        )

    def folds(self, names: Collection[str]) -> dict[str, int]:
        """The fold of each of these videos, by name, for nested selection; a single fold when they are too few."""
        ordered = sorted(names)
        if self.expression:
            nothing = np.empty(0, np.int8)
            known = {name: self.expression.get(name, nothing) for name in ordered}
            counts = {name: np.bincount(each[each >= 0], minlength=NUM_EXPRESSIONS) for name, each in known.items()}
        else:
            others = {name: self.other[name] for name in ordered}
            counts = {
                name: count_other_labels(each.valence_arousal, each.action_units) for name, each in others.items()
            }
        try:
            return folds_by_name(counts)
        except DataError:
            return dict.fromkeys(ordered, 0)


def read_scored_labels(root: Path, splits: Sequence[str], tasks: Sequence[str], failures: list[str]) -> ScoredLabels:
    """Read the splits below `root`. tasks: what is predicted; tasks other than expression are read where labels exist.

    A faulty file is added to `failures`, and the others are read. Raises DataError when a split is missing or holds no
    file, when all files are faulty, or when a video is in both.
    """
    before = len(failures)
    faulty: set[str] = set()
    places: list[Path] = []
    expression: dict[str, NDArray[np.int8]] = {}
    other: dict[str, FrameLabels] = {}
    for split in splits:
        place = _place(root, split, tasks)
        if place in places:
            continue
        places.append(place)
        found, found_other = _read_split(root, split, place, tasks, failures)
        earlier, read = (expression, found) if "expression" in tasks else (other, found_other)
        _require_apart(place, earlier.keys(), read.keys())
        faulty |= set(text_files(place)) - read.keys()
        expression |= found
        other |= found_other
    faults = tuple(failures[before:])
    if faults and not expression and not other:
        raise DataError(f"no annotation file could be read: {listed(faults, _SHOWN, '; ')}")
    return ScoredLabels(tuple(places), expression, other, names_elsewhere(root, splits), faulty, faults)


def _place(root: Path, split: str, tasks: Sequence[str]) -> Path:
    """The multi-task file of the split, or the folder of its expression files (without expression, of its tasks)."""
    if "expression" not in tasks:
        folders = [folder for task in tasks for folder in split_folders(root, split, task)]
        return folders[0] if folders else find_multitask_file(root, split) or root
    multitask = None if split_folders(root, split, "expression") else find_multitask_file(root, split)
    return multitask or split_folder(root, split)


def _read_split(
    root: Path, split: str, place: Path, tasks: Sequence[str], failures: list[str]
) -> tuple[dict[str, NDArray[np.int8]], dict[str, FrameLabels]]:
    others = [task for task in tasks if task != "expression"]
    annotated = [task for task in others if split_folders(root, split, task)]
    if "expression" not in tasks:
        return {}, read_labels(root, split, others if place.is_file() or not annotated else annotated)
    if place.is_file():
        labels = read_labels(root, split, tasks)
        return {name: video.expression for name, video in labels.items()}, labels if others else {}
    expression = _read_expression(place, failures)
    try:
        return expression, read_labels(root, split, annotated) if annotated else {}
    except DataError as error:
        failures.append(f"{', '.join(annotated)} not scored: {error}")
        return expression, {}


def _read_expression(folder: Path, failures: list[str]) -> dict[str, NDArray[np.int8]]:
    labels = {}
    for name, file in annotation_files(folder).items():
        try:
            labels[name] = read_annotation(file).labels
        except AbawError as error:
            failures.append(str(error))
    return labels


def _require_apart(place: Path, before: AbstractSet[str], found: AbstractSet[str]) -> None:
    both = sorted(before & found)
    if both:
        raise DataError(
            f"{place}: {len(both)} of its videos are in the other split too ({listed(both)}); a video is scored "
            "once: take it out of one of them, or score the splits separately"
        )
