"""What a face detector is: to the rest of the library, and inside this package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from abaw.video.detecting.detections import Detections

LONG_SIDE = 640
_STRIDE = 32
"""A network that takes canvases of any size needs sides that are multiples of this."""


class Detector(Protocol):
    """Finds the faces of pictures of any size. identity: name and hash of the weights, for provenance."""

    @property
    def identity(self) -> str: ...

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Faces of one RGB picture, (H, W, 3) uint8."""
        ...

    def detect_regions(
        self, images: Sequence[NDArray[np.uint8]], regions_xyxy: NDArray[np.int32], side: int
    ) -> list[Detections]:
        """Faces of region i (4,), a square that may extend beyond the picture, of RGB picture i, in its pixels.

        side: size in pixels to which a region is scaled.
        """
        ...

    def regions_at_once(self, side: int) -> int:
        """How many regions of `side` pixels cost as much as one."""
        ...


class Network(Protocol):
    """A neural detector that works on canvases of certain sizes; ScaledDetector makes a Detector of it.

    canvas_wh: size of the canvas for a picture of `image_wh`; mosaic_wh: size of the canvas for a pass over many
    regions of `side` pixels, one that holds a single region if small canvases cost little; find: faces of a BGR canvas
    (H, W, 3).
    """

    @property
    def identity(self) -> str: ...

    def canvas_wh(self, image_wh: tuple[int, int]) -> tuple[int, int]: ...

    def mosaic_wh(self, side: int) -> tuple[int, int]: ...

    def find(self, canvas_bgr: NDArray[np.uint8]) -> Detections: ...


def shape_of_picture(image_wh: tuple[int, int]) -> tuple[int, int]:
    """A canvas of about the picture's own shape, long side at most LONG_SIDE."""
    scale = min(1.0, LONG_SIDE / max(image_wh))
    width, height = (max(1, round(side * scale / _STRIDE)) * _STRIDE for side in image_wh)
    return width, height


def whole_strides(side: int) -> int:
    """The smallest side of a canvas that holds `side` pixels."""
    return -(-side // _STRIDE) * _STRIDE
