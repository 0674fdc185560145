"""The official annotation text files <-> arrays.

First line: the class names, joined by commas. Then one integer a frame, line k (after the header) for frame k of the
video, counted from 1; -1 means no valid label. Files of various ages have CRLF line ends, spaces and no last line end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from abaw.core.artifacts import write_text
from abaw.core.errors import DataError
from abaw.protocol.classes import EXPRESSION_CLASSES, NUM_EXPRESSIONS, UNLABELLED

TRAIN_SET = "Train_Set"
VALIDATION_SET = "Validation_Set"
_TASK_FOLDERS = ("EXPR_Recognition_Challenge", "EXPR_Classification_Challenge")


@dataclass(frozen=True, slots=True, eq=False)
class Annotation:
    """The labels of one annotation file.

    name: file name without `.txt`; labels: (T,) int8, classes 0-7, -1 where there is no valid label.
    """

    name: str
    labels: NDArray[np.int8]

    def for_frames(self, num_frames: int) -> NDArray[np.int8]:
        """Labels of exactly `num_frames` frames: a longer file is cut, frames behind a shorter one have no label."""
        labels = np.full(num_frames, UNLABELLED, dtype=np.int8)
        shared = min(num_frames, len(self.labels))
        labels[:shared] = self.labels[:shared]
        return labels


def read_annotation(path: Path) -> Annotation:
    """Read one file. Raises DataError naming file and line for a wrong header or a label outside -1..7."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not readable as an annotation file ({error})") from error
    lines = text.splitlines()
    header = ",".join(EXPRESSION_CLASSES)
    found = ",".join(part.strip() for part in lines[0].split(",")) if lines else ""
    if found != header:
        raise DataError(f"{path}:1: wrong header: expected '{header}', found '{found[:100]}'")
    while len(lines) > 1 and not lines[-1].strip():
        lines.pop()
    labels = np.empty(len(lines) - 1, dtype=np.int8)
    for index, line in enumerate(lines[1:]):
        labels[index] = _parse_label(line.strip(), path, index + 2)
    return Annotation(path.stem, labels)


def _parse_label(text: str, path: Path, line: int) -> int:
    """A blank line inside the file is a frame without a label: leaving it out would shift all that follow."""
    if not text:
        return UNLABELLED
    try:
        label = int(text)
    except ValueError:
        label = NUM_EXPRESSIONS
    if not UNLABELLED <= label < NUM_EXPRESSIONS:
        raise DataError(
            f"{path}:{line}: expected an integer from {UNLABELLED} to {NUM_EXPRESSIONS - 1}, found '{text[:40]}'; "
            "correct the line or take the file out"
        )
    return label


def read_annotations(folder: Path) -> dict[str, Annotation]:
    """All `*.txt` of a folder by name. Raises DataError when there is none."""
    files = sorted(folder.glob("*.txt"))
    if not files:
        raise DataError(f"{folder}: no annotation file (*.txt) there; give the folder that holds <video>.txt")
    return {file.stem: read_annotation(file) for file in files}


def write_annotation(path: Path, labels: NDArray[np.integer]) -> None:
    """Write labels ((T,), -1..7) in the official format."""
    if labels.size and not (labels.min() >= UNLABELLED and labels.max() < NUM_EXPRESSIONS):
        raise DataError(f"{path}: labels must lie in {UNLABELLED}..{NUM_EXPRESSIONS - 1}")
    write_text(
        path,
        "\n".join([",".join(EXPRESSION_CLASSES), *map(str, labels.tolist())]) + "\n",
    )


def split_folder(root: Path, split: str) -> Path:
    """The folder of one split below `root`, which may be the annotation root, the task's folder or the split itself.

    Raises DataError, naming the places looked at, when there is none.
    """
    candidates = [root / split, *(root / task / split for task in _TASK_FOLDERS)]
    candidates += [root / "annotations" / task / split for task in _TASK_FOLDERS]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    if root.is_dir() and any(root.glob("*.txt")):
        return root
    places = ", ".join(str(candidate) for candidate in candidates[:3])
    raise DataError(f"{root}: no {split} there; looked at {places} and for *.txt in the folder itself")


def class_counts(annotations: Mapping[str, Annotation]) -> NDArray[np.int64]:
    """Frames per class over all files, (C,)."""
    counts = np.zeros(NUM_EXPRESSIONS, dtype=np.int64)
    for annotation in annotations.values():
        labelled = annotation.labels[annotation.labels != UNLABELLED]
        counts += np.bincount(labelled, minlength=NUM_EXPRESSIONS)
    return counts
