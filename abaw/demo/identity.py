"""The traits of one rendered person.

Lengths are in head units: the pupils are about 0.64 apart, half the width of the face is about 0.7. x points to the
right of the image, y down; the origin is between the eyes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

HairStyle = Literal["bald", "buzz", "short", "fringe", "bob", "long"]
Rgb = tuple[float, float, float]

_SKINS = ((247, 214, 190), (238, 198, 166), (226, 181, 144), (206, 155, 114), (172, 117, 80), (132, 86, 60))
_HAIRS = ((28, 24, 24), (52, 36, 28), (92, 62, 40), (186, 150, 96), (134, 66, 36), (148, 146, 146))
_IRISES = ((74, 48, 30), (98, 68, 40), (88, 104, 70), (82, 118, 150), (60, 50, 46))
_CLOTHES = ((58, 84, 122), (130, 60, 60), (72, 104, 84), (96, 92, 100), (178, 160, 132), (60, 60, 70), (150, 110, 150))
_STYLES: tuple[HairStyle, ...] = ("short", "short", "short", "fringe", "bob", "long", "long", "buzz", "bald")


@dataclass(frozen=True, slots=True)
class Identity:
    """The traits that stay constant throughout a video. Colours are RGB in 0..255; factors are about 1."""

    skin: Rgb
    hair: Rgb
    iris: Rgb
    clothes: Rgb
    hair_style: HairStyle
    hairline: float
    face_width: float
    jaw_width: float
    chin_length: float
    eye_distance: float
    eye_size: float
    eye_tilt: float
    brow_thickness: float
    brow_height: float
    brow_arch: float
    nose_length: float
    nose_width: float
    mouth_width: float
    lip_fullness: float
    lip_redness: float
    beard: float
    moustache: float
    glasses: bool
    texture_seed: int


def sample_identity(rng: np.random.Generator) -> Identity:
    """A random person."""
    skin = _vary(rng, _SKINS[rng.integers(len(_SKINS))], 9.0)
    style = _STYLES[rng.integers(len(_STYLES))]
    bearded = style in ("bald", "buzz", "short") and rng.random() < 0.35
    return Identity(
        skin=skin,
        hair=_hair_colour(rng, skin),
        iris=_vary(rng, _IRISES[rng.integers(len(_IRISES))], 8.0),
        clothes=_vary(rng, _CLOTHES[rng.integers(len(_CLOTHES))], 15.0),
        hair_style=style,
        hairline=float(rng.uniform(-0.66, -0.54)),
        face_width=float(rng.uniform(0.93, 1.07)),
        jaw_width=float(rng.uniform(0.9, 1.12)),
        chin_length=float(rng.uniform(-0.03, 0.05)),
        eye_distance=float(rng.uniform(0.305, 0.335)),
        eye_size=float(rng.uniform(0.92, 1.12)),
        eye_tilt=float(rng.uniform(-0.02, 0.03)),
        brow_thickness=float(rng.uniform(0.75, 1.25)),
        brow_height=float(rng.uniform(-0.02, 0.02)),
        brow_arch=float(rng.uniform(0.6, 1.3)),
        nose_length=float(rng.uniform(-0.02, 0.03)),
        nose_width=float(rng.uniform(0.88, 1.18)),
        mouth_width=float(rng.uniform(0.93, 1.08)),
        lip_fullness=float(rng.uniform(0.8, 1.3)),
        lip_redness=float(rng.uniform(0.25, 0.75)),
        beard=float(rng.uniform(0.25, 0.8)) if bearded else 0.0,
        moustache=float(rng.uniform(0.3, 0.7)) if bearded and rng.random() < 0.6 else 0.0,
        glasses=bool(rng.random() < 0.2),
        texture_seed=int(rng.integers(2**31)),
    )


def _hair_colour(rng: np.random.Generator, skin: Rgb) -> Rgb:
    dark_skin = sum(skin) < 400
    colours = _HAIRS[:2] if dark_skin else _HAIRS
    return _vary(rng, colours[rng.integers(len(colours))], 6.0)


def _vary(rng: np.random.Generator, colour: tuple[int, int, int], spread: float) -> Rgb:
    red, green, blue = np.clip(np.asarray(colour) + rng.normal(0, spread / 2) + rng.normal(0, spread / 4, 3), 8, 252)
    return float(red), float(green), float(blue)
