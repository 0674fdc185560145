"""Which subjects the videos of a command have, from the names of annotation files or of a template."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from abaw.core.errors import DataError
from abaw.protocol.layout import Subject, parse_subject
from abaw.protocol.template import read_template


@dataclass(frozen=True, slots=True)
class SubjectPlan:
    """subjects: people by video name, the main person where nothing names the video; without_video: the rest."""

    subjects: dict[str, list[Subject]]
    without_video: list[str]


def read_names(path: Path) -> list[str]:
    """Subject names of a template file, or of the `*.txt` in and below an annotation folder.

    Raises DataError when there is none.
    """
    if path.is_file():
        return list(read_template(path).videos())
    names = sorted({file.stem for file in path.rglob("*.txt")}) if path.is_dir() else []
    if not names:
        raise DataError(
            f"{path}: expected a folder with annotation files (*.txt) or a template file; check the path of --subjects"
        )
    return names


def plan_subjects(videos: Sequence[str], names: Iterable[str]) -> SubjectPlan:
    """Give each name, once, to its video. A name that is a video's own is its main person, `_left` in it or not."""
    subjects: dict[str, list[Subject]] = {video: [] for video in videos}
    without_video = []
    for name in dict.fromkeys(names):
        subject = Subject(name, name, None) if name in subjects else parse_subject(name)
        if subject.video in subjects:
            subjects[subject.video].append(subject)
        else:
            without_video.append(name)
    for video, people in subjects.items():
        if not people:
            people.append(Subject(video, video, None))
    return SubjectPlan(subjects, without_video)
