"""What the crops of a faces store show: how they are framed, and their size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from abaw.core.config import to_plain
from abaw.core.errors import ConfigError

CropKind = Literal["aligned", "box", "official", "other"]

_PIXELS = (16, 1024)
_MAX_IMPORTED = 65535
"""What a JPEG can have."""
_MAX_MARGIN = 2.0
_FORMS = "aligned:PIXELS or box:PIXELS:MARGIN, such as aligned:112 or box:224:0.3"


@dataclass(frozen=True, slots=True)
class Crop:
    """One kind of crop: square, `pixels` × `pixels`. Raises ConfigError for values out of range.

    kind: `aligned` (eyes and mouth always at the same places), `box` (the upright square around the face's box, with
    `margin` × its longer side added on each side), `official` (the organisers' aligned crops, 112 pixels) or `other`
    (crops from elsewhere, of which only the size is known). margin: None except for `box`.
    """

    kind: CropKind
    pixels: int
    margin: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(CropKind):
            raise ConfigError(f"crop kind '{self.kind}': expected one of {', '.join(get_args(CropKind))}")
        if (self.margin is None) == (self.kind == "box"):
            raise ConfigError(f"crop {self.kind}:{self.pixels}: a margin belongs to box crops alone; expected {_FORMS}")
        low, high = _PIXELS if self.kind != "other" else (1, _MAX_IMPORTED)
        if not low <= self.pixels <= high:
            raise ConfigError(f"crop {self}: expected {low} to {high} pixels, found {self.pixels}")
        if self.kind == "official" and self.pixels != ALIGNED_PIXELS:
            raise ConfigError(f"crop {self}: the official crops have {ALIGNED_PIXELS} pixels")
        if self.margin is not None and not (0 <= self.margin <= _MAX_MARGIN and round(self.margin, 2) == self.margin):
            raise ConfigError(
                f"crop box:{self.pixels}:{self.margin}: expected a margin from 0 to {_MAX_MARGIN:g} with at most two "
                "decimals"
            )

    def __str__(self) -> str:
        """`aligned:112`, `box:224:0.30`: what `parse_crop` reads."""
        return f"{self.kind}:{self.pixels}" + ("" if self.margin is None else f":{self.margin:.2f}")

    @property
    def folder(self) -> str:
        """`aligned-112`, `box-224-0.30`: the name of a folder for stores of this kind."""
        return str(self).replace(":", "-")

    @property
    def to_extract(self) -> Crop | None:
        """The kind to extract from videos to get such crops: official ones are aligned. None for `other`."""
        if self.kind == "official":
            return ALIGNED_112
        return None if self.kind == "other" else self

    def fits(self, other: Crop) -> bool:
        """True if a model that expects one can use the other."""
        return (self.to_extract or self) == (other.to_extract or other)


ALIGNED_PIXELS: Final = 112
ALIGNED_112: Final = Crop("aligned", ALIGNED_PIXELS)
"""The default, and the kind of all stores of earlier versions."""
DEFAULT_CROPS: Final = (str(ALIGNED_112),)
"""What `--crop` is by default."""


def parse_crop(text: str) -> Crop:
    """The inverse of `str`. Raises ConfigError for a text of another form."""
    kind, *numbers = text.split(":")
    try:
        pixels, margin = int(numbers[0]), float(numbers[1]) if len(numbers) == 2 else None
    except (ValueError, IndexError):
        raise ConfigError(f"crop '{text}': expected {_FORMS}") from None
    if len(numbers) > 2 or kind not in get_args(CropKind):
        raise ConfigError(f"crop '{text}': expected {_FORMS}")
    if kind == "box" and margin is None:
        raise ConfigError(f"crop '{text}': has no margin; expected {_FORMS}")
    return Crop(kind, pixels, margin)  # type: ignore[arg-type]


def parse_crops(texts: Sequence[str]) -> tuple[Crop, ...]:
    """The kinds of crop to cut out of pictures. Raises ConfigError for none, one given twice, or an imported kind."""
    crops = tuple(parse_crop(text) for text in texts)
    if not crops:
        raise ConfigError(f"no crop: expected {_FORMS}")
    for place, crop in enumerate(crops):
        if crop.to_extract != crop:
            raise ConfigError(f"crop {crop}: only import-crops makes such a store; expected {_FORMS}")
        if crop in crops[:place]:
            raise ConfigError(f"crop {crop} is given twice; remove one of them")
    return crops


def crop_folders(out: Path, crops: Sequence[Crop]) -> dict[Crop, Path]:
    """The folder for the stores of each kind: `out` itself for a single one, otherwise one sub-folder per kind."""
    return {crop: out if len(crops) == 1 else out / crop.folder for crop in crops}


def crop_identity(crop: Crop) -> dict[str, Any]:
    """What a fingerprint includes of the crop: nothing for aligned:112, so that stores of earlier versions stay."""
    return {} if crop == ALIGNED_112 else {"crop": to_plain(crop)}
