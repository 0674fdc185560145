"""The head of one person: two height maps over the frontal plane, with skin and hair painted on them.

A point (x, y, z) in head units is inside the head when back(x, y) < z < front(x, y). The same (x, y) is the position in
the texture, so features are drawn once, from the front, and any pose projects them correctly.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator

from abaw.demo.identity import Identity

Map = npt.NDArray[np.float32]

PIXELS_PER_UNIT = 110
X_MIN, X_MAX = -0.95, 0.95
Y_MIN, Y_MAX = -1.35, 1.45
WIDTH = round((X_MAX - X_MIN) * PIXELS_PER_UNIT)
HEIGHT = round((Y_MAX - Y_MIN) * PIXELS_PER_UNIT)

MOUTH_Y = 0.70
"""Height of the closed mouth; below it the face follows the jaw."""

_XS = (X_MIN + (np.arange(WIDTH, dtype=np.float32) + 0.5) / PIXELS_PER_UNIT)[None, :]
_YS = (Y_MIN + (np.arange(HEIGHT, dtype=np.float32) + 0.5) / PIXELS_PER_UNIT)[:, None]


@dataclass(frozen=True, slots=True)
class Head:
    """A person's head at rest.

    front, back: height maps, (HEIGHT, WIDTH). albedo: RGB uint8 (HEIGHT, WIDTH, 3), without eyes, brows and lips. hair:
    (HEIGHT, WIDTH) in 0..1, 1 where the surface is hair. relief: name of a facial action -> height (HEIGHT, WIDTH) that
    it adds at full strength.
    """

    identity: Identity
    front: Map
    back: Map
    albedo: npt.NDArray[np.uint8]
    hair: Map
    relief: dict[str, Map]


def to_texture(points: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Convert head units (..., 2) to texture pixels (..., 2)."""
    return (np.asarray(points, np.float64) - (X_MIN, Y_MIN)) * PIXELS_PER_UNIT - 0.5


def build_head(identity: Identity) -> Head:
    """The head of a person; the same identity always gives the same head."""
    rng = np.random.default_rng(identity.texture_seed)
    hair = _hair_mask(identity, rng)
    front, back = _skull(identity)
    front = front + _features(identity) + 0.05 * cv2.GaussianBlur(hair, (0, 0), 2.0)
    return Head(identity, front.astype(np.float32), back, _paint(identity, hair, rng), hair, _relief())


def jaw_rows(drop: float) -> Map:
    """(HEIGHT,) for each texture row, the row of the face at rest that moves there when the jaw opens by `drop`.

    drop: in head units.
    """
    below = np.clip((_YS[:, 0] - (MOUTH_Y - 0.2)) / 0.5, 0.0, 1.0)
    below = below * below * (3.0 - 2.0 * below)
    return np.asarray((_YS[:, 0] - drop * below - Y_MIN) * PIXELS_PER_UNIT - 0.5, np.float32)


def blob(x: float, y: float, sigma_x: float, sigma_y: float) -> Map:
    """A Gaussian bump of height 1 on the frontal plane, (HEIGHT, WIDTH)."""
    return np.asarray(np.exp(-(((_XS - x) / sigma_x) ** 2) - ((_YS - y) / sigma_y) ** 2), np.float32)


def _profile(knots: dict[float, float]) -> Map:
    """Interpolated values of the knots (y -> value) for each texture row, (HEIGHT, 1)."""
    heights = np.asarray(list(knots))
    inside = np.clip(_YS[:, 0], heights[0], heights[-1])
    return np.asarray(PchipInterpolator(heights, np.asarray(list(knots.values())))(inside), np.float32)[:, None]


