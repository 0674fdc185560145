"""The eight expression classes, in the order of the annotation files."""

from __future__ import annotations

from typing import Final

EXPRESSION_CLASSES: Final = (
    "Neutral",
    "Anger",
    "Disgust",
    "Fear",
    "Happiness",
    "Sadness",
    "Surprise",
    "Other",
)
NUM_EXPRESSIONS: Final = len(EXPRESSION_CLASSES)
UNLABELLED: Final = -1
"""The annotation files' mark for a frame without a valid label."""
