"""The labels of a video for every task: expression, valence and arousal, action units.

The annotation files: one per task and video, or one for all videos (the multi-task editions, ABAW 4 and 7).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from abaw.core.artifacts import write_text
from abaw.core.errors import ConfigError, DataError, nearest
from abaw.protocol.annotations import (
    EXPRESSION_FOLDERS,
    TRAIN_SET,
    VALIDATION_SET,
    annotation_files,
    fit_length,
    read_annotation,
    text_files,
)
from abaw.protocol.classes import ACTION_UNITS, NUM_ACTION_UNITS, TASKS, UNLABELLED, VALENCE_AROUSAL
from abaw.protocol.multitask import find_multitask_file, multitask_names, read_multitask
from abaw.protocol.tables import NO_VALUE, RowFormat, Values, is_action_unit, is_valence_arousal, read_values

FOLDERS: Mapping[str, tuple[str, ...]] = {
    "expression": EXPRESSION_FOLDERS,
    "valence_arousal": ("VA_Estimation_Challenge",),
    "action_units": ("AU_Detection_Challenge",),
}
"""Folder names of each task below the annotation root."""

_VALENCE_AROUSAL_FORMAT = RowFormat(
    len(VALENCE_AROUSAL), is_valence_arousal, NO_VALUE, "two numbers in [-1, 1], or -5 for none"
)
_ACTION_UNIT_FORMAT = RowFormat(NUM_ACTION_UNITS, is_action_unit, UNLABELLED, "12 times -1, 0 or 1", integers=True)


@dataclass(frozen=True, slots=True, eq=False)
class FrameLabels:
    """The labels of one video; frame k is at index k - 1.

    expression: (T,) int8 class 0-7, -1 for none; valence_arousal: (T, 2) float32 in [-1, 1], NaN for none (a frame has
    both or none); action_units: (T, 12) int8, 1 on, 0 off, -1 for none.
    """

    name: str
    expression: NDArray[np.int8]
    valence_arousal: NDArray[np.float32]
    action_units: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.expression)

    def for_frames(self, num_frames: int) -> FrameLabels:
        """Labels of exactly `num_frames` frames: longer ones are cut, frames beyond shorter ones have no label."""
        return FrameLabels(
            self.name,
            fit_length(self.expression, num_frames, UNLABELLED),
            fit_length(self.valence_arousal, num_frames, np.nan),
            fit_length(self.action_units, num_frames, UNLABELLED),
        )


def count_other_labels(
    valence_arousal: NDArray[np.float32] | None, action_units: NDArray[np.int8] | None
) -> NDArray[np.int64]:
    """Frames with valence and arousal, and frames with each action unit off and on, (25,), to balance parts of a set.

    valence_arousal: (T, 2); action_units: (T, 12); as in FrameLabels, None for no labels.
    """
    counts = np.zeros(1 + 2 * NUM_ACTION_UNITS, dtype=np.int64)
    if valence_arousal is not None:
        counts[0] = int((~np.isnan(valence_arousal).any(axis=1)).sum())
    if action_units is not None:
        counts[1:] = np.concatenate([(action_units == value).sum(axis=0) for value in (0, 1)])
    return counts


def read_valence_arousal(path: Path) -> NDArray[np.float32]:
    """(T, 2), NaN in frames that lack one of them. Raises DataError that names file and line."""
    return _without_marks(read_values(path, VALENCE_AROUSAL, _VALENCE_AROUSAL_FORMAT))


def read_action_units(path: Path) -> NDArray[np.int8]:
    """(T, 12), -1 where there is no label. Raises DataError that names file and line."""
    return read_values(path, ACTION_UNITS, _ACTION_UNIT_FORMAT).astype(np.int8)


def _without_marks(values: Values) -> Values:
    return np.where((values == NO_VALUE).any(axis=1, keepdims=True), np.float32(np.nan), values)


def write_valence_arousal(path: Path, values: NDArray[np.floating]) -> None:
    """Write (T, 2) in the official format with three decimals; NaN becomes -5."""
    rows = [",".join(f"{value:.3f}" for value in row) for row in np.nan_to_num(values, nan=NO_VALUE).tolist()]
    write_text(path, "\n".join([",".join(VALENCE_AROUSAL), *rows]) + "\n")


def write_action_units(path: Path, values: NDArray[np.integer]) -> None:
    """Write (T, 12) values -1, 0 or 1 in the official format."""
    rows = [",".join(map(str, row)) for row in values.tolist()]
    write_text(path, "\n".join([",".join(ACTION_UNITS), *rows]) + "\n")


def read_labels(root: Path, split: str, tasks: Sequence[str]) -> dict[str, FrameLabels]:
    """Labels of the chosen tasks by video name, for all videos that have a file or row for one of them.

    root: the annotation root with the folders of the tasks; or the folder of the multi-task files, or such a file; for
    a single task also its folder, its split's folder or any folder of its files. split: Train_Set or Validation_Set.
    Labels of a task that was not asked for, or for which a video has no file, are missing. Each video is as long as the
    longest of its files. Raises DataError, naming the places searched or the file and line, and ConfigError for an
    unknown task.
    """
    for task in tasks:
        if task not in TASKS:
            raise ConfigError(f"unknown task '{task}'; choose from {', '.join(TASKS)}.{nearest(task, TASKS)}")
    folders = {task: next(iter(split_folders(root, split, task)), None) for task in tasks}
    if not all(folders.values()):
        multitask = find_multitask_file(root, split) if not any(folders.values()) else None
        if multitask is not None:
            return {name: _from_multitask(name, rows, tasks) for name, rows in read_multitask(multitask).items()}
        if len(tasks) == 1:
            folders[tasks[0]] = _plain_folder(root, split)
    lacking = [task for task, folder in folders.items() if folder is None]
    if lacking or not tasks:
        places = ", ".join(str(root / FOLDERS[task][0] / split) for task in lacking)
        raise DataError(f"{root}: no {split} of {', '.join(lacking)} found; searched {places} and multi-task files")
    return _union({task: annotation_files(folder) for task, folder in folders.items() if folder is not None})


def split_folders(root: Path, split: str, task: str) -> tuple[Path, ...]:
    """The existing folders of a task's split, below the annotation root or its `annotations`."""
    candidates = (root / above / name / split for above in ("", "annotations") for name in FOLDERS[task])
    return tuple(candidate for candidate in candidates if candidate.is_dir())


