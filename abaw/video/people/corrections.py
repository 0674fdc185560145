"""The correction file: tracks chosen by hand after reviewing the contact sheets."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from abaw.core.errors import DataError
from abaw.core.reading import read_errors
from abaw.core.text import plain_cell
from abaw.protocol.layout import Subject

_COLUMNS = ("video", "track", "subject")


@dataclass(frozen=True, slots=True)
class Correction:
    """One row. subject: None if the video has only one; where: file and line, for messages."""

    video: str
    track: int
    subject: str | None
    where: str


Corrections = Mapping[str, tuple[Correction, ...]]
"""The rows of one video by subject."""


_MAX_DIGITS = 9


def read_corrections(path: Path) -> list[Correction]:
    """Rows of a CSV with the header `video,track`, and `subject` where wanted.

    Raises DataError for a missing file, a wrong header, or a row without a video or track number.
    """
    remedy = "give a CSV file with video, track and subject"
    with read_errors(path, "not readable as a correction file", remedy, (UnicodeDecodeError,)):
        text = path.read_text(encoding="utf-8-sig")
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    with read_errors(path, "not readable as a correction file", remedy, (csv.Error,)):
        header = [name.strip() for name in reader.fieldnames or ()]
    if not {"video", "track"} <= set(header) <= set(_COLUMNS):
        raise DataError(
            f"{path}: expected the header 'video,track' or 'video,track,subject', found '{','.join(header)}'"
        )
    reader.fieldnames = header
    with read_errors(path, "not readable as a correction file", remedy, (csv.Error,)):
        return [_parse(row, f"{path}, line {reader.line_num}") for row in reader]


def _parse(row: Mapping[str | None, str | list[str] | None], where: str) -> Correction:
    video, track, subject = (plain_cell(str(row.get(name) or "").strip()) for name in _COLUMNS)
    if not video or None in row:
        raise DataError(f"{where}: expected a video and a track, found '{','.join(map(str, row.values()))}'")
    if not (track.isascii() and track.isdigit() and len(track) <= _MAX_DIGITS and int(track) > 0):
        raise DataError(f"{where}: expected a track number as on the contact sheet, found '{track[:60]}'")
    return Correction(video, int(track), subject or None, where)


def assign(
    corrections: Iterable[Correction], subjects: Mapping[str, Sequence[Subject]]
) -> dict[str, dict[str, tuple[Correction, ...]]]:
    """Corrections by video and subject; several rows for one subject are several tracks of that person.

    subjects: people by video name, see plan_subjects. Raises DataError for an unknown video or subject, and for a
    row without a subject if the video has two.
    """
    chosen: dict[str, dict[str, tuple[Correction, ...]]] = {}
    for row in corrections:
        if row.video not in subjects:
            raise DataError(f"{row.where}: no video '{row.video}' among those given; correct or remove the row")
        names = [subject.name for subject in subjects[row.video]]
        if row.subject is None and len(names) > 1:
            raise DataError(
                f"{row.where}: {row.video} has {', '.join(names)}; name one of them in the column 'subject'"
            )
        name = names[0] if row.subject is None else row.subject
        if name not in names:
            raise DataError(f"{row.where}: no subject '{name}' of {row.video}; expected {' or '.join(names)}")
        of_video = chosen.setdefault(row.video, {})
        of_video[name] = (*of_video.get(name, ()), row)
    return chosen
