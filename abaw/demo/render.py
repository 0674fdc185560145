"""A head seen by a camera: ray marching against the height maps, so every pose shows the correct side of the face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from abaw.demo.expression import Actions, strength
from abaw.demo.features import Landmarks, draw_features, jaw_opening
from abaw.demo.head import HEIGHT, PIXELS_PER_UNIT, WIDTH, X_MIN, Y_MIN, Head, Map, jaw_rows

Image = npt.NDArray[np.uint8]
Rotation = npt.NDArray[np.float32]

_PIVOT = np.asarray((0.0, 0.35, 0.0), np.float32)
_STEPS = 14
_REFINEMENTS = 4
_NEAR, _FAR = 1.35, -0.75
_COLUMNS = np.repeat(np.arange(WIDTH, dtype=np.float32)[None, :], HEIGHT, 0)


@dataclass(frozen=True, slots=True)
class Pose:
    """Position and orientation of the head.

    Angles in degrees: yaw > 0 turns the nose to the right of the image, pitch > 0 down, roll > 0 clockwise.
    centre_xy: pixel of the head's pivot (between the cheeks). scale: pixels per head unit.
    """

    yaw: float
    pitch: float
    roll: float
    centre_xy: tuple[float, float]
    scale: float

    def rotation(self) -> Rotation:
        """Rotation matrix (3, 3) from head axes to camera axes."""
        yaw, pitch, roll = np.radians((self.yaw, self.pitch, self.roll))
        turn = np.asarray([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
        nod = np.asarray([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
        tilt = np.asarray([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
        return np.asarray(tilt @ turn @ nod, np.float32)

    def project(self, points: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Project points (..., 3) in head units to pixels (..., 2)."""
        camera = (np.asarray(points, np.float64) - _PIVOT) @ self.rotation().T.astype(np.float64)
        return np.asarray(camera[..., :2] * self.scale + self.centre_xy)


@dataclass(frozen=True, slots=True)
class Light:
    """A distant lamp and ambient light.

    azimuth, elevation: degrees; azimuth > 0 is from the right of the image, elevation > 0 from above. tint: RGB
    factors.
    """

    azimuth: float
    elevation: float
    ambient: float
    diffuse: float
    tint: tuple[float, float, float]

    def direction(self) -> npt.NDArray[np.float32]:
        """Unit vector (3,) towards the lamp, in camera axes."""
        azimuth, elevation = np.radians((self.azimuth, self.elevation))
        flat = np.cos(elevation)
        return np.asarray((flat * np.sin(azimuth), -np.sin(elevation), flat * np.cos(azimuth)), np.float32)


def render_head(
    canvas: Image, head: Head, acts: Actions, pose: Pose, light: Light, gaze: tuple[float, float] = (0.0, 0.0)
) -> npt.NDArray[np.float32]:
    """Draw the head over `canvas` (RGB uint8, in place).

    Returns the landmarks, (5, 2) pixels: left and right eye (in the image), nose, left and right mouth corner.
    """
    front = head.front.copy()
    for name, bump in head.relief.items():
        if strength(acts, name) > 0.02:
            front += strength(acts, name) * bump
    albedo: npt.NDArray[Any] = head.albedo
    drop = jaw_opening(acts)
    back: npt.NDArray[Any] = head.back
    hair: npt.NDArray[Any] = head.hair
    if drop > 0.003:
        front, back, albedo, hair = (_follow_jaw(layer, drop) for layer in (front, back, albedo, hair))
    else:
        albedo = albedo.copy()
    spots = draw_features(albedo, head.identity, acts, gaze)
    lit = _shade(albedo, front, hair, pose, light)
    _composite(canvas, head, lit, np.stack([front, back], -1), pose, light)
    return _project_landmarks(spots, front, pose)


