"""One pass of a detector over a picture at a given size, as teachers and the mining of negatives need it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from abaw.video.detecting.detections import Detections
from abaw.video.detecting.detector import Detector


def detect_at(
    picture: NDArray[np.uint8], detector: Detector, side: int, mirrored: bool, border: float = 0.0
) -> Detections:
    """The faces of an RGB picture scaled to a long side of `side` pixels, in the pixels of the picture itself.

    mirrored: detect in the mirror image; border: black border around the picture, as a share of the long side.
    """
    scale = side / max(picture.shape[:2])
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    seen = cv2.resize(picture, size, interpolation=interpolation)
    if mirrored:
        seen = np.ascontiguousarray(seen[:, ::-1])
    edge = round(border * side)
    padded = cv2.copyMakeBorder(seen, edge, edge, edge, edge, cv2.BORDER_CONSTANT)
    found = detector.detect(np.asarray(padded, np.uint8)).shifted((-edge, -edge))
    if mirrored:
        found = found.mirrored(size[0])
    ratio = np.array([picture.shape[1] / size[0], picture.shape[0] / size[1]], np.float32)
    return found.mapped(lambda points: points * ratio)


def face_row(found: Detections, index: int) -> NDArray[np.float32]:
    """(14,) box and landmarks of one face."""
    assert found.landmarks_xy is not None
    return np.concatenate([found.box_xyxy[index], found.landmarks_xy[index].ravel()])
