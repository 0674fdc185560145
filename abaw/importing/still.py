"""One image of a set of stills, and the images of a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from abaw.core.folders import user_files
from abaw.core.reading import read_errors
from abaw.protocol.layout import is_image


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


def read_picture(path: Path, flags: int) -> NDArray[np.uint8] | None:
    """A picture as `cv2.imread` returns it with these flags, turned upright by its EXIF data.

    None if the file is not a complete image. Raises DataError for a file that the system does not give.
    """
    with read_errors(path, "cannot be read"):
        data = np.frombuffer(path.read_bytes(), np.uint8)
    try:
        picture = cv2.imdecode(data, flags)
    except cv2.error:
        return None
    return None if picture is None else np.asarray(picture, np.uint8)
