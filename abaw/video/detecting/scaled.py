"""A network applied to pictures of any size: scaled to its canvas, and the faces scaled back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.video.detecting.detections import Detections
from abaw.video.detecting.detector import Network
from abaw.video.detecting.mosaic import Grid, compose, take_apart

ZOOMS = (1.0, 0.5)
"""Tried in turn until a face is found: the picture fills the canvas, then half of it. The black border of the second
pass helps to find a face that fills the picture."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture is on a canvas: canvas = picture × scale + offset."""

    scale: float
    offset_xy: tuple[int, int]

    def back(self, points_xy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points (..., 2) of the canvas in the picture's pixels."""
        moved: NDArray[np.float32] = (points_xy - np.array(self.offset_xy, np.float32)) / np.float32(self.scale)
        return moved


def place(image: NDArray[np.uint8], canvas_wh: tuple[int, int], zoom: float) -> tuple[NDArray[np.uint8], Placement]:
    """An RGB picture centred on a black BGR canvas, scaled to fit it and then by `zoom`."""
    height, width = image.shape[:2]
    scale = zoom * min(canvas_wh[0] / width, canvas_wh[1] / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(image, size, interpolation=interpolation)
    canvas = np.zeros((canvas_wh[1], canvas_wh[0], 3), np.uint8)
    left, top = (canvas_wh[0] - size[0]) // 2, (canvas_wh[1] - size[1]) // 2
    cv2.cvtColor(small, cv2.COLOR_RGB2BGR, dst=canvas[top : top + size[1], left : left + size[0]])
    return canvas, Placement(scale, (left, top))


class ScaledDetector:
    """Runs a network on each picture scaled to its canvas, and again at half that size if nothing was found."""

    def __init__(self, network: Network) -> None:
        self._network = network

    @property
    def identity(self) -> str:
        return self._network.identity

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Faces of one RGB picture, (H, W, 3) uint8."""
        canvas_wh = self._network.canvas_wh((image.shape[1], image.shape[0]))
        for zoom in ZOOMS:
            canvas, placement = place(image, canvas_wh, zoom)
            found = self._find(canvas)
            if len(found):
                break
        return found.mapped(placement.back)

    def detect_regions(
        self, images: Sequence[NDArray[np.uint8]], regions_xyxy: NDArray[np.int32], side: int
    ) -> list[Detections]:
        """Faces of region i (4,) of RGB picture i, scaled to `side` pixels, in the picture's pixels."""
        grid = self._grid(side)
        found = []
        for start in range(0, len(images), grid.num_tiles):
            part = slice(start, start + grid.num_tiles)
            canvas, patches = compose(grid, images[part], regions_xyxy[part])
            found += take_apart(grid, patches, self._find(canvas))
        return found

    def _find(self, canvas_bgr: NDArray[np.uint8]) -> Detections:
        """Faces of a canvas. Raises DataError for faces at places that are not finite: the weights are damaged."""
        found = self._network.find(canvas_bgr)
        landmarks = () if found.landmarks_xy is None else (found.landmarks_xy,)
        if not all(np.isfinite(values).all() for values in (found.box_xyxy, found.score, *landmarks)):
            raise DataError(f"{self.identity}: the outputs of this detector are not finite; give other weights")
        return found

    def regions_at_once(self, side: int) -> int:
        """How many regions of `side` pixels cost as much as one."""
        return self._grid(side).num_tiles

    def _grid(self, side: int) -> Grid:
        canvas_wh = self._network.mosaic_wh(side)
        return Grid(canvas_wh, min(side, *canvas_wh))
