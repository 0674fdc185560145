"""The organisers' template, whose rows a submission must contain in the same order, or their list of videos."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from abaw.core.errors import ConfigError, DataError
from abaw.core.reading import read_errors
from abaw.protocol.editions import Edition, owner_of_header
from abaw.protocol.layout import VIDEO_SUFFIXES

LOCATION: Final = r"^(?P<video>.+)/(?P<frame>[0-9]{1,7})\.jpg$"
"""`<video>/<frame>.jpg`; no video has more than 9,999,999 frames (92 hours at 30 frames per second)."""
_LOCATION = re.compile(LOCATION)


@dataclass(frozen=True, slots=True)
class Template:
    """Rows of a template, in its order.

    path: its file; header: its first line, empty when the first line is a row; locations: `<video>/<frame>.jpg` per
    row.
    """

    path: Path
    header: str
    locations: list[str]

    def videos(self) -> dict[str, int]:
        """Rows per video, in order of first appearance."""
        counts: dict[str, int] = {}
        for location in self.locations:
            video = location.rpartition("/")[0]
            counts[video] = counts.get(video, 0) + 1
        return counts


def parse_location(location: str) -> tuple[str, int] | None:
    """`<video>/00012.jpg` -> (video, 12); None when it is not of that form."""
    match = _LOCATION.match(location)
    return (match["video"], int(match["frame"])) if match else None


def read_template(path: Path) -> Template:
    """Read a template; values after the first comma of a row are ignored.

    Raises DataError for a file that cannot be read, is empty, or has a row that is not `<video>/<frame>.jpg`.
    """
    with (
        read_errors(path, "not readable as a template", contents=(UnicodeDecodeError,)),
        path.open(encoding="utf-8-sig") as file,
    ):
        header = file.readline()
        has_header = _LOCATION.match(header.partition(",")[0].strip()) is None
        locations = list(_locations(file if has_header else chain([header], file), path, 2 if has_header else 1))
    if not locations:
        found = "one line" if header.strip() else "nothing"
        raise DataError(f"{path}: expected a header and one row per frame, found {found}")
    return Template(path, header.strip() if has_header else "", locations)


def _locations(lines: Iterable[str], path: Path, first_line: int) -> Iterator[str]:
    for number, line in enumerate(lines, start=first_line):
        location = line.partition(",")[0].strip()
        if not location and not line.strip():
            continue
        if not _LOCATION.match(location):
            raise DataError(f"{path}:{number}: expected '<video>/00001.jpg,…', found '{line.strip()[:60]}'")
        yield location


def require_edition(template: Template, edition: Edition) -> None:
    """Raise ConfigError when the template has the header of another edition."""
    owner = owner_of_header(template.header)
    if owner is None or edition.name in owner[1]:
        return
    remedy = f"use --edition {owner[1][-1]} or another --template" if owner[1] else "use another --template"
    raise ConfigError(f"{template.path}: this is the template of {owner[0]}, not of {edition.name}; {remedy}")


@dataclass(frozen=True, slots=True)
class VideoList:
    """The videos that a submission must contain, one file each, in order.

    path: the file of the list; num_frames: expected lines per video, None where the list does not say.
    """

    path: Path
    num_frames: Mapping[str, int | None]

    @property
    def tells_frames(self) -> bool:
        return all(number is not None for number in self.num_frames.values())

    def with_frames(self, num_frames: Mapping[str, int]) -> VideoList:
        """The same videos, with `num_frames` filled in where the list does not say it."""
        known = self.num_frames.items()
        return VideoList(self.path, {name: num_frames.get(name) if due is None else due for name, due in known})


def read_video_list(path: Path) -> VideoList:
    """Read a list of videos: one name per line, or a template with one row per frame.

    Names may end in `.txt` or the suffix of a video. From a template, the expected number of lines of a video is its
    highest frame. Raises DataError for a file that cannot be read, is empty, names a video twice, or has a line that is
    neither a name nor a row.
    """
    with read_errors(path, "not readable as a list of videos", contents=(UnicodeDecodeError,)):
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    if any(_LOCATION.match(line.partition(",")[0].strip()) for line in lines[:10]):
        return VideoList(path, _highest_frames(read_template(path)))
    names: dict[str, int | None] = {}
    for number, line in enumerate(lines, start=1):
        name = line.strip()
        if not name or (number == 1 and owner_of_header(name)):
            continue
        suffix = Path(name).suffix
        if suffix.lower() in {".txt", *VIDEO_SUFFIXES}:
            name = name.removesuffix(suffix)
        if re.search(r"[,/\\]", name):
            raise DataError(
                f"{path}:{number}: expected the name of a video or '<video>/00001.jpg,…', found '{name[:60]}'"
            )
        if name in names:
            raise DataError(f"{path}:{number}: names the video '{name}' twice; remove one of the lines")
        names[name] = None
    if not names:
        raise DataError(f"{path}: expected one video name per line, or a template; found nothing")
    return VideoList(path, names)


def _highest_frames(template: Template) -> dict[str, int | None]:
    highest: dict[str, int | None] = {}
    for location in template.locations:
        video, frame = parse_location(location) or ("", 0)
        highest[video] = max(frame, highest.get(video) or 0)
    return highest
