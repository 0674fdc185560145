"""The official annotation text files <-> arrays.

First line: the class names, joined by commas. Then one integer per frame, line k (after the header) for frame k of the
video, counted from 1; -1 means no valid label. Files of various ages have CRLF line ends, spaces and no last line end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from abaw.core.artifacts import write_text
from abaw.core.errors import DataError
from abaw.core.folders import is_system_file, names_in
from abaw.protocol.classes import EXPRESSION_CLASSES, NUM_EXPRESSIONS, UNLABELLED
from abaw.protocol.tables import RowFormat, read_values

TRAIN_SET = "Train_Set"
VALIDATION_SET = "Validation_Set"
SPLITS = {"validation": (VALIDATION_SET,), "train": (TRAIN_SET,), "both": (TRAIN_SET, VALIDATION_SET)}
"""What the setting `split` of commands names."""
EXPRESSION_FOLDERS = ("EXPR_Recognition_Challenge", "EXPR_Classification_Challenge")

_Number = TypeVar("_Number", np.int8, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Annotation:
    """The labels of one annotation file.

    name: file name without `.txt`; labels: (T,) int8, class 0-7, or -1 without a valid label.
    """

    name: str
    labels: NDArray[np.int8]

    def for_frames(self, num_frames: int) -> NDArray[np.int8]:
        """Labels of exactly `num_frames` frames: a longer file is cut, frames beyond a shorter one have no label."""
        return fit_length(self.labels, num_frames, UNLABELLED)


def fit_length(values: NDArray[_Number], num_frames: int, missing: float) -> NDArray[_Number]:
    """(T, ...) -> (num_frames, ...): cut, or filled up with `missing`."""
    fitted = np.full((num_frames, *values.shape[1:]), missing, dtype=values.dtype)
    shared = min(num_frames, len(values))
    fitted[:shared] = values[:shared]
    return fitted


def read_annotation(path: Path) -> Annotation:
    """Read one file. Raises DataError naming file and line for a wrong header or a label outside -1..7."""
    return Annotation(path.stem, read_values(path, EXPRESSION_CLASSES, _ROW_FORMAT)[:, 0].astype(np.int8))


def _is_label(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    return (values >= UNLABELLED) & (values < NUM_EXPRESSIONS)


_ROW_FORMAT = RowFormat(
    1, _is_label, UNLABELLED, f"an integer from {UNLABELLED} to {NUM_EXPRESSIONS - 1}", integers=True
)


def read_annotations(folder: Path) -> dict[str, Annotation]:
    """All annotations of a folder by name. Raises DataError when there is none."""
    return {name: read_annotation(file) for name, file in annotation_files(folder).items()}


def annotation_files(folder: Path) -> dict[str, Path]:
    """The annotation files of a folder by name. Raises DataError when there is none."""
    files = text_files(folder)
    if not files:
        raise DataError(f"{folder}: no annotation file (*.txt) found; give the folder with the <video>.txt files")
    return files


def text_files(folder: Path) -> dict[str, Path]:
    """The `*.txt` directly in a folder by name, in order, without what operating systems leave; empty without a folder.

    Raises DataError for two files of one name (`v.txt` and `v.TXT`).
    """
    names = names_in(folder) if folder.is_dir() else []
    found: dict[str, Path] = {}
    for file in (folder / name for name in names if name.lower().endswith(".txt") and not is_system_file(name)):
        other = found.setdefault(file.stem, file)
        if other != file:
            raise DataError(f"{folder}: {other.name} and {file.name} are both for '{file.stem}'; remove one of them")
    return found


def write_annotation(path: Path, labels: NDArray[np.integer]) -> None:
    """Write labels (T,) in -1..7 in the official format. Raises DataError for other values."""
    if labels.size and not (labels.min() >= UNLABELLED and labels.max() < NUM_EXPRESSIONS):
        raise DataError(f"{path}: labels must be in {UNLABELLED}..{NUM_EXPRESSIONS - 1}")
    write_text(
        path,
        "\n".join([",".join(EXPRESSION_CLASSES), *map(str, labels.tolist())]) + "\n",
    )


def split_folder(root: Path, split: str) -> Path:
    """The folder of one split. root: the annotation root, the task's folder or the split's folder itself.

    Raises DataError, naming the places searched, when there is none.
    """
    candidates = [root / split, *(root / task / split for task in EXPRESSION_FOLDERS)]
    candidates += [root / "annotations" / task / split for task in EXPRESSION_FOLDERS]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    if text_files(root):
        return root
    places = ", ".join(str(candidate) for candidate in candidates[:3])
    raise DataError(f"{root}: no {split} found; searched {places}, and the folder itself for *.txt")


def class_counts(annotations: Mapping[str, Annotation]) -> NDArray[np.int64]:
    """Number of frames per class over all files, (C,)."""
    counts = np.zeros(NUM_EXPRESSIONS, dtype=np.int64)
    for annotation in annotations.values():
        labelled = annotation.labels[annotation.labels != UNLABELLED]
        counts += np.bincount(labelled, minlength=NUM_EXPRESSIONS)
    return counts
