"""The face of a still: the largest one found by a detector, the one in a given box, or the whole picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from abaw.stores.crop import Crop
from abaw.video.align import cut_crop
from abaw.video.detecting.detections import Detections
from abaw.video.detecting.detector import Detector
from abaw.video.detecting.registry import open_detector

Image = NDArray[np.uint8]
Box = tuple[float, float, float, float]

_SEEN_AT = 288
"""Smaller pictures are enlarged to this longer side for the detector. Measured on FER+ (48×48) with YuNet: a face is
found in 98 % instead of 93 % of the pictures, with landmarks closer to those of another detector. On photos of 160×160
they are closer, too. Borders help less."""
_AROUND_BOX = 0.5
"""Margin on each side of a given box within which the detector searches, as a share of its size."""


@dataclass(frozen=True, slots=True, eq=False)
class FoundFace:
    """The face of one still; what the finder does not know is None. Without a box the whole image is the crop."""

    box_xyxy: NDArray[np.float32] | None = None
    landmarks_xy: NDArray[np.float32] | None = None
    score: float | None = None

    def cut(self, image: Image, crop: Crop) -> Image:
        """The crop (N, N, 3) of this face of an image (H, W, 3); a whole image is resized to it."""
        if self.box_xyxy is not None:
            return cut_crop(image, crop, self.box_xyxy, self.landmarks_xy)
        shrinks = max(image.shape[:2]) > crop.pixels
        size = (crop.pixels, crop.pixels)
        resized = cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        return np.asarray(resized, np.uint8)


class FaceFinder(Protocol):
    """Finds the face of a still. identity: name and weights, for provenance."""

    @property
    def identity(self) -> str: ...

    def __call__(self, image: Image, box_xyxy: Box | None = None) -> FoundFace | None:
        """image: (H, W, 3) RGB; box_xyxy: where the face is, according to the set. None if no face is found."""
        ...


OpenFinder = Callable[[int | None], FaceFinder]
"""Opens a finder that uses so many processor threads, None for the default. Workers get it pickled."""


def open_finder(detector: str, threads: int | None = None) -> FaceFinder:
    """detector: none for images that are crops already, or a name for `open_detector`."""
    return WholeImage() if detector == "none" else LargestFace(open_detector(detector, threads=threads))


class WholeImage:
    """For stills that are crops already: the whole image, or the box given by the set."""

    identity = "none"

    def __call__(self, image: Image, box_xyxy: Box | None = None) -> FoundFace:
        return FoundFace() if box_xyxy is None else FoundFace(np.array(box_xyxy, np.float32))


@dataclass(frozen=True, slots=True)
class LargestFace:
    """The detector's largest face, with its landmarks if the detector returns them.

    If the set gives a box, the largest of the faces whose centre is in it.
    """

    detector: Detector

    @property
    def identity(self) -> str:
        return f"{self.detector.identity}, pictures from {_SEEN_AT} px"

    def __call__(self, image: Image, box_xyxy: Box | None = None) -> FoundFace | None:
        found = self._detect(image) if box_xyxy is None else self._detect_around(image, box_xyxy)
        if not len(found):
            return None
        widths, heights = (found.box_xyxy[:, 2:] - found.box_xyxy[:, :2]).T
        best = int(np.argmax(widths * heights))
        box = found.box_xyxy[best]
        landmarks = None if found.landmarks_xy is None else found.landmarks_xy[best]
        return FoundFace(box, landmarks, float(found.score[best]))

    def _detect(self, image: Image) -> Detections:
        """Faces of a picture, in its pixels."""
        scale = max(1.0, _SEEN_AT / max(image.shape[:2]))
        if scale > 1:
            image = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC), np.uint8)
        return self.detector.detect(image).mapped(lambda points: _shrunk(points, scale))

    def _detect_around(self, image: Image, box_xyxy: Box) -> Detections:
        """Faces whose centre is in the box, in the picture's pixels."""
        corners = np.array(box_xyxy, np.float32).reshape(2, 2)
        reach = _AROUND_BOX * (corners[1] - corners[0])
        height, width = image.shape[:2]
        low = np.clip(np.floor(corners[0] - reach), 0, (width, height)).astype(int)
        high = np.clip(np.ceil(corners[1] + reach), 0, (width, height)).astype(int)
        if (high <= low).any():
            return Detections.none()
        part = np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]])
        found = self._detect(part).shifted((int(low[0]), int(low[1])))
        middles = found.box_xyxy.reshape(-1, 2, 2).mean(axis=1)
        return found.pick(np.flatnonzero(((middles >= corners[0]) & (middles <= corners[1])).all(axis=1)))


def _shrunk(points: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """From coordinates of the enlarged picture to the original: `resize` aligns edges, not the centres of pixels."""
    shrunk: NDArray[np.float32] = (points + np.float32(0.5)) / np.float32(scale) - np.float32(0.5)
    return shrunk
