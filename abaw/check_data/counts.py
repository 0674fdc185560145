"""Counts of a video, or of one person in it, in each part of Aff-Wild2: labels, frames, crops, rows of the template."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.protocol.annotations import read_annotation
from abaw.protocol.classes import ACTION_UNITS, EXPRESSION_CLASSES, NUM_EXPRESSIONS, VALENCE_AROUSAL
from abaw.protocol.labels import read_action_units, read_valence_arousal
from abaw.protocol.layout import parse_subject
from abaw.protocol.official import SPLITS, Crops, OfficialTree
from abaw.protocol.tables import read_body
from abaw.stores.faces import open_faces
from abaw.video.reading.container import choose_stream, open_container, read_header
from abaw.video.reading.registry import open_video

Severity = Literal["error", "note"]
_AGAIN = "download the annotations again, or remove the file"
_HEADERS = {
    "expression": EXPRESSION_CLASSES,
    "valence_arousal": VALENCE_AROUSAL,
    "action_units": ACTION_UNITS,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """A mismatch (error) or something worth knowing (note). name: video or subject, empty for the whole set; remedy:
    what to do about it, empty if nothing needs to be done."""

    severity: Severity
    kind: str
    name: str
    message: str
    remedy: str = ""


@dataclass(slots=True)
class SubjectCounts:
    """Counts of one name in the annotations, template, crops or videos; None if that part does not exist.

    lines: label lines by task; classes: (C,) frames per class; with_aligned: number of annotated frames with an aligned
    image; with_plain: (C,) frames per class with an image that is not aligned.
    """

    name: str
    video: str
    split: str = ""
    lines: dict[str, int] = field(default_factory=dict)
    classes: NDArray[np.int64] | None = None
    with_aligned: int | None = None
    with_plain: NDArray[np.int64] | None = None
    header_frames: int | None = None
    decoded_frames: int | None = None
    aligned: tuple[Crops, ...] = ()
    plain: tuple[Crops, ...] = ()
    template_rows: int | None = None

    @property
    def frames(self) -> int | None:
        """Decoded frames if known, otherwise those stated by the header."""
        return self.header_frames if self.decoded_frames is None else self.decoded_frames


def count_subjects(tree: OfficialTree, template: Mapping[str, int]) -> tuple[list[SubjectCounts], list[Finding]]:
    """Counts of every name in any part of the data set, sorted, and the faults of single files.

    template: rows by name. Frames are those stated by the headers.
    """
    findings: list[Finding] = []
    subjects = {name: SubjectCounts(name, _video_of(name, tree)) for name in _names(tree, template)}
    for name, subject in subjects.items():
        subject.aligned, subject.plain = tree.aligned.get(name, ()), tree.plain.get(name, ())
        subject.template_rows = template.get(name)
    for (task, split), files in tree.annotations.items():
        for name, file in files.items():
            findings += _count_labels(subjects[name], task, split, file)
    headers = {}
    for name, places in tree.videos.items():
        headers[name], faults = _header_frames(name, places[0])
        findings += faults
    for subject in subjects.values():
        subject.header_frames = headers.get(subject.video)
    return list(subjects.values()), findings


def _names(tree: OfficialTree, template: Mapping[str, int]) -> list[str]:
    """Names of people, and of videos without any."""
    people = {*tree.aligned, *tree.plain, *template, *(name for files in tree.annotations.values() for name in files)}
    covered = {_video_of(name, tree) for name in people}
    return sorted(people | (tree.videos.keys() - covered))


def _video_of(name: str, tree: OfficialTree) -> str:
    return name if name in tree.videos else parse_subject(name).video


def _header_frames(name: str, path: Path) -> tuple[int | None, list[Finding]]:
    try:
        with open_container(path) as container:
            return read_header(choose_stream(container)[0], path).num_frames, []
    except DataError as error:
        return None, [Finding("error", "unreadable video", name, str(error), f"download {path.name} again")]


def _count_labels(subject: SubjectCounts, task: str, split: str, path: Path) -> Iterator[Finding]:
    try:
        body = read_body(path, _HEADERS[task])
    except DataError as error:
        empty = path.is_file() and not path.read_bytes().strip()
        kind = "empty label file" if empty else "wrong header"
        yield Finding("error", kind, subject.name, f"{path}: is empty" if empty else str(error), _AGAIN)
        return
    if not body:
        yield Finding("error", "empty label file", subject.name, f"{path}: has no line after the header", _AGAIN)
        return
    try:
        subject.lines[task] = len(_READERS[task](path))
        if task == "expression":
            _count_classes(subject, split, read_annotation(path).labels)
    except DataError as error:
        yield Finding("error", "label out of range", subject.name, str(error), _AGAIN)


_READERS: Mapping[str, Callable[[Path], NDArray[np.generic]]] = {
    "expression": lambda path: read_annotation(path).labels,
    "valence_arousal": read_valence_arousal,
    "action_units": read_action_units,
}


def _count_classes(subject: SubjectCounts, split: str, labels: NDArray[np.int8]) -> None:
    # The first split counts: a video in both is a separate fault and must not count twice.
    if subject.split:
        return
    subject.split = split
    subject.classes = _histogram(labels)
    if subject.aligned:
        subject.with_aligned = int(_histogram(_with_image(labels, subject.aligned[0])).sum())
    if subject.plain:
        subject.with_plain = _histogram(_with_image(labels, subject.plain[0]))


def _with_image(labels: NDArray[np.int8], crops: Crops) -> NDArray[np.int8]:
    """(N,) the labels of the frames with an image."""
    return labels[crops.frames[crops.frames <= len(labels)] - 1]


def _histogram(labels: NDArray[np.int8]) -> NDArray[np.int64]:
    return np.bincount(labels[labels >= 0], minlength=NUM_EXPRESSIONS).astype(np.int64)


def add_decoded_frames(subjects: Iterable[SubjectCounts], frames: Mapping[str, int]) -> None:
    """Fill in decoded frames. frames: by name, or by video for all people in it."""
    for subject in subjects:
        subject.decoded_frames = frames.get(subject.name, frames.get(subject.video))


def decode_frames(path: Path) -> int:
    """Number of frames found by decoding the whole video. Raises DataError if it cannot be decoded."""
    with open_video(path) as video:
        for _ in video:
            pass
        return video.num_frames


def stored_frames(faces: Iterable[Path]) -> dict[str, int]:
    """Decoded frames by name, according to faces stores of videos; stores made from crops do not know them."""
    found = {}
    for path in faces:
        store = open_faces(path)
        if store.is_video and store.meta.get("source") != "crops":
            found[store.name] = len(store)
    return found


def splits_of(tree: OfficialTree, task: str) -> dict[str, list[str]]:
    """Splits by name, according to the label files of one task."""
    found: dict[str, list[str]] = {}
    for split in SPLITS:
        for name in tree.annotations.get((task, split), {}):
            found.setdefault(name, []).append(split)
    return found
