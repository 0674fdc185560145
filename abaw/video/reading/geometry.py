"""How a player shows a decoded picture: its pixels made square, then turned and mirrored by the display matrix."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import cv2
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame as AVFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

_PLAUSIBLE = Fraction(5)
"""No camera has pixels more than five times as wide as high, or the reverse: such a header is damaged."""
ROUNDED_TURN: Final = "its display matrix turns by no quarter turn; it is rounded to the nearest one"


@dataclass(frozen=True, slots=True)
class Orientation:
    """A turn by quarters, or a mirror image: first rows and columns are exchanged, then left and right, then top and
    bottom. exact: False for a display matrix that turns by another angle, which is rounded to the next quarter."""

    transpose: bool = False
    mirror_x: bool = False
    mirror_y: bool = False
    exact: bool = True

    @property
    def is_mirror_image(self) -> bool:
        """True if text in the picture is reversed: no turn alone does that."""
        return self.transpose ^ self.mirror_x ^ self.mirror_y

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) -> the picture as it is shown, (H, W, 3) or (W, H, 3)."""
        if self.transpose:
            image = image.transpose(1, 0, 2)
        image = image[:: -1 if self.mirror_y else 1, :: -1 if self.mirror_x else 1]
        return np.ascontiguousarray(image)


def orientation_of(frame: AVFrame) -> Orientation:
    """What the display matrix of a frame asks for; the picture unchanged where it has none.

    The matrix [[a, b], [c, d]] takes a place (x, y) of the picture to (ax + cy, bx + dy) on the screen.
    """
    data = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(data, SideData):
        return Orientation()
    a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(data), np.int32)[:5])
    if not (a or b or c or d):
        return Orientation()
    straight, crossed = abs(a) + abs(d), abs(b) + abs(c)
    exact = min(straight, crossed) < max(straight, crossed) / 100
    if crossed > straight:
        return Orientation(True, c < 0, b < 0, exact)
    return Orientation(False, a < 0, d < 0, exact)


def plausible_aspect(stream: VideoStream) -> tuple[Fraction, str]:
    """Width over height of one pixel of a stream, and a note about it: "" for square pixels."""
    stated = stream.sample_aspect_ratio
    if not stated or stated == 1:
        return Fraction(1), ""
    aspect = Fraction(stated)
    text = f"{aspect.numerator}:{aspect.denominator}"
    if not 1 / _PLAUSIBLE <= aspect <= _PLAUSIBLE:
        return Fraction(1), f"its header states pixels of {text}, which cannot be; they are taken as square"
    return aspect, f"pixels of {text} made square"


def squared(image: NDArray[np.uint8], aspect: Fraction) -> NDArray[np.uint8]:
    """The picture (H, W, 3) with square pixels: the side that is too short becomes longer, so no detail is lost."""
    if aspect == 1:
        return image
    height, width = image.shape[:2]
    size = (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def geometry_of(container: InputContainer, stream: VideoStream) -> tuple[Orientation, Fraction, list[str]]:
    """Orientation and pixel aspect of a stream by its first decoded frame, and notes about them. Uses up the container.

    For readers that do not report them themselves.
    """
    orientation = Orientation()
    with suppress(StopIteration, FFmpegError, IndexError):
        orientation = orientation_of(next(container.decode(stream)))
    aspect, about_pixels = plausible_aspect(stream)
    return orientation, aspect, [*filter(None, (about_pixels, "" if orientation.exact else ROUNDED_TURN))]
