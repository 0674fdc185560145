"""Which subjects the videos have, from the names of annotation files or of a template."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from abaw.core.errors import DataError
from abaw.core.folders import user_files
from abaw.protocol.layout import Side, Subject, parse_subject
from abaw.protocol.template import read_template

_BY_NUMBER: Final[dict[str, Side]] = {"1": "left", "2": "right"}


@dataclass(frozen=True, slots=True)
class SubjectPlan:
    """subjects: people by video name, the main person if no name fits the video; without_video: names of no video."""

    subjects: dict[str, list[Subject]]
    without_video: list[str]


def read_names(path: Path) -> list[str]:
    """Subject names of a template file, or of the `*.txt` in and below an annotation folder.

    Raises DataError if there is none.
    """
    if path.is_file():
        return list(read_template(path).videos())
    names = sorted({file.stem for file in user_files(path) if file.suffix.lower() == ".txt"}) if path.is_dir() else []
    if not names:
        raise DataError(
            f"{path}: expected a folder with annotation files (*.txt) or a template file; check the path of --subjects"
        )
    return names


def plan_subjects(videos: Sequence[str], names: Iterable[str]) -> SubjectPlan:
    """Assign each name, once, to its video.

    A name that equals a video's is its main person, whatever its suffix. Otherwise a suffix counts if the rest is a
    video: `_left`, `_right` (and `_left_1`), `_1` for the left and `_2` for the right of two people. A name without a
    suffix next to a single one with a side is the person on the other side.
    """
    subjects: dict[str, list[Subject]] = {video: [] for video in videos}
    without_video = []
    for name in dict.fromkeys(names):
        subject = Subject(name, name, None) if name in subjects else _sided(name)
        if subject.video in subjects:
            subjects[subject.video].append(subject)
        else:
            without_video.append(name)
    for video, people in subjects.items():
        subjects[video] = _other_side(people) or [Subject(video, video, None)]
    return SubjectPlan(subjects, without_video)


def _sided(name: str) -> Subject:
    video, _, number = name.rpartition("_")
    if number in _BY_NUMBER and parse_subject(name).side is None:
        return Subject(name, video, _BY_NUMBER[number])
    return parse_subject(name)


def _other_side(people: list[Subject]) -> list[Subject]:
    """Next to `video_right`, `video` is the left one: the main person might be the one on the right."""
    sides = {subject.side for subject in people if subject.side}
    if len(sides) != 1:
        return people
    other: Side = "left" if sides == {"right"} else "right"
    return [subject if subject.side else Subject(subject.name, subject.video, other) for subject in people]
