"""Many regions of many pictures on one canvas: a network of fixed input size searches them all in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from abaw.video.detecting.detections import Detections

GUTTER = 8
"""Black pixels between two tiles, to keep their faces apart."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Square tiles of `side` pixels, GUTTER apart; as many as fit on a canvas."""

    canvas_wh: tuple[int, int]
    side: int

    @property
    def columns(self) -> int:
        return max(1, (self.canvas_wh[0] + GUTTER) // (self.side + GUTTER))

    @property
    def num_tiles(self) -> int:
        return self.columns * max(1, (self.canvas_wh[1] + GUTTER) // (self.side + GUTTER))

    def corner_xy(self, index: int) -> tuple[int, int]:
        """Upper left corner of a tile."""
        row, column = divmod(index, self.columns)
        return column * (self.side + GUTTER), row * (self.side + GUTTER)

    def tiles_of(self, points_xy: NDArray[Any]) -> NDArray[np.int64]:
        """(N,) index of the tile that contains each point (N, 2), a tile's gutter included."""
        place = np.floor(points_xy / (self.side + GUTTER)).astype(np.int64)
        place = np.clip(place, 0, [self.columns - 1, self.num_tiles // self.columns - 1])
        return np.asarray(place[:, 1] * self.columns + place[:, 0], np.int64)


@dataclass(frozen=True, slots=True)
class Patch:
    """Where a part of a picture is on a canvas: canvas = (picture - origin) × scale + corner, in x and in y."""

    origin_xy: tuple[int, int]
    corner_xy: tuple[int, int]
    scale_xy: tuple[float, float]

    def back(self, points_xy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points (..., 2) of the canvas in the picture's pixels."""
        corner, scale, origin = (np.array(pair, np.float32) for pair in (self.corner_xy, self.scale_xy, self.origin_xy))
        moved: NDArray[np.float32] = (points_xy - corner) / scale + origin
        return moved


def paint(
    canvas_bgr: NDArray[np.uint8],
    corner_xy: tuple[int, int],
    side: int,
    image: NDArray[np.uint8],
    region_xyxy: NDArray[np.int32],
) -> Patch:
    """Paint a square region (4,) of an RGB picture onto a tile of `side` pixels; outside the picture it stays black."""
    scale = side / int(region_xyxy[2] - region_xyxy[0])
    limits = np.array(image.shape[1::-1])
    low = np.clip(region_xyxy[:2], 0, limits - 1)
    high = np.clip(region_xyxy[2:], low + 1, limits)
    offset = np.clip(np.rint((low - region_xyxy[:2]) * scale), 0, side - 1).astype(int)
    size = np.clip(np.rint((high - low) * scale), 1, side - offset).astype(int)
    part = image[low[1] : high[1], low[0] : high[0]]
    small = cv2.resize(part, size.tolist(), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    left, top = corner_xy[0] + int(offset[0]), corner_xy[1] + int(offset[1])
    cv2.cvtColor(small, cv2.COLOR_RGB2BGR, dst=canvas_bgr[top : top + size[1], left : left + size[0]])
    width, height = (size / (high - low)).tolist()
    return Patch((int(low[0]), int(low[1])), (left, top), (width, height))


def compose(
    grid: Grid, images: Sequence[NDArray[np.uint8]], regions_xyxy: NDArray[np.int32]
) -> tuple[NDArray[np.uint8], list[Patch]]:
    """A black BGR canvas with region i (4,) of picture i on tile i, for at most `num_tiles` of them."""
    canvas = np.zeros((grid.canvas_wh[1], grid.canvas_wh[0], 3), np.uint8)
    return canvas, [
        paint(canvas, grid.corner_xy(index), grid.side, image, region)
        for index, (image, region) in enumerate(zip(images, regions_xyxy, strict=True))
    ]


def take_apart(grid: Grid, patches: Sequence[Patch], found: Detections) -> list[Detections]:
    """The faces of each tile in the pixels of its picture. A face belongs to the tile with the centre of its box."""
    tiles = grid.tiles_of((found.box_xyxy[:, :2] + found.box_xyxy[:, 2:]) / 2)
    return [found.pick(np.flatnonzero(tiles == index)).mapped(patch.back) for index, patch in enumerate(patches)]
