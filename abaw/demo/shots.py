"""The plan of a video (people, expressions, frames that show them), and its rendered frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from abaw.core.seed import numpy_generator
from abaw.demo.cast import Labels
from abaw.demo.head import Head, build_head
from abaw.demo.identity import sample_identity
from abaw.demo.render import Image, Light, Pose
from abaw.demo.scene import Camera, Sensor, draw_person, make_background
from abaw.demo.timeline import Performance, perform_segments, wander
from abaw.protocol.classes import UNLABELLED

_FACE_SHARE = 0.272
"""Head unit as a share of the frame's height; the head then fills two thirds of it."""


@dataclass(frozen=True, slots=True)
class VideoPlan:
    """One video of the demo, small enough to send to a worker.

    name: without suffix. classes: one row of segment classes per person, from left to right in the image. absent:
    frames [start, stop) without a person; unlabelled: frames [start, stop) without a label. label_offset: surplus lines
    of the label file (missing lines when negative).
    """

    name: str
    folder: str
    suffix: str
    classes: tuple[tuple[int, ...], ...]
    num_frames: int
    size_wh: tuple[int, int]
    fps: int
    seed: int
    absent: tuple[int, int]
    unlabelled: tuple[int, int]
    label_offset: int

    @property
    def subjects(self) -> tuple[str, ...]:
        """Names of the annotation files, without suffix."""
        if len(self.classes) == 1:
            return (self.name,)
        return f"{self.name}_left", f"{self.name}_right"

    def has_face(self) -> npt.NDArray[np.bool_]:
        """(T,) True on frames that show the people."""
        present = np.ones(self.num_frames, np.bool_)
        present[slice(*self.absent)] = False
        return present


def performance(plan: VideoPlan, person: int) -> Performance:
    """What one person does in the video."""
    rng = numpy_generator(plan.seed, plan.name, "performance", person)
    classes = np.asarray(plan.classes[person], np.int8)
    return perform_segments(classes, plan.num_frames, plan.fps, rng)


def frame_labels(plan: VideoPlan, person: int) -> Labels:
    """Labels as an annotator would give them, one per decoded frame, (T,); -1 without a label."""
    labels = performance(plan, person).labels.copy()
    labels[slice(*plan.unlabelled)] = UNLABELLED
    return labels


def file_labels(plan: VideoPlan, person: int) -> Labels:
    """The labels in the file: a few more or fewer lines than the video has frames."""
    labels = frame_labels(plan, person)
    if plan.label_offset < 0:
        return labels[: plan.label_offset]
    return np.concatenate([labels, np.repeat(labels[-1:], plan.label_offset)])


@dataclass(frozen=True, slots=True)
class Shot:
    """A filmed frame, RGB uint8 (H, W, 3), and the five landmarks of its N people, (N, 5, 2) pixels."""

    image: Image
    landmarks_xy: npt.NDArray[np.float32]


def film_video(plan: VideoPlan) -> Iterator[Shot]:
    """The frames of the video, in order."""
    rng = numpy_generator(plan.seed, plan.name, "scene")
    heads = [build_head(sample_identity(rng)) for _ in plan.classes]
    acts = [performance(plan, person) for person in range(len(heads))]
    background = make_background(plan.size_wh, rng)
    light = sample_light(rng)
    swing = 14.0 * wander(plan.num_frames, 1.2 * plan.fps, rng)
    exposure = 1.0 + 0.07 * wander(plan.num_frames, 0.8 * plan.fps, rng)
    switch = int(rng.integers(plan.num_frames))
    exposure[switch:] *= rng.uniform(0.78, 1.15)
    noise, focus = rng.uniform(3.0, 8.0), rng.uniform(0.3, 0.8)
    defocus = np.clip(wander(plan.num_frames, 0.2 * plan.fps, rng) - 1.3, 0, 1.2)
    present = plan.has_face()
    sensor = Sensor(plan.size_wh, rng)
    for index in range(plan.num_frames):
        canvas = background.copy()
        marks = []
        if present[index]:
            lamp = Light(light.azimuth + float(swing[index]), light.elevation, light.ambient, light.diffuse, light.tint)
            marks = [_place(canvas, plan, heads[k], acts[k], k, index, lamp) for k in range(len(heads))]
        camera = Camera(float(noise), float(focus + defocus[index]), float(np.clip(exposure[index], 0.6, 1.3)))
        yield Shot(sensor.film(canvas, camera), np.asarray(marks, np.float32).reshape(-1, 5, 2))


def sample_light(rng: np.random.Generator) -> Light:
    """Random light."""
    warmth = rng.normal(0, 0.04)
    return Light(
        azimuth=float(rng.uniform(-40, 40)),
        elevation=float(rng.uniform(20, 50)),
        ambient=float(rng.uniform(0.5, 0.68)),
        diffuse=float(rng.uniform(0.38, 0.55)),
        tint=(float(1 + warmth), 1.0, float(1 - warmth)),
    )


def _place(
    canvas: Image, plan: VideoPlan, head: Head, act: Performance, person: int, index: int, light: Light
) -> npt.NDArray[np.float32]:
    width, height = plan.size_wh
    scale = _FACE_SHARE * height * float(act.zoom[index])
    column = (person + 0.5) / len(plan.classes)
    centre = (
        width * column + scale * float(np.clip(act.shift_xy[index, 0], -0.25, 0.25)),
        0.5 * height + scale * float(np.clip(act.shift_xy[index, 1], -0.15, 0.15)),
    )
    pose = Pose(float(act.yaw[index]), float(act.pitch[index]), float(act.roll[index]), centre, scale)
    gaze = (float(act.gaze_xy[index, 0]), float(act.gaze_xy[index, 1]))
    return draw_person(canvas, head, act.actions[index], pose, light, gaze)