def _skull(identity: Identity) -> tuple[Map, Map]:
    width, jaw, chin = identity.face_width, identity.jaw_width, identity.chin_length
    volume = 0.0 if identity.hair_style in ("bald", "buzz") else 0.05
    half = _profile(
        {
            -1.17 - volume: 0.03, -1.12 - volume: 0.28 + volume, -1.0: 0.50 + volume, -0.8: 0.66 + volume,
            -0.55: 0.73 * width + volume, -0.25: 0.755 * width + 0.5 * volume, 0.1: 0.745 * width, 0.35: 0.715 * width,
            0.6: 0.64 * width * (0.6 + 0.4 * jaw), 0.82: 0.53 * width * jaw, 0.98: 0.41 * width * jaw,
            1.08 + chin: 0.29 * jaw, 1.14 + chin: 0.18 * jaw, 1.17 + chin: 0.06,
        }
    )  # fmt: skip
    depth = _profile(
        {
            -1.17 - volume: 0.0, -1.12 - volume: 0.3, -1.0: 0.55, -0.8: 0.70, -0.55: 0.80, -0.25: 0.85, 0.0: 0.82,
            0.3: 0.83, 0.6: 0.85, 0.8: 0.84, 0.98: 0.84, 1.1 + chin: 0.74, 1.17 + chin: 0.5,
        }
    )  # fmt: skip
    rear = _profile({-1.17 - volume: 0.0, -1.1: 0.4, -0.9: 0.72, -0.4: 0.9, 0.1: 0.85, 0.5: 0.6, 0.8: 0.3, 1.17: 0.0})
    across = np.abs(_XS) / half
    inside = np.clip(1.0 - across**2.3, 0.0, 1.0)
    outside = 4.0 * np.clip(across - 1.0, 0.0, 2.0) * half
    beyond = 30.0 * (np.clip(_YS - (1.165 + chin), 0, None) + np.clip(-1.165 - volume - _YS, 0, None))
    front = depth * np.sqrt(inside) - outside - beyond
    back = -rear * np.sqrt(inside) + outside + beyond
    return np.asarray(front, np.float32), np.asarray(back, np.float32)


def _features(identity: Identity) -> Map:
    """Nose, brow ridge, eye sockets, cheek bones, lips and chin as bumps and hollows."""
    tip = 0.40 + identity.nose_length
    wide = identity.nose_width
    eye = identity.eye_distance
    along = np.clip((_YS + 0.08) / (tip + 0.08), 0.0, 1.0)
    ridge = (0.03 + 0.15 * along**1.3) * (_YS > -0.3) / (1.0 + np.exp((_YS - tip - 0.035) / 0.018))
    ridge = ridge * np.clip((_YS + 0.3) / 0.25, 0.0, 1.0)
    nose = ridge * np.exp(-((_XS / (0.07 + 0.05 * along)) ** 2) / wide**2)
    nose += 0.06 * blob(0, tip - 0.01, 0.10 * wide, 0.075)
    height = nose
    for side in (-1, 1):
        height = height + 0.045 * blob(side * 0.115 * wide, tip + 0.035, 0.055, 0.055)
        height = height - 0.085 * blob(side * eye, 0.0, 0.19, 0.12) + 0.035 * blob(side * eye, 0.0, 0.11, 0.075)
        height = height + 0.035 * blob(side * 0.28, -0.2, 0.22, 0.08) + 0.03 * blob(side * 0.42, 0.3, 0.16, 0.14)
    height = height + 0.03 * blob(0, 0.66, 0.2, 0.045) + 0.035 * blob(0, 0.765, 0.16, 0.045)
    height = height - 0.03 * blob(0, 0.86, 0.16, 0.05) + 0.04 * blob(0, 1.02, 0.15, 0.09)
    return np.asarray(height, np.float32)


def _relief() -> dict[str, Map]:
    furrows = blob(0.06, -0.2, 0.03, 0.1) + blob(-0.06, -0.2, 0.03, 0.1)
    return {
        "cheek": 0.05 * (blob(0.36, 0.28, 0.15, 0.11) + blob(-0.36, 0.28, 0.15, 0.11)),
        "smile_left": 0.05 * blob(-0.37, 0.36, 0.13, 0.12),
        "smile_right": 0.05 * blob(0.37, 0.36, 0.13, 0.12),
        "brow_lower": 0.03 * furrows,
        "chin_raise": 0.035 * blob(0, 1.0, 0.13, 0.08),
        "nose_wrinkle": 0.025 * (blob(0.17, 0.28, 0.07, 0.12) + blob(-0.17, 0.28, 0.07, 0.12)),
    }


