"""Photographs of people: one face each, with some space around it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from abaw.core.artifacts import write_bytes
from abaw.core.seed import numpy_generator
from abaw.demo.expression import actions, perform
from abaw.demo.head import Head, build_head
from abaw.demo.identity import sample_identity
from abaw.demo.render import Image, Pose
from abaw.demo.scene import Camera, Sensor, draw_person, make_background
from abaw.demo.shots import sample_light

SIZE = 160


@dataclass(frozen=True, slots=True)
class Sitting:
    """The photographs of one person, who shows classes[k] in paths[k]."""

    number: int
    classes: tuple[int, ...]
    paths: tuple[Path, ...]
    seed: int


def photograph(sitting: Sitting) -> None:
    """Write the photographs of the sitting that do not exist yet, as JPEG."""
    if all(path.exists() for path in sitting.paths):
        return
    rng = numpy_generator(sitting.seed, "sitting", sitting.number)
    head = build_head(sample_identity(rng))
    sensor = Sensor((SIZE, SIZE), rng)
    for label, path in zip(sitting.classes, sitting.paths, strict=True):
        image = _take(label, head, sensor, rng)
        if not path.exists():
            _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
            write_bytes(path, data.tobytes())


def _take(label: int, head: Head, sensor: Sensor, rng: np.random.Generator) -> Image:
    image = make_background((SIZE, SIZE), rng)
    centre = (float(SIZE / 2 + rng.normal(0, 4)), float(SIZE / 2 + rng.normal(0, 3)))
    pose = Pose(
        yaw=float(np.clip(rng.normal(0, 15), -34, 34)),
        pitch=float(np.clip(rng.normal(0, 5), -10, 10)),
        roll=float(np.clip(rng.normal(0, 5), -12, 12)),
        centre_xy=centre,
        scale=float(SIZE * rng.uniform(0.25, 0.285)),
    )
    acts = perform(label, float(rng.uniform(0.45, 1.0)), rng)
    if rng.random() < 0.2:
        acts = np.maximum(acts, actions(part=float(rng.uniform(0.2, 0.6)), jaw_drop=float(rng.uniform(0.1, 0.3))))
    gaze = (float(rng.normal(0, 0.018)), float(rng.normal(0, 0.006)))
    draw_person(image, head, acts, pose, sample_light(rng), gaze)
    camera = Camera(float(rng.uniform(2, 7)), float(rng.uniform(0.3, 1.0)), float(rng.uniform(0.8, 1.15)))
    return sensor.film(image, camera)
