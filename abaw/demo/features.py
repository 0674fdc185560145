"""Eyes, brows, nose, mouth and creases, drawn into the texture of a head according to its actions.

All points are in head units (see `identity`); the texture is RGB uint8 and changed in place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from abaw.demo.expression import Actions, strength
from abaw.demo.head import HEIGHT, MOUTH_Y, PIXELS_PER_UNIT, WIDTH, to_texture
from abaw.demo.identity import Identity

Image = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]

_SHIFT = 4
_SPAN = np.linspace(-1.0, 1.0, 21)
_ARCH = 1.0 - np.abs(_SPAN) ** 2.2


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Positions of the drawn features on the frontal plane, in head units."""

    left_eye: tuple[float, float]
    right_eye: tuple[float, float]
    nose: tuple[float, float]
    mouth_left: tuple[float, float]
    mouth_right: tuple[float, float]


def jaw_opening(acts: Actions) -> float:
    """How far the jaw is dropped, in head units."""
    return 0.21 * strength(acts, "jaw_drop")


def draw_features(texture: Image, identity: Identity, acts: Actions, gaze: tuple[float, float]) -> Landmarks:
    """Draw the face on the bare skin of `texture` (HEIGHT, WIDTH, 3). Returns the positions of its landmarks.

    gaze: offset (x, y) of the irises in head units.
    """
    creases = np.zeros((HEIGHT, WIDTH), np.uint8)
    _draw_creases(creases, identity, acts)
    _draw_nose(creases, identity, acts)
    _apply_creases(texture, creases)
    eyes = [_draw_eye(texture, identity, acts, side, gaze) for side in (-1, 1)]
    corners = _draw_mouth(texture, identity, acts)
    _draw_nostrils(texture, identity, acts)
    for side in (-1, 1):
        _draw_brow(texture, identity, acts, side)
    if identity.glasses:
        _draw_glasses(texture, identity)
    nose = (0.0, 0.41 + identity.nose_length - 0.015 * strength(acts, "nose_wrinkle"))
    return Landmarks(eyes[0], eyes[1], nose, corners[0], corners[1])


def _fixed(points: Points) -> npt.NDArray[np.int32]:
    return np.round(to_texture(points) * (1 << _SHIFT)).astype(np.int32)


def _fill(image: Image, points: Points, colour: npt.ArrayLike) -> None:
    cv2.fillPoly(image, [_fixed(points)], _scalar(colour), cv2.LINE_AA, _SHIFT)


def _line(image: Image, points: Points, colour: npt.ArrayLike, width: float) -> None:
    thickness = max(1, round(width * PIXELS_PER_UNIT))
    cv2.polylines(image, [_fixed(points)], False, _scalar(colour), thickness, cv2.LINE_AA, _SHIFT)


def _scalar(colour: npt.ArrayLike) -> tuple[float, ...]:
    return tuple(np.asarray(colour, np.float64).reshape(-1).tolist())


def _smooth(knots: list[tuple[float, float]], samples: int = 16) -> Points:
    """A quadratic curve through three knots; any other number of knots is returned unchanged, as a polyline."""
    points = np.asarray(knots, np.float64)
    if len(points) != 3:
        return points
    at = np.linspace(0.0, 1.0, samples)[:, None]
    middle = 2.0 * points[1] - 0.5 * (points[0] + points[2])
    return np.asarray((1 - at) ** 2 * points[0] + 2 * at * (1 - at) * middle + at**2 * points[2])


def _crease(creases: Image, knots: list[tuple[float, float]], depth: float, width: float = 0.018) -> None:
    if depth > 0.03:
        line = np.zeros_like(creases)
        _line(line, _smooth(knots), 255.0 * min(depth, 1.0), width)
        np.maximum(creases, line, out=creases)


