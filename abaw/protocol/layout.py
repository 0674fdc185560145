"""Names of videos on disk, of subjects in two-person videos, and of frames."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from abaw.core.errors import DataError

VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv"})
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})

Side = Literal["left", "right"]
_SUBJECT = re.compile(r"^(?P<video>.+?)_(?P<side>left|right)(?P<number>_\d+)?$")


@dataclass(frozen=True, slots=True)
class Subject:
    """One person in one video, as named in the annotation files: `<video>`, `<video>_left`, `<video>_right_1`.

    side: the person's side of the picture, as the viewer sees it; None for the main person.
    """

    name: str
    video: str
    side: Side | None


def parse_subject(name: str) -> Subject:
    """Parse an annotation or template name; a suffix such as `_left` or `_right_1` marks one of two people."""
    match = _SUBJECT.match(name)
    if match is None:
        return Subject(name, name, None)
    return Subject(name, match["video"], "left" if match["side"] == "left" else "right")


def frame_name(video: str, frame: int) -> str:
    """`<video>/00001.jpg`: frames count from 1, five digits (more when needed)."""
    return f"{video}/{frame:05d}.jpg"


def find_videos(paths: Iterable[Path]) -> list[Path]:
    """Video files among the paths and anywhere below the folders, sorted by name.

    A path to a file is accepted with any suffix. Raises DataError for a missing path, a folder without a video, or two
    videos with the same name, because their stores would overwrite each other.
    """
    return _find(paths, VIDEO_SUFFIXES, "video")


def find_media(paths: Iterable[Path]) -> list[Path]:
    """Same as `find_videos`, for videos and still images."""
    return _find(paths, VIDEO_SUFFIXES | IMAGE_SUFFIXES, "video or image")


def is_image(path: Path) -> bool:
    """Whether a file is a still image, by its suffix."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def _find(paths: Iterable[Path], suffixes: frozenset[str], what: str) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = [file for file in path.rglob("*") if file.suffix.lower() in suffixes and file.is_file()]
            if not below:
                raise DataError(f"{path}: no {what} found; searched for {' '.join(sorted(suffixes))}")
            found += below
        elif path.exists():
            found.append(path)
        else:
            raise DataError(f"{path}: no such file or folder")
    by_name: dict[str, Path] = {}
    for file in found:
        other = by_name.setdefault(file.stem, file)
        if other.resolve() != file.resolve():
            raise DataError(
                f"two {what.replace(' or ', 's or ')}s are named '{file.stem}': {other} and {file}; "
                "rename one or process them separately"
            )
    return [by_name[name] for name in sorted(by_name)]