def _follow_jaw(layer: npt.NDArray[Any], drop: float) -> npt.NDArray[Any]:
    rows = cv2.resize(jaw_rows(drop)[:, None], (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
    return cv2.remap(layer, _COLUMNS, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _shade(albedo: Image, front: Map, hair: Map, pose: Pose, light: Light) -> Image:
    """The lit texture, RGB uint8 (HEIGHT, WIDTH, 3). Light varies slowly, so it is computed at half size."""
    half = (WIDTH // 2, HEIGHT // 2)
    smooth = cv2.GaussianBlur(cv2.resize(front, half, interpolation=cv2.INTER_AREA), (0, 0), 0.7)
    slope_x = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=PIXELS_PER_UNIT / 16)
    slope_y = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=PIXELS_PER_UNIT / 16)
    rotation = pose.rotation()
    lamp = light.direction() @ rotation
    halfway = lamp + np.asarray((0, 0, 1), np.float32) @ rotation
    halfway = halfway / np.linalg.norm(halfway)
    shorten = 1.0 / np.sqrt(1.0 + slope_x * slope_x + slope_y * slope_y)
    lambert = (lamp[2] - lamp[0] * slope_x - lamp[1] * slope_y) * shorten
    upward = (-rotation[1, 2] + rotation[1, 0] * slope_x + rotation[1, 1] * slope_y) * shorten
    gloss = np.maximum((halfway[2] - halfway[0] * slope_x - halfway[1] * slope_y) * shorten, 0.0)
    shade = light.ambient * (0.92 + 0.12 * upward) + light.diffuse * np.maximum(lambert * 0.85 + 0.15, 0.0)
    for _ in range(4):
        gloss = gloss * gloss
    shine = 26.0 * light.diffuse * gloss * (1.0 - 0.5 * cv2.resize(hair, half))
    shade, shine = (cv2.resize(field, (WIDTH, HEIGHT)) for field in (shade, shine))
    lit = cv2.multiply(albedo, cv2.merge([shade * factor for factor in light.tint]), dtype=cv2.CV_8U)
    glow = shine.astype(np.uint8)
    return np.asarray(cv2.add(lit, cv2.merge([glow, glow, glow])))


def _composite(canvas: Image, head: Head, lit: Image, maps: Map, pose: Pose, light: Light) -> None:
    centre, scale = np.asarray(pose.centre_xy), pose.scale
    limit = np.asarray((canvas.shape[1], canvas.shape[0]))
    left, top = (int(v) for v in np.clip(centre - np.asarray((1.3, 1.85)) * scale, 0, limit))
    right, bottom = (int(v) for v in np.clip(centre + np.asarray((1.3, 1.35)) * scale, 0, limit))
    if right - left < 4 or bottom - top < 4:
        return
    size = (right - left, bottom - top)
    coarse = (size[0] // 2, size[1] // 2)
    xs = left + (np.arange(coarse[0], dtype=np.float32) + 0.5) * size[0] / coarse[0] - 0.5
    ys = top + (np.arange(coarse[1], dtype=np.float32) + 0.5) * size[1] / coarse[1] - 0.5
    plane = np.stack(np.meshgrid((xs - centre[0]) / scale, (ys - centre[1]) / scale), -1).astype(np.float32)
    place, depth, cover = (
        np.asarray(cv2.resize(field, size), np.float32) for field in _march(maps, plane, pose.rotation())
    )
    colour: npt.NDArray[Any] = cv2.remap(
        lit, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    alpha = np.clip(cover * (scale * 0.35) + 0.5, 0.0, 1.0)
    _cover_back(colour, head, place, np.where(alpha > 0, depth, np.float32(1)), light, pose)
    patch = canvas[top:bottom, left:right]
    patch[:] = cv2.blendLinear(colour, patch.copy(), alpha, 1.0 - alpha)


def _march(maps: Map, plane: Map, rotation: Rotation) -> tuple[Map, Map, Map]:
    """Where each ray meets the head.

    plane: (H, W, 2) head units on the camera plane. Returns the texture position (H, W, 2), z in head units (H, W), and
    the largest depth of the ray inside the head (H, W), which is below 0 for rays that miss it.
    """
    origin = plane @ rotation[:2] + _PIVOT
    towards = -rotation[2]
    start_x = (origin[..., 0] - X_MIN) * PIXELS_PER_UNIT - 0.5
    start_y = (origin[..., 1] - Y_MIN) * PIXELS_PER_UNIT - 0.5
    step_x, step_y, step_z = towards[0] * PIXELS_PER_UNIT, towards[1] * PIXELS_PER_UNIT, towards[2]

    def inside(at: Map) -> Map:
        bounds = cv2.remap(
            maps, start_x + at * step_x, start_y + at * step_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        z = origin[..., 2] + at * step_z
        return np.asarray(np.minimum(bounds[..., 0] - z, z - bounds[..., 1]))

    shape = plane.shape[:2]
    gap = (_NEAR - _FAR) / _STEPS
    best = np.full(shape, -9.0, np.float32)
    best_at = np.zeros(shape, np.float32)
    first = np.full(shape, np.inf, np.float32)
    for step in range(_STEPS + 1):
        at = np.full(shape, -_NEAR + step * gap, np.float32)
        value = inside(at)
        better = value > best
        best_at[better] = at[better]
        np.maximum(best, value, out=best)
        first = np.where((value > 0) & np.isinf(first), at, first)
    hit = np.isfinite(first)
    high = np.where(hit, first, best_at).astype(np.float32)
    low = high - gap
    for _ in range(_REFINEMENTS):
        middle = 0.5 * (low + high)
        enters = inside(middle) > 0
        high = np.where(enters & hit, middle, high)
        low = np.where(enters | ~hit, low, middle)
    place = np.stack([start_x + high * step_x, start_y + high * step_y], -1)
    return place.astype(np.float32), (origin[..., 2] + high * step_z).astype(np.float32), best


def _cover_back(colour: Image, head: Head, place: Map, depth: Map, light: Light, pose: Pose) -> None:
    """Paint hair (or skin) on the part of the head behind the ears, which the frontal texture does not cover."""
    rows, columns = np.nonzero(depth < 0.06)
    behind = np.minimum((0.06 - depth[rows, columns]) / 0.12, 1.0)[:, None]
    y = place[rows, columns, 1] / PIXELS_PER_UNIT + Y_MIN
    identity = head.identity
    nape = {"bob": 0.85, "long": 1.2}.get(identity.hair_style, 0.35)
    skin = np.asarray(identity.skin, np.float32)
    hair = skin if identity.hair_style == "bald" else np.asarray(identity.hair, np.float32) + 6.0
    below = np.clip((y - nape) / 0.1, 0.0, 1.0)[:, None]
    side = np.sin(np.radians(light.azimuth)) * -np.sign(pose.yaw)
    shade = light.ambient + light.diffuse * max(0.15, 0.35 + 0.5 * side)
    rear = (hair + below * (0.8 * skin - hair)) * shade * np.asarray(light.tint, np.float32)
    seen = colour[rows, columns]
    colour[rows, columns] = np.clip(seen + behind * (rear - seen), 0, 255).astype(np.uint8)


def _project_landmarks(spots: Landmarks, front: Map, pose: Pose) -> npt.NDArray[np.float32]:
    flat = np.asarray([spots.left_eye, spots.right_eye, spots.nose, spots.mouth_left, spots.mouth_right])
    columns = np.clip(np.round((flat[:, 0] - X_MIN) * PIXELS_PER_UNIT - 0.5).astype(int), 0, WIDTH - 1)
    rows = np.clip(np.round((flat[:, 1] - Y_MIN) * PIXELS_PER_UNIT - 0.5).astype(int), 0, HEIGHT - 1)
    solid = np.concatenate([flat, front[rows, columns][:, None]], 1)
    return pose.project(solid).astype(np.float32)
