"""One image of a set of stills, and the images of a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from abaw.protocol.layout import IMAGE_SUFFIXES


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


def images_below(folder: Path) -> list[Path]:
    """The image files in and below a folder, in no order."""
    return [path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