def _hair_mask(identity: Identity, rng: np.random.Generator) -> Map:
    """(HEIGHT, WIDTH) in 0..1: 1 where the frontal map shows hair."""
    if identity.hair_style == "bald":
        return np.zeros((HEIGHT, WIDTH), np.float32)
    side = {"buzz": -0.15, "short": 0.12, "fringe": 0.1, "bob": 0.85, "long": 1.1}[identity.hair_style]
    line = identity.hairline + (0.22 if identity.hair_style == "fringe" else 0.0)
    across = np.abs(_XS[0]) / (0.745 * identity.face_width)
    rough = cv2.GaussianBlur(rng.normal(0, 1, (1, WIDTH)).astype(np.float32), (0, 0), 3.0)[0] * 0.07
    curve = line + 0.12 * across**2 + rough
    temple = np.clip((across - 0.86) / 0.1, 0.0, 1.0)
    curve = curve + temple * (side - curve)
    return np.asarray(np.clip((curve[None, :] - _YS) / 0.035 + 0.5, 0.0, 1.0), np.float32)


def _paint(identity: Identity, hair: Map, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Skin with blotches, blush and beard, and hair with strands, RGB uint8 (HEIGHT, WIDTH, 3)."""
    shape = (HEIGHT, WIDTH)
    skin = np.ones((*shape, 3), np.float32) * np.asarray(identity.skin, np.float32)
    coarse = cv2.GaussianBlur(rng.normal(0, 1, shape).astype(np.float32), (0, 0), 8.0) * 12
    fine = cv2.GaussianBlur(rng.normal(0, 1, shape).astype(np.float32), (0, 0), 1.0)
    skin *= (1.0 + 0.02 * coarse + 0.02 * fine)[..., None]
    blush = blob(0.4, 0.36, 0.18, 0.13) + blob(-0.4, 0.36, 0.18, 0.13) + 0.8 * blob(0, 0.38, 0.11, 0.08)
    skin *= 1.0 - blush[..., None] * np.asarray((0.0, 0.10, 0.10), np.float32)
    eye = identity.eye_distance
    sockets = blob(eye, -0.01, 0.17, 0.10) + blob(-eye, -0.01, 0.17, 0.10)
    shade = 1.0 - 0.22 * sockets - 0.12 * blob(0, 0.50, 0.16, 0.04) - 0.16 * blob(0, 0.86, 0.15, 0.035)
    skin *= shade[..., None]
    skin = _grow_beard(skin, identity, rng)
    colour = np.asarray(identity.hair, np.float32)
    strands = cv2.GaussianBlur(rng.normal(0, 1, shape).astype(np.float32), (0, 0), sigmaX=0.8, sigmaY=9.0)
    gloss = 1.0 + 1.1 * strands + 0.35 * blob(0.1, -0.95, 0.6, 0.12)
    painted = skin + hair[..., None] * (colour * gloss[..., None] + 6.0 - skin)
    return np.clip(painted, 0, 255).astype(np.uint8)


def _grow_beard(skin: Map, identity: Identity, rng: np.random.Generator) -> Map:
    if identity.beard == 0.0:
        return skin
    region = np.clip((_YS - (0.42 + 0.45 * np.clip(1 - np.abs(_XS) / 0.5, 0, 1))) / 0.15, 0, 1)
    region = np.maximum(region, 0.8 * blob(0, 0.98, 0.4, 0.16))
    lip = np.clip(1.5 * blob(0, 0.575, 0.2, 0.045), 0, 1) * identity.moustache
    grain = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32), (0, 0), 0.8)
    stubble = np.clip(1.0 + 0.5 * grain, 0, 1)
    cover = np.clip(np.maximum(region * identity.beard, lip) * stubble, 0, 0.92)
    return np.asarray(skin + cover[..., None] * (np.asarray(identity.hair, np.float32) - skin), np.float32)