def names_elsewhere(root: Path, splits: Collection[str]) -> set[str]:
    """Videos that another split than `splits` annotates, for any task; empty where none is found.

    root: as for `read_labels`; from the folder of a split, the other one is searched next to it.
    """
    above = root.parent if root.name in (TRAIN_SET, VALIDATION_SET) else root
    names: set[str] = set()
    for split in {TRAIN_SET, VALIDATION_SET} - set(splits):
        for folder in {above / split, *(folder for task in TASKS for folder in split_folders(above, split, task))}:
            names |= text_files(folder).keys()
        # Only names matter, and a fault of a file that nobody asked for is no reason to stop.
        with suppress(DataError):
            multitask = find_multitask_file(above, split)
            names |= multitask_names(multitask) if multitask is not None else set()
    return names


def _plain_folder(root: Path, split: str) -> Path | None:
    """A task's folder, or a folder of files whose task is known only from their headers."""
    if (root / split).is_dir():
        return root / split
    return root if text_files(root) else None


def _union(files: Mapping[str, Mapping[str, Path]]) -> dict[str, FrameLabels]:
    """files: by task, by video."""
    found = {}
    for name in sorted({name for of_task in files.values() for name in of_task}):
        path = {task: of_task[name] for task, of_task in files.items() if name in of_task}
        labels = FrameLabels(
            name,
            read_annotation(path["expression"]).labels if "expression" in path else np.empty(0, np.int8),
            read_valence_arousal(path["valence_arousal"])
            if "valence_arousal" in path
            else np.empty((0, 2), np.float32),
            read_action_units(path["action_units"]) if "action_units" in path else np.empty((0, 12), np.int8),
        )
        longest = max(len(labels.expression), len(labels.valence_arousal), len(labels.action_units))
        found[name] = labels.for_frames(longest)
    return found


def _from_multitask(name: str, rows: Values, tasks: Sequence[str]) -> FrameLabels:
    """rows: (T, 15)."""
    chosen = FrameLabels(
        name,
        rows[:, 2].astype(np.int8)[: len(rows) if "expression" in tasks else 0],
        _without_marks(rows[:, :2])[: len(rows) if "valence_arousal" in tasks else 0],
        rows[:, 3:].astype(np.int8)[: len(rows) if "action_units" in tasks else 0],
    )
    return chosen.for_frames(len(rows))