def _apply_creases(texture: Image, creases: Image) -> None:
    soft = cv2.GaussianBlur(creases, (0, 0), 1.6)
    keep = cv2.merge([255 - soft // 2, 255 - soft // 3 * 2, 255 - soft // 3 * 2])
    cv2.multiply(texture, keep, texture, scale=1 / 255)


def _draw_creases(creases: Image, identity: Identity, acts: Actions) -> None:
    raised = 0.5 * strength(acts, "brow_outer_left") + 0.5 * strength(acts, "brow_outer_right")
    inner = strength(acts, "brow_inner")
    for height in (-0.36, -0.43, -0.50):
        lift = 0.03 * inner
        _crease(creases, [(-0.36, height), (0, height - 0.02 - lift), (0.36, height)], 0.65 * raised)
        _crease(creases, [(-0.15, height), (0, height - lift), (0.15, height)], 0.5 * (inner - raised))
    lower = strength(acts, "brow_lower")
    for side in (-1, 1):
        _crease(creases, [(side * 0.055, -0.13), (side * 0.04, -0.2), (side * 0.06, -0.28)], 0.95 * lower, 0.022)
    wrinkle = strength(acts, "nose_wrinkle")
    for height in (-0.02, 0.045, 0.11):
        _crease(creases, [(-0.09, height + 0.03), (0, height), (0.09, height + 0.03)], 0.8 * wrinkle, 0.016)
    for side, name in ((-1, "smile_left"), (1, "smile_right")):
        smile = strength(acts, name)
        lip = max(strength(acts, "lip_raise"), 0.8 * wrinkle)
        fold = 0.22 + 0.75 * max(smile, lip)
        out = 0.30 + 0.10 * smile
        knots = [(side * 0.15, 0.36 - 0.04 * lip), (side * (0.24 + 0.08 * smile), 0.45), (side * out, 0.66)]
        _crease(creases, knots, fold, 0.02)
        cheek = strength(acts, "cheek")
        eye = identity.eye_distance
        under = [(side * (eye - 0.13), 0.115), (side * eye, 0.15 - 0.02 * cheek), (side * (eye + 0.16), 0.09)]
        _crease(creases, under, 0.16 + 0.4 * cheek, 0.018)
        for spread in (-0.03, 0.02, 0.07):
            crow = [(side * (eye + 0.185), 0.02 + spread / 2), (side * (eye + 0.26), 0.02 + spread)]
            _crease(creases, crow, 0.55 * cheek, 0.012)
        frown = strength(acts, "frown")
        _crease(creases, [(side * 0.25, 0.76), (side * 0.27, 0.82), (side * 0.27, 0.9)], 0.7 * frown)
    chin = strength(acts, "chin_raise")
    _crease(creases, [(-0.12, 0.90), (0, 0.865), (0.12, 0.90)], 0.75 * chin)


def _draw_nose(creases: Image, identity: Identity, acts: Actions) -> None:
    base = 0.455 + identity.nose_length - 0.03 * strength(acts, "nose_wrinkle")
    for side in (-1, 1):
        wing = side * identity.nose_width
        _crease(creases, [(wing * 0.13, base - 0.075), (wing * 0.172, base - 0.02), (wing * 0.13, base + 0.015)], 0.5)
        _crease(creases, [(wing * 0.085, 0.0), (wing * 0.062, 0.14), (wing * 0.08, 0.30)], 0.14, 0.03)
    _crease(creases, [(-0.1, base + 0.025), (0, base + 0.045), (0.1, base + 0.025)], 0.5)


def _draw_nostrils(texture: Image, identity: Identity, acts: Actions) -> None:
    wrinkle = strength(acts, "nose_wrinkle")
    base = 0.462 + identity.nose_length - 0.03 * wrinkle
    dark = np.asarray(identity.skin) * 0.28
    for side in (-1, 1):
        centre = _fixed(np.asarray([side * 0.068 * identity.nose_width, base]))
        size = (round(0.036 * PIXELS_PER_UNIT * 16), round((0.016 + 0.006 * wrinkle) * PIXELS_PER_UNIT * 16))
        place = (int(centre[0]), int(centre[1]))
        cv2.ellipse(texture, place, size, -side * 18.0, 0, 360, _scalar(dark), -1, cv2.LINE_AA, _SHIFT)


def _lid_heights(acts: Actions, side: int) -> tuple[float, float]:
    """Distance of the upper and the lower lid from the line between the corners of the eye, in head units."""
    closed = np.clip(strength(acts, "close_left" if side < 0 else "close_right"), 0.0, 1.0)
    upper = 0.068 + 0.036 * strength(acts, "lid_raise") - 0.020 * strength(acts, "lid_tight")
    upper -= 0.030 * strength(acts, "droop")
    lower = 0.046 + 0.008 * strength(acts, "lid_raise")
    lower -= 0.017 * strength(acts, "lid_tight") + 0.022 * strength(acts, "cheek")
    return float(upper * (1 - closed) - 0.025 * closed), float(lower * (1 - closed) + 0.025 * closed)


def _draw_eye(
    texture: Image, identity: Identity, acts: Actions, side: int, gaze: tuple[float, float]
) -> tuple[float, float]:
    size = identity.eye_size
    centre_x, half = side * identity.eye_distance, 0.138 * size
    upper, lower = (height * size for height in _lid_heights(acts, side))
    xs = centre_x + half * _SPAN
    tilt = -(0.012 + identity.eye_tilt) * side * _SPAN
    top = tilt - upper * (1.0 - np.abs(_SPAN - 0.06 * -side) ** 2.4)
    bottom = tilt + lower * (1.0 - np.abs(_SPAN) ** 2.0)
    top = np.minimum(top, bottom)
    _paint_eyeball(texture, identity, (centre_x + gaze[0], -0.012 * size + gaze[1]), xs, top, bottom)
    lash = np.asarray(identity.hair) * 0.25 + 8
    skin_dark = np.asarray(identity.skin) * (0.55, 0.45, 0.42)
    _line(texture, np.stack([xs, bottom], 1), skin_dark, 0.009)
    _line(texture, np.stack([xs, top], 1), lash, 0.027)
    fold = top - 0.034 - 0.014 * strength(acts, "droop") * (1 - np.abs(_SPAN))
    _line(texture, np.stack([xs, fold], 1)[2:-2], skin_dark * 1.1, 0.011)
    return centre_x, float(0.5 * (bottom[10] - abs(top[10])) * 0.5)


def _paint_eyeball(
    texture: Image, identity: Identity, iris: tuple[float, float], xs: Points, top: Points, bottom: Points
) -> None:
    """Draw white, iris, pupil and glint inside the opening between the lids."""
    low = np.floor(to_texture(np.asarray([xs[0], top.min()]))).astype(int) - 3
    high = np.ceil(to_texture(np.asarray([xs[-1], bottom.max()]))).astype(int) + 4
    patch = texture[low[1] : high[1], low[0] : high[0]]
    eyeball = np.empty_like(patch)
    eyeball[:] = (232, 226, 222)
    eyeball[: max(2, patch.shape[0] // 3)] = (196, 186, 182)
    centre = tuple(int(v) for v in np.round((to_texture(np.asarray(iris)) - low) * 16))
    radius = 0.066 * identity.eye_size * PIXELS_PER_UNIT * 16
    for scale, colour in ((1.0, np.asarray(identity.iris) * 0.5), (0.82, identity.iris), (0.45, (12, 10, 10))):
        cv2.circle(eyeball, centre, round(radius * scale), _scalar(colour), -1, cv2.LINE_AA, _SHIFT)
    glint = (round(centre[0] + radius * 0.3), round(centre[1] - radius * 0.35))
    cv2.circle(eyeball, glint, round(radius * 0.2), (250.0, 250.0, 250.0), -1, cv2.LINE_AA, _SHIFT)
    mask = np.zeros(patch.shape[:2], np.uint8)
    outline = np.concatenate([np.stack([xs, top], 1), np.stack([xs, bottom], 1)[::-1]])
    offset = np.round(low * 16).astype(np.int32)
    cv2.fillPoly(mask, [_fixed(outline) - offset], (255.0,), cv2.LINE_AA, _SHIFT)
    weight = (mask.astype(np.float32) / 255)[..., None]
    patch[:] = (patch + weight * (eyeball.astype(np.float32) - patch)).astype(np.uint8)


def _draw_brow(texture: Image, identity: Identity, acts: Actions, side: int) -> None:
    inner, lower = strength(acts, "brow_inner"), strength(acts, "brow_lower")
    outer = strength(acts, "brow_outer_left" if side < 0 else "brow_outer_right")
    base = -0.175 + identity.brow_height
    eye = identity.eye_distance
    wrinkle = strength(acts, "nose_wrinkle")
    inner_y = base + 0.005 - 0.115 * inner + 0.085 * lower * (1 - 0.6 * inner) + 0.04 * wrinkle
    middle_y = base - 0.035 * identity.brow_arch - 0.045 * inner - 0.085 * outer + 0.045 * lower * (1 - 0.6 * inner)
    outer_y = base + 0.045 - 0.085 * outer + 0.015 * inner - 0.012 * lower
    spine = _smooth(
        [
            (eye - 0.165 - 0.035 * lower, inner_y),
            (eye + 0.03, middle_y),
            (eye + 0.205, outer_y),
        ]
    )
    along = np.linspace(0, 1, len(spine))
    half = 0.031 * identity.brow_thickness * (1.0 - 0.75 * along**1.6) * np.clip(0.65 + 5 * along, 0, 1)
    outline = np.concatenate([spine - np.stack([0 * half, half], 1), (spine + np.stack([0 * half, half], 1))[::-1]])
    outline[:, 0] *= side
    colour = 0.85 * np.asarray(identity.hair) * 0.8 + 0.15 * np.asarray(identity.skin) * 0.6
    low = np.maximum(np.floor(to_texture(outline.min(0))).astype(int) - 5, 0)
    high = np.ceil(to_texture(outline.max(0))).astype(int) + 6
    patch = texture[low[1] : high[1], low[0] : high[0]]
    mask: npt.NDArray[Any] = np.zeros(patch.shape[:2], np.uint8)
    cv2.fillPoly(mask, [_fixed(outline) - np.round(low * 16).astype(np.int32)], (235.0,), cv2.LINE_AA, _SHIFT)
    mask = cv2.GaussianBlur(mask, (0, 0), 1.0)
    weight = (mask.astype(np.float32) / 255)[..., None]
    patch[:] = (patch + weight * (colour.astype(np.float32) - patch)).astype(np.uint8)


def _draw_mouth(texture: Image, identity: Identity, acts: Actions) -> tuple[tuple[float, float], tuple[float, float]]:
    smiles = np.asarray([strength(acts, "smile_left"), strength(acts, "smile_right")])
    frown, stretch, press = strength(acts, "frown"), strength(acts, "stretch"), strength(acts, "press")
    lip_raise, part, drop = strength(acts, "lip_raise"), strength(acts, "part"), jaw_opening(acts)
    chin = strength(acts, "chin_raise")
    half = 0.245 * identity.mouth_width + 0.085 * smiles + 0.075 * stretch - 0.25 * drop - 0.01 * press - 0.02 * chin
    corner_y = MOUTH_Y - 0.10 * smiles + 0.075 * frown + 0.025 * stretch + 0.35 * drop - 0.015 * chin
    xs = np.where(_SPAN < 0, -half[0], half[1]) * np.abs(_SPAN)
    rest = np.interp(_SPAN, [-1, 1], corner_y)
    pull = 0.02 * smiles.mean() - 0.03 * chin - 0.02 * frown
    gap = 0.055 * part
    inner_top_y = MOUTH_Y + pull - 0.4 * gap - 0.045 * lip_raise - 0.03 * smiles.mean() * part
    inner_bottom_y = MOUTH_Y + pull + 0.6 * gap + drop + 0.015 * smiles.mean() * part
    inner_top = rest + (inner_top_y - rest.mean()) * _ARCH
    inner_bottom = rest + (inner_bottom_y - rest.mean()) * _ARCH
    full = identity.lip_fullness * (1 - 0.6 * press) * (1 - 0.2 * smiles.mean()) * (1 - 0.2 * stretch)
    bow = 0.055 * full * np.clip(1 - _SPAN**2, 0, 1) ** 0.8 * (1 - 0.22 * np.exp(-((_SPAN / 0.16) ** 2)))
    pout = 0.075 * full * (1 + 0.25 * chin) * np.clip(1 - _SPAN**2, 0, 1) ** 0.7
    skin = np.asarray(identity.skin)
    lip = skin * (1 - identity.lip_redness * np.asarray((0.18, 0.5, 0.45))) * (0.86, 0.74, 0.74)
    edge = lip * 0.55
    _fill(texture, _band(xs, inner_top - bow, inner_bottom + pout), lip)
    _fill(texture, _band(xs, inner_top - bow, inner_top + 0.004), lip * 0.86)
    opening = float((inner_bottom - inner_top).max())
    if opening > 0.012:
        _paint_mouth_cavity(texture, xs, inner_top, inner_bottom, opening)
    _line(texture, np.stack([xs, inner_top], 1), edge * 0.8, 0.012)
    if opening <= 0.012:
        _line(texture, np.stack([xs, inner_bottom], 1), edge * 0.7, 0.014)
    for end in (0, -1):
        _line(texture, np.stack([xs, inner_top], 1)[[end, 1 if end == 0 else -2]], edge * 0.6, 0.02)
    return (float(xs[0]), float(corner_y[0])), (float(xs[-1]), float(corner_y[1]))


def _paint_mouth_cavity(texture: Image, xs: Points, top: Points, bottom: Points, opening: float) -> None:
    _fill(texture, _band(xs, top, bottom), (58, 20, 22))
    if opening > 0.12:
        tongue = bottom - np.minimum(0.07, 0.45 * (bottom - top))
        _fill(texture, _band(xs, tongue, bottom), (150, 70, 70))
    middle = len(top) // 2
    biting_edge = top[middle] + 0.05 + 0.5 * (top - top[middle])
    teeth = np.clip(biting_edge, top, top + 0.85 * (bottom - top))
    _fill(texture, _band(xs, top, teeth), (226, 220, 208))


def _band(xs: Points, top: Points, bottom: Points) -> Points:
    return np.concatenate([np.stack([xs, top], 1), np.stack([xs, bottom], 1)[::-1]])


def _draw_glasses(texture: Image, identity: Identity) -> None:
    colour = (38.0, 34.0, 36.0)
    for side in (-1, 1):
        centre = _fixed(np.asarray([side * identity.eye_distance, 0.015]))
        axes = (round(0.2 * PIXELS_PER_UNIT * 16), round(0.145 * PIXELS_PER_UNIT * 16))
        cv2.ellipse(texture, (int(centre[0]), int(centre[1])), axes, 0, 0, 360, colour, 2, cv2.LINE_AA, _SHIFT)
        _line(texture, np.asarray([[side * 0.52, -0.01], [side * 0.72, -0.03]]), colour, 0.022)
    _line(texture, _smooth([(-0.12, -0.01), (0, -0.035), (0.12, -0.01)]), colour, 0.02)
