"""One image of a set of stills, and the images of a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from abaw.protocol.layout import IMAGE_SUFFIXES


@dataclass(frozen=True, slots=True)
class Still:
    """One image file, or one face of it.

    key: path below the root, with `/`, and `#` with a number where the set tells of several faces of an image;
    label: class index, -1 where there is none; votes: share of the votes a class, summing to 1, None where there are
    none; box_xyxy: the face, in pixels, where the set tells.
    """

    key: str
    path: Path
    label: int
    votes: tuple[float, ...] | None = None
    box_xyxy: tuple[float, float, float, float] | None = None


def images_below(folder: Path) -> list[Path]:
    """The image files in a folder and its folders, in no order."""
    return [path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
