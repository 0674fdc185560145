"""Writes submissions in the format of an edition, from the template and the values of each frame."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from abaw.core.artifacts import atomic_path, write_text
from abaw.core.errors import DataError
from abaw.core.folders import atomic_folder
from abaw.core.text import listed
from abaw.protocol.editions import Edition
from abaw.protocol.template import Template, VideoList, parse_location

_LISTED = 20


@dataclass(frozen=True, slots=True)
class Written:
    """What was written. extended: video -> number of rows after its last decoded frame (they repeat its values)."""

    num_rows: int
    num_videos: int
    extended: Mapping[str, int]


def write_submission(path: Path, template: Template, edition: Edition, values: Mapping[str, Sequence[str]]) -> Written:
    """Write the edition's header and then every row of the template, in order, with the values of its frame.

    values: video -> one text per decoded frame, frame k at index k - 1. A row after the last decoded frame repeats the
    last values. The file is complete or absent. Raises DataError, which lists the videos, when videos of the template
    have no values.
    """
    _require_videos(template.path, template.videos(), values)
    extended: dict[str, int] = {}
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write(edition.header + "\n")
        for video, locations in groupby(template.locations, key=_video_of):
            file.writelines(_rows(video, locations, values[video], extended))
    return Written(len(template.locations), len(template.videos()), extended)


def _video_of(location: str) -> str:
    return location.rpartition("/")[0]


def _rows(video: str, locations: Iterator[str], values: Sequence[str], extended: dict[str, int]) -> Iterator[str]:
    for location in locations:
        parsed = parse_location(location)
        if parsed is None or parsed[1] < 1:
            raise DataError(f"template row '{location}': expected '<video>/00001.jpg' with frames counted from 1")
        frame = parsed[1]
        if frame > len(values):
            extended[video] = extended.get(video, 0) + 1
        yield f"{location},{values[min(frame, len(values)) - 1]}\n"


def write_folder(folder: Path, videos: VideoList, edition: Edition, values: Mapping[str, Sequence[str]]) -> Written:
    """Write `<video>.txt` for every video of the list: the edition's header, then one line per frame.

    If the list does not say the number of frames of a video, every decoded frame gets a line. Otherwise lines after
    the last decoded frame repeat its values, and frames after the last line are left out. The folder is complete or
    absent. Raises DataError, which lists the videos, when videos have no values; and when the folder exists and is not
    empty, or is a file: annotations look the same, so nothing is replaced.
    """
    _require_videos(videos.path, list(videos.num_frames), values)
    if folder.is_dir() and any(folder.iterdir()):
        raise DataError(
            f"{folder}: already contains files; choose another --out or remove the folder (nothing was written)"
        )
    extended: dict[str, int] = {}
    num_rows = 0
    with atomic_folder(folder) as temporary:
        for video, num_frames in videos.num_frames.items():
            lines = list(values[video][:num_frames])
            if num_frames is not None and num_frames > len(lines):
                extended[video] = num_frames - len(lines)
                lines += lines[-1:] * extended[video]
            num_rows += len(lines)
            write_text(temporary / f"{video}.txt", "\n".join([edition.header, *lines, ""]))
    return Written(num_rows, len(videos.num_frames), extended)


def _require_videos(source: Path, videos: Collection[str], values: Mapping[str, Sequence[str]]) -> None:
    missing = [video for video in videos if not values.get(video)]
    if not missing:
        return
    raise DataError(
        f"{source}: no predictions for {len(missing)} of its {len(videos)} videos: "
        f"{listed(missing, _LISTED)}; extract and predict them, then submit again (nothing was written)"
    )
