"""One colour a class, the same on every page and in every picture, to be told apart whatever colours one sees.

After Okabe and Ito, with two greys (Neutral, Other) in the place of black, and shades moved until the worst pair stays
apart under simulated protanopia, deuteranopia and tritanopia. Colour is never the only sign: names stand beside it.
"""

from __future__ import annotations

from typing import Final

from abaw.protocol.classes import EXPRESSION_CLASSES

_COLOURS: Final = ("#a9b2bb", "#d55e00", "#009e73", "#b5579a", "#eeb400", "#1470c4", "#4fc3f0", "#75634f")
CLASS_COLOURS: Final = dict(zip(EXPRESSION_CLASSES, _COLOURS, strict=True))
"""Hexadecimal sRGB by class."""


def rgb(colour: str) -> tuple[int, int, int]:
    """`#d55e00` as 0..255 a channel."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return red, green, blue


def ink_on(colour: str) -> str:
    """Black or white, whichever is easier to read on that colour (WCAG's relative luminance)."""
    return "#000000" if _luminance(colour) > 0.179 else "#ffffff"


def _luminance(colour: str) -> float:
    shares = (channel / 255 for channel in rgb(colour))
    red, green, blue = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
