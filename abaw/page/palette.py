"""One colour per class, the same on every page and in every picture, distinguishable for colour-blind people too.

Based on the palette of Okabe and Ito, with two muted colours (Neutral, Other) instead of black, and shades adjusted
until even the closest pair can be distinguished under simulated protanopia, deuteranopia and tritanopia. Colour is
never the only sign: the name is always next to it.
"""

from __future__ import annotations

from typing import Final

from abaw.protocol.classes import EXPRESSION_CLASSES

_COLOURS: Final = ("#a9b2bb", "#d55e00", "#009e73", "#b5579a", "#eeb400", "#1470c4", "#4fc3f0", "#75634f")
CLASS_COLOURS: Final = dict(zip(EXPRESSION_CLASSES, _COLOURS, strict=True))
"""Class name -> hexadecimal sRGB."""


def rgb(colour: str) -> tuple[int, int, int]:
    """`#d55e00` as three channels in 0..255."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return red, green, blue


def ink_on(colour: str) -> str:
    """Black or white, whichever is easier to read on `colour` (by WCAG's relative luminance)."""
    return "#000000" if _luminance(colour) > 0.179 else "#ffffff"


def _luminance(colour: str) -> float:
    shares = (channel / 255 for channel in rgb(colour))
    red, green, blue = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
