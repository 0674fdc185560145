"""A closer look at a large picture in which nothing was found: four windows of it, each as large as the picture was."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from abaw.video.detecting.detector import Detections, Detector
from abaw.video.detecting.regions import join, no_faces, pick, taken

_LARGE = 640
"""Longer side from which on the networks see a picture smaller than it is."""
_PART = 0.6
"""Of width and height that a window takes: what is at most a fifth of the picture wide lies whole in one of them."""


def look_closer(detector: Detector, image: NDArray[np.uint8]) -> Detections:
    """Small faces of an RGB picture (H, W, 3), none in a picture that is not large."""
    faces = no_faces()
    height, width = image.shape[:2]
    if max(height, width) <= _LARGE:
        return faces
    window_h, window_w = round(_PART * height), round(_PART * width)
    for top in (0, height - window_h):
        for left in (0, width - window_w):
            found = detector.detect(np.ascontiguousarray(image[top : top + window_h, left : left + window_w]))
            found = _moved(found, (left, top))
            faces = join([faces, pick(found, np.flatnonzero(~taken(found.box_xyxy, faces.box_xyxy)))])
    return faces


def _moved(found: Detections, offset_xy: tuple[int, int]) -> Detections:
    offset = np.array(offset_xy, np.float32)
    landmarks = None if found.landmarks_xy is None else found.landmarks_xy + offset
    return Detections(found.box_xyxy + np.tile(offset, 2), found.score, landmarks)
