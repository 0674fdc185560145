"""One image of a set of stills, and the images of a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from abaw.core.folders import user_files
from abaw.protocol.layout import is_animation, is_image

_OTHER_PICTURES = frozenset({".avif", ".heic", ".heif", ".jp2", ".jxl", ".psd", ".svg"})


@dataclass(frozen=True, slots=True)
class Still:
    """One image file, or one face in it.

    key: path below the root, with `/`, plus `#` and a number if the set lists several faces per image;
    label: class index, -1 if there is none; votes: share of the votes per class, summing to 1, None if there are none;
    box_xyxy: the face, in pixels, if the set gives it.
    """

    key: str
    path: Path
    label: int
    votes: tuple[float, ...] | None = None
    box_xyxy: tuple[float, float, float, float] | None = None


def key_of(path: Path, root: Path) -> str:
    """The path below the root, with `/`; bytes that are not UTF-8 are written as escapes."""
    return os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", "backslashreplace")


def images_below(folder: Path) -> list[Path]:
    """The image files in and below a folder. Animations are videos; what operating systems leave is ignored."""
    return [path for path in user_files(folder) if is_image(path) and path.is_file()]


def left_out(folder: Path) -> list[Path]:
    """Pictures in and below a folder that are no still images which can be read: animations and other formats."""
    return [path for path in user_files(folder) if path.suffix.lower() in _OTHER_PICTURES or is_animation(path)]
