"""The labels that predictions are scored against: of one split or both, of every task that is predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import AbawError, DataError
from abaw.protocol.annotations import read_annotation, split_folder
from abaw.protocol.multitask import find_multitask_file
from abaw.protocol.targets import FOLDERS, Targets, read_targets

Expression = Mapping[str, "NDArray[np.int8]"]


@dataclass(frozen=True, slots=True, eq=False)
class ScoredLabels:
    """places: the folders and files they were read from; expression: (T,) by video, -1 for none.

    other: labels of the other tasks by video; empty when there are none or none is predicted.
    """

    places: tuple[Path, ...]
    expression: Expression
    other: Mapping[str, Targets]

    @property
    def names(self) -> set[str]:
        return {*self.expression, *self.other}


def read_labels(root: Path, splits: Sequence[str], tasks: Sequence[str], failures: list[str]) -> ScoredLabels:
    """Read the splits below `root`. tasks: what is predicted beside expression, read where there are labels of it.

    A file at fault is noted in `failures` and the others are read. Raises DataError when a split is not there or holds
    no file, or when a video is in both.
    """
    places: list[Path] = []
    expression: dict[str, NDArray[np.int8]] = {}
    other: dict[str, Targets] = {}
    for split in splits:
        place = _place(root, split)
        if place in places:
            continue
        places.append(place)
        found, targets = _read_split(root, split, place, tasks, failures)
        _require_apart(place, expression, found)
        expression |= found
        other |= targets
    return ScoredLabels(tuple(places), expression, other)


def _place(root: Path, split: str) -> Path:
    """The multi-task file of the split, or the folder of its expression files."""
    multitask = None if _has_files(root, split, "expression") else find_multitask_file(root, split)
    return multitask or split_folder(root, split)


def _has_files(root: Path, split: str, task: str) -> bool:
    return any((root / above / name / split).is_dir() for above in ("", "annotations") for name in FOLDERS[task])


def _read_split(
    root: Path, split: str, place: Path, tasks: Sequence[str], failures: list[str]
) -> tuple[dict[str, NDArray[np.int8]], dict[str, Targets]]:
    if place.is_file():
        targets = read_targets(root, split, ("expression", *tasks))
        return {name: video.expression for name, video in targets.items()}, targets if tasks else {}
    expression = _read_expression(place, failures)
    there = [task for task in tasks if _has_files(root, split, task)]
    try:
        return expression, read_targets(root, split, there) if there else {}
    except DataError as error:
        failures.append(f"{', '.join(there)} not scored: {error}")
        return expression, {}


def _read_expression(folder: Path, failures: list[str]) -> dict[str, NDArray[np.int8]]:
    files = sorted(folder.glob("*.txt"))
    if not files:
        raise DataError(f"{folder}: no annotation file (*.txt) there; give the folder that holds <video>.txt")
    labels = {}
    for file in files:
        try:
            labels[file.stem] = read_annotation(file).labels
        except AbawError as error:
            failures.append(str(error))
    return labels


def _require_apart(place: Path, before: Expression, found: Expression) -> None:
    both = sorted(before.keys() & found.keys())
    if both:
        raise DataError(
            f"{place}: {len(both)} of its videos are in the other split too ({', '.join(both[:5])}); a video is scored "
            "once: take it out of one of them, or score the splits one by one"
        )
