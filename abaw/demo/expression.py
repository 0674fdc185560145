"""How the eight expressions move a face: action units of the Facial Action Coding System (Ekman and Friesen).

An expression is a vector of action strengths, 0 at rest and 1 at full strength. Where the two sides of a face can
differ, each side has its own action; "left" and "right" are sides of the image.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from abaw.protocol.classes import EXPRESSION_CLASSES

Actions = npt.NDArray[np.float32]
"""Action strengths, shape (len(ACTIONS),)."""

ACTIONS = (
    "brow_inner",  # AU1, inner brow raiser
    "brow_outer_left",  # AU2, outer brow raiser
    "brow_outer_right",
    "brow_lower",  # AU4, brow lowerer
    "lid_raise",  # AU5, upper lid raiser
    "cheek",  # AU6, cheek raiser
    "lid_tight",  # AU7, lid tightener
    "nose_wrinkle",  # AU9
    "lip_raise",  # AU10, upper lip raiser
    "smile_left",  # AU12, lip corner puller
    "smile_right",
    "frown",  # AU15, lip corner depressor
    "chin_raise",  # AU17
    "stretch",  # AU20, lip stretcher
    "press",  # AU23 and AU24, lips tight and pressed
    "part",  # AU25, lips part
    "jaw_drop",  # AU26 and AU27
    "close_left",  # AU43, AU45 and AU46: closed eye, blink, wink
    "close_right",
    "droop",  # tired upper lids, seen with AU1 in sadness
)
_INDEX = {name: index for index, name in enumerate(ACTIONS)}

_PROTOTYPES: Mapping[str, tuple[Mapping[str, float], ...]] = {
    "Neutral": ({},),
    "Anger": (
        {"brow_lower": 1.0, "lid_raise": 0.25, "lid_tight": 0.7, "press": 1.0, "chin_raise": 0.3, "nose_wrinkle": 0.2},
        {"brow_lower": 1.0, "lid_tight": 0.8, "lip_raise": 0.35, "part": 0.7, "jaw_drop": 0.25, "frown": 0.35,
         "stretch": 0.2},
    ),
    "Disgust": (
        {"nose_wrinkle": 1.0, "lip_raise": 1.0, "brow_lower": 0.45, "lid_tight": 0.7, "cheek": 0.4, "frown": 0.35},
        {"nose_wrinkle": 1.0, "lip_raise": 1.0, "brow_lower": 0.4, "lid_tight": 0.6, "part": 0.6, "chin_raise": 0.3,
         "frown": 0.4},
    ),
    "Fear": (
        {"brow_inner": 0.95, "brow_outer_left": 0.45, "brow_outer_right": 0.45, "brow_lower": 0.3, "lid_raise": 1.0,
         "stretch": 1.0, "part": 0.7, "jaw_drop": 0.15},
        {"brow_inner": 0.9, "brow_outer_left": 0.5, "brow_outer_right": 0.5, "brow_lower": 0.35, "lid_raise": 0.9,
         "stretch": 1.0, "part": 0.4, "frown": 0.25},
    ),
    "Happiness": (
        {"cheek": 0.9, "smile_left": 1.0, "smile_right": 1.0, "part": 0.8, "lid_tight": 0.25},
        {"cheek": 0.7, "smile_left": 0.9, "smile_right": 0.9, "part": 0.15, "lid_tight": 0.2},
        {"cheek": 0.9, "smile_left": 1.0, "smile_right": 1.0, "part": 0.8, "jaw_drop": 0.4, "lid_tight": 0.35},
    ),
    "Sadness": (
        {"brow_inner": 1.0, "brow_lower": 0.35, "frown": 1.0, "chin_raise": 0.7, "droop": 0.7},
        {"brow_inner": 0.9, "brow_lower": 0.25, "frown": 0.9, "droop": 0.9, "press": 0.25},
    ),
    "Surprise": (
        {"brow_inner": 1.0, "brow_outer_left": 1.0, "brow_outer_right": 1.0, "lid_raise": 0.9, "part": 0.5,
         "jaw_drop": 1.0},
        {"brow_inner": 1.0, "brow_outer_left": 1.0, "brow_outer_right": 1.0, "lid_raise": 0.7, "part": 0.4,
         "jaw_drop": 0.6},
    ),
    "Other": (
        {"smile_left": 0.95, "close_left": 0.95, "brow_outer_right": 0.9, "cheek": 0.15, "press": 0.2},
        {"smile_right": 0.95, "close_right": 0.95, "brow_outer_left": 0.9, "cheek": 0.15, "press": 0.2},
    ),
}  # fmt: skip


def actions(**strengths: float) -> Actions:
    """A vector with the named strengths, 0 elsewhere. Raises KeyError for an unknown action."""
    vector = np.zeros(len(ACTIONS), np.float32)
    for name, strength in strengths.items():
        vector[_INDEX[name]] = strength
    return vector


def strength(vector: Actions, name: str) -> float:
    """Strength of the named action. Raises KeyError for an unknown action."""
    return float(vector[_INDEX[name]])


def num_variants(label: int) -> int:
    """Number of prototypes of class `label`."""
    return len(_PROTOTYPES[EXPRESSION_CLASSES[label]])


def prototype(label: int, variant: int) -> Actions:
    """Class `label` (an index into EXPRESSION_CLASSES) at full strength, in one of its variants."""
    return actions(**_PROTOTYPES[EXPRESSION_CLASSES[label]][variant])


def perform(label: int, intensity: float, rng: np.random.Generator, looseness: float = 0.12) -> Actions:
    """How one person shows class `label`: a random variant, each action a little stronger or weaker.

    intensity: 0 for a face at rest, 1 for full strength. looseness: standard deviation of the factor of each action.
    """
    form = prototype(label, int(rng.integers(num_variants(label))))
    factors = np.clip(rng.normal(1.0, looseness, len(ACTIONS)), 0.5, 1.4)
    return np.asarray(np.clip(form * factors * intensity, 0.0, 1.1), np.float32)
