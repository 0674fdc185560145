"""A detector for tests: bright rectangles are faces."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from abaw.video.detecting.detections import Detections

_POINTS = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])


class Blobs:
    """Takes bright areas for faces, with landmarks in the template's shape. at_once: number of regions in one pass.

    Counts the passes over whole pictures, and lists the number of regions of each other pass.
    """

    identity = "blobs"

    def __init__(self, at_once: int = 1) -> None:
        self.at_once = at_once
        self.whole = 0
        self.region_passes: list[int] = []

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        self.whole += 1
        return self._find(image)

    def detect_regions(
        self, images: Sequence[NDArray[np.uint8]], regions_xyxy: NDArray[np.int32], side: int
    ) -> list[Detections]:
        self.region_passes.append(len(images))
        return [self._inside(image, region) for image, region in zip(images, regions_xyxy, strict=True)]

    def regions_at_once(self, side: int) -> int:
        return self.at_once

    def _inside(self, image: NDArray[np.uint8], region_xyxy: NDArray[np.int32]) -> Detections:
        left, top, right, bottom = np.clip(region_xyxy, 0, np.tile(image.shape[1::-1], 2))
        seen = np.zeros_like(image)
        seen[top:bottom, left:right] = image[top:bottom, left:right]
        return self._find(seen)

    def _find(self, image: NDArray[np.uint8]) -> Detections:
        grey = (image.max(axis=2) > 100).astype(np.uint8)
        num, _, stats, _ = cv2.connectedComponentsWithStats(grey)
        rows = sorted(stats[index, :4].tolist() for index in range(1, num) if stats[index, 4] > 40)
        return _as_faces(np.array([[x, y, x + w, y + h] for x, y, w, h in rows], np.float32).reshape(-1, 4))


def faces_on(*squares: tuple[int, int, int]) -> Detections:
    """Faces where the squares (left, top, side) are."""
    return _as_faces(np.array([[x, y, x + side, y + side] for x, y, side in squares], np.float32).reshape(-1, 4))


def _as_faces(box: NDArray[np.float32]) -> Detections:
    landmarks = box[:, None, :2] + _POINTS * (box[:, None, 2:] - box[:, None, :2])
    return Detections(box, np.full(len(box), 0.9, np.float32), landmarks.astype(np.float32))
