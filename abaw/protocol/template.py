"""The template file that the organisers hand out: every row of it must come back, in its order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from abaw.core.errors import DataError

_LOCATION = re.compile(r"^(?P<video>.+)/(?P<frame>\d+)\.jpg$")


@dataclass(frozen=True, slots=True)
class Template:
    """Rows of a template, in its order.

    path: where it was read from; header: its first line; locations: `<video>/<frame>.jpg` of each row.
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
    """Read a template, whose rows may or may not carry a value behind the first comma.

    Raises DataError for a file that cannot be read, is empty, or has a row that is no `<video>/<frame>.jpg`.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline()
            locations = list(_locations(file, path))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not readable as a template ({error})") from error
    if not locations:
        found = "one line" if header.strip() else "nothing"
        raise DataError(f"{path}: expected a header and a row a frame, found {found}")
    return Template(path, header.strip(), locations)


def _locations(lines: Iterable[str], path: Path) -> Iterator[str]:
    for number, line in enumerate(lines, start=2):
        location = line.partition(",")[0].strip()
        if not location and not line.strip():
            continue
        if not _LOCATION.match(location):
            raise DataError(f"{path}:{number}: expected '<video>/00001.jpg,…', found '{line.strip()[:60]}'")
        yield location
