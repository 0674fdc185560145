"""An overview picture of the demo: every class on several people."""

from __future__ import annotations

import cv2
import numpy as np

from abaw.core.seed import numpy_generator
from abaw.demo.expression import num_variants, prototype
from abaw.demo.head import build_head
from abaw.demo.identity import sample_identity
from abaw.demo.render import Image, Light, Pose
from abaw.demo.scene import Camera, Sensor, draw_person, make_background
from abaw.protocol.classes import EXPRESSION_CLASSES, NUM_EXPRESSIONS

_BAND = 22


def expression_sheet(seed: int, num_people: int = 4, tile: int = 160) -> Image:
    """Each class at full strength (columns) on `num_people` people (rows), RGB uint8 (H, W, 3).

    Every second person is turned by about 25 degrees. The class names are above the columns. tile: pixels.
    """
    rows = [_captions(tile)]
    for person in range(num_people):
        rng = numpy_generator(seed, "sheet", person)
        head = build_head(sample_identity(rng))
        yaw = (0.0, 25.0, 0.0, -25.0)[person % 4] + float(rng.normal(0, 3))
        light = Light(float(rng.uniform(-30, 30)), 35.0, 0.62, 0.45, (1.0, 1.0, 1.0))
        room, sensor = make_background((tile, tile), rng), Sensor((tile, tile), rng)
        tiles = []
        for label in range(NUM_EXPRESSIONS):
            canvas = room.copy()
            pose = Pose(yaw, 0.0, 0.0, (tile / 2, tile / 2), 0.28 * tile)
            draw_person(canvas, head, prototype(label, person % num_variants(label)), pose, light)
            tiles.append(sensor.film(canvas, Camera(1.5, 0.0, 1.0)))
        rows.append(np.hstack(tiles))
    return np.vstack(rows)


def _captions(tile: int) -> Image:
    band = np.full((_BAND, tile * NUM_EXPRESSIONS, 3), 255, np.uint8)
    for label, name in enumerate(EXPRESSION_CLASSES):
        (width, _), _ = cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)
        at = (label * tile + (tile - width) // 2, _BAND - 7)
        cv2.putText(band, name, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (40, 40, 40), 1, cv2.LINE_AA)
    return band
