"""A person in front of a background, and the camera that films them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from abaw.demo.expression import Actions
from abaw.demo.head import Head
from abaw.demo.render import Image, Light, Pose, render_head

_SHIFT = 4


@dataclass(frozen=True, slots=True)
class Camera:
    """How the camera changes a frame.

    noise: standard deviation in grey levels. blur: sigma of the lens in pixels. gain: exposure factor.
    """

    noise: float
    blur: float
    gain: float


def draw_person(
    canvas: Image, head: Head, acts: Actions, pose: Pose, light: Light, gaze: tuple[float, float] = (0.0, 0.0)
) -> npt.NDArray[np.float32]:
    """Draw hair, body, ears and head over `canvas` (RGB uint8, in place). Returns five landmarks, (5, 2) pixels."""
    _draw_hair_behind(canvas, head, pose, light)
    _draw_body(canvas, head, pose, light)
    if head.identity.hair_style not in ("bob", "long"):
        for side in (-1, 1):
            _draw_ear(canvas, head, pose, light, side)
    landmarks = render_head(canvas, head, acts, pose, light, gaze)
    return landmarks


def make_background(size_wh: tuple[int, int], rng: np.random.Generator) -> Image:
    """A blurred room: a gradient with patches that resemble furniture and lamps, RGB uint8 (H, W, 3)."""
    width, height = size_wh
    colours = rng.uniform(70, 190, (2, 3)) * 0.3 + rng.uniform(70, 190, (2, 1)) * 0.7
    down = np.linspace(0, 1, height)[:, None, None]
    across = np.linspace(-0.5, 0.5, width)[None, :, None]
    mix = np.clip(down + rng.uniform(-0.5, 0.5) * across, 0, 1)
    room: npt.NDArray[Any] = np.asarray(colours[0] + mix * (colours[1] - colours[0]), np.float32)
    for _ in range(int(rng.integers(3, 7))):
        corner = rng.uniform(-0.1, 0.9, 2) * (width, height)
        extent = rng.uniform(0.12, 0.5, 2) * (width, height)
        first, second = np.round(corner).astype(int), np.round(corner + extent).astype(int)
        shift = rng.normal(0, 28) + rng.normal(0, 8, 3)
        patch = room[max(0, first[1]) : max(0, second[1]), max(0, first[0]) : max(0, second[0])]
        patch += shift.astype(np.float32)
    room = cv2.GaussianBlur(room, (0, 0), 0.045 * height)
    return np.clip(room, 0, 255).astype(np.uint8)


class Sensor:
    """Noise of one sensor, drawn once and shifted for each frame. Frames may be at most `size_wh` large."""

    _MARGIN = 48

    def __init__(self, size_wh: tuple[int, int], rng: np.random.Generator) -> None:
        width, height = (side + self._MARGIN for side in size_wh)
        grain = rng.standard_normal((height, width, 1), np.float32)
        colour = cv2.resize(rng.standard_normal((height // 2, width // 2, 3), np.float32), (width, height))
        self._noise = grain + 0.5 * colour
        self._rng = rng

    def film(self, frame: Image, camera: Camera) -> Image:
        """The frame after blur, exposure and noise, RGB uint8 (H, W, 3)."""
        seen = cv2.GaussianBlur(frame, (0, 0), camera.blur) if camera.blur > 0.2 else frame
        height, width = seen.shape[:2]
        x, y = self._rng.integers(0, self._MARGIN, 2)
        noise = self._noise[y : y + height, x : x + width]
        return np.asarray(cv2.addWeighted(seen, camera.gain, noise, camera.noise, 0.0, dtype=cv2.CV_8U))


def _exposed(colour: npt.ArrayLike, light: Light, share: float) -> tuple[float, float, float]:
    level = (light.ambient + share * light.diffuse) * np.asarray(light.tint)
    red, green, blue = np.clip(np.asarray(colour) * level, 0, 255)
    return float(red), float(green), float(blue)


def _fixed(points: npt.NDArray[np.floating]) -> npt.NDArray[np.int32]:
    return np.round(np.asarray(points) * (1 << _SHIFT)).astype(np.int32)


def _ellipse(
    canvas: Image, centre: npt.NDArray[np.floating], axes: tuple[float, float], tilt: float, colour: tuple[float, ...]
) -> None:
    x, y = (int(value) for value in _fixed(centre))
    size = (max(1, round(axes[0] * 16)), max(1, round(axes[1] * 16)))
    cv2.ellipse(canvas, (x, y), size, tilt, 0, 360, colour, -1, cv2.LINE_AA, _SHIFT)


def _draw_hair_behind(canvas: Image, head: Head, pose: Pose, light: Light) -> None:
    length = {"bob": 0.95, "long": 1.75}.get(head.identity.hair_style)
    if length is None:
        return
    centre = pose.project(np.asarray([0.0, -0.3, -0.25]))
    colour = _exposed(np.asarray(head.identity.hair) * 0.75 + 4, light, 0.3)
    half = 0.86 * pose.scale
    _ellipse(canvas, centre, (half, 0.88 * pose.scale), pose.roll, colour)
    end = pose.project(np.asarray([0.0, length, -0.3]))
    fall = np.asarray([[-half, 0], [half, 0], [1.05 * half, end[1] - centre[1]], [-1.05 * half, end[1] - centre[1]]])
    fall[:2] += centre
    fall[2:] += (0.7 * end[0] + 0.3 * centre[0], centre[1])
    cv2.fillPoly(canvas, [_fixed(fall)], colour, cv2.LINE_AA, _SHIFT)


def _draw_body(canvas: Image, head: Head, pose: Pose, light: Light) -> None:
    scale, identity = pose.scale, head.identity
    jaw = pose.project(np.asarray([0.0, 0.72, -0.15]))
    chest = np.asarray([0.5 * jaw[0] + 0.5 * pose.centre_xy[0], pose.centre_xy[1] + 1.28 * scale])
    slope = [(0.3, -0.08), (0.6, 0.02), (1.0, 0.14), (1.25, 0.32), (1.42, 0.62), (1.5, 1.2), (1.55, 3.0)]
    outline = [(-x, y) for x, y in slope[::-1]] + slope
    cloth = _exposed(identity.clothes, light, 0.5)
    cv2.fillPoly(canvas, [_fixed(chest + scale * np.asarray(outline))], cloth, cv2.LINE_AA, _SHIFT)
    skin = np.asarray(identity.skin) * 0.9
    sideways = float(np.sin(np.radians(light.azimuth)))
    for step in range(6):
        half = (0.38 - 0.05 * step) * scale
        offset = np.asarray([0.05 * step * sideways * scale, 0.0])
        tone = _exposed(skin, light, 0.12 + 0.075 * step)
        reach = np.asarray([half, 0.0])
        sides = [jaw + offset - reach, jaw + offset + reach, chest + offset + reach, chest + offset - reach]
        cv2.fillPoly(canvas, [_fixed(np.asarray(sides))], tone, cv2.LINE_AA, _SHIFT)
        _ellipse(canvas, chest + offset, (half, 0.5 * half), 0.0, tone)
    for step in range(4):
        chin = pose.project(np.asarray([0.0, 1.06 - 0.03 * step, 0.1]))
        size = (0.42 - 0.05 * step) * scale
        _ellipse(canvas, chin, (size, 0.62 * size), pose.roll, _exposed(skin * (0.84 - 0.07 * step), light, 0.2))


def _draw_ear(canvas: Image, head: Head, pose: Pose, light: Light, side: int) -> None:
    turned_away = side * pose.yaw > 20
    if turned_away:
        return
    centre = pose.project(np.asarray([side * 0.70 * head.identity.face_width, 0.1, 0.02]))
    share = 0.35 + 0.35 * side * float(np.sin(np.radians(light.azimuth)))
    skin = np.asarray(head.identity.skin)
    tilt = pose.roll + side * 10
    _ellipse(canvas, centre, (0.11 * pose.scale, 0.2 * pose.scale), tilt, _exposed(skin * 0.95, light, share))
    inner = _exposed(skin * (0.72, 0.6, 0.56), light, share)
    _ellipse(canvas, centre, (0.06 * pose.scale, 0.13 * pose.scale), tilt, inner)
