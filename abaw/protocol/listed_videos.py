"""Lists of videos in a file, instead of a search through folders: one path per line, or a table."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from abaw.core.errors import DataError
from abaw.core.reading import read_errors, read_text
from abaw.core.text import plain_cell

_COLUMNS = ("path", "subject", "frames")
_REMEDY = "give a CSV file with the columns path and, optionally, subject and frames"


@dataclass(frozen=True, slots=True)
class ListedVideo:
    """One row. subject: name of the store, by default the video's; frames: how many the video is expected to have."""

    path: Path
    subject: str | None = None
    frames: int | None = None


def is_list(path: Path) -> bool:
    """True for the name of a list: .txt or .csv."""
    return path.suffix.lower() in (".txt", ".csv")


def read_list(path: Path) -> list[ListedVideo]:
    """The videos of a text file with a path per line (`#` begins a comment), or of a CSV file.

    Columns: `path` and, optionally, `subject` and `frames`. Relative paths start from the working directory. Whether
    the videos exist is not checked. Raises DataError, naming the line, for a file that is no such list, or is empty.
    """
    text = read_text(path, "not readable as a list of videos")
    found = list(_rows(path, text) if path.suffix.lower() == ".csv" else _lines(text))
    if not found:
        raise DataError(f"{path}: lists no video; expected one path per line, or a table with the column path")
    return found


def listed_and_found(paths: Iterable[Path], find: Callable[[list[Path]], list[Path]]) -> list[ListedVideo]:
    """The videos that are listed in the lists among the paths, and those that `find` finds in the others.

    Raises DataError for two videos whose stores would have the same name.
    """
    given = list(paths)
    lists, others = [path for path in given if is_list(path)], [path for path in given if not is_list(path)]
    videos = [ListedVideo(path) for path in find(others)] if others else []
    videos += [video for path in lists for video in read_list(path)]
    by_name: dict[str, ListedVideo] = {}
    for video in videos:
        other = by_name.setdefault(video.subject or video.path.stem, video)
        if other.path != video.path:
            raise DataError(
                f"two videos have stores named '{video.subject or video.path.stem}': {other.path} and {video.path}; "
                "list them in a table with different subjects, rename one, or process them separately"
            )
    return list(by_name.values())


def _lines(text: str) -> Iterator[ListedVideo]:
    for line in map(str.strip, text.splitlines()):
        if line and not line.startswith("#"):
            yield ListedVideo(Path(line))


def _rows(path: Path, text: str) -> Iterator[ListedVideo]:
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    with read_errors(path, "not readable as a table of videos", _REMEDY, (csv.Error,)):
        header = [name.strip() for name in reader.fieldnames or ()]
        if "path" not in header or not set(header) <= set(_COLUMNS):
            raise DataError(f"{path}: expected the columns path, subject and frames, found '{','.join(header)}'")
        reader.fieldnames = header
        for row in reader:
            yield _row(row, f"{path}, line {reader.line_num}")


def _row(row: Mapping[str | None, str | list[str] | None], where: str) -> ListedVideo:
    path, subject, frames = (plain_cell(str(row.get(name) or "").strip()) for name in _COLUMNS)
    if not path or None in row:
        raise DataError(f"{where}: expected a path, and no more fields than columns")
    if "/" in subject or subject.startswith("."):
        raise DataError(f"{where}: subject '{subject}': expected a plain name")
    if frames and not (frames.isascii() and frames.isdigit() and len(frames) <= 9 and int(frames)):
        raise DataError(f"{where}: frames '{frames[:60]}': expected a whole number above 0")
    return ListedVideo(Path(path), subject or None, int(frames) if frames else None)
