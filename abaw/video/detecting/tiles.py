"""A second search of a large picture in which no face was found: in four overlapping tiles, at higher resolution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from abaw.video.detecting.detections import Detections
from abaw.video.detecting.detector import LONG_SIDE, Detector

_TILE = 0.6
"""Size of a tile as a share of width and height: a face of at most a fifth of the width is whole in one of them."""


def detect_in_tiles(detector: Detector, image: NDArray[np.uint8]) -> Detections:
    """Small faces of an RGB picture (H, W, 3); none if networks see the picture at full resolution anyway."""
    faces = Detections.none()
    height, width = image.shape[:2]
    if max(height, width) <= LONG_SIDE:
        return faces
    tile_h, tile_w = round(_TILE * height), round(_TILE * width)
    for top in (0, height - tile_h):
        for left in (0, width - tile_w):
            found = detector.detect(np.ascontiguousarray(image[top : top + tile_h, left : left + tile_w]))
            faces = faces.with_new(found.shifted((left, top)))
    return faces
