"""Names of classes, action units and tasks, in the order of the annotation files and submissions."""

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
"""In annotation files: no valid label for this frame."""

ACTION_UNITS: Final = ("AU1", "AU2", "AU4", "AU6", "AU7", "AU10", "AU12", "AU15", "AU23", "AU24", "AU25", "AU26")
NUM_ACTION_UNITS: Final = len(ACTION_UNITS)
VALENCE_AROUSAL: Final = ("valence", "arousal")
TASKS: Final = ("expression", "valence_arousal", "action_units")
"""What a model can predict for a frame: a class, valence and arousal in [-1, 1], action units (on or off)."""

COMPOUND_CLASSES: Final = (
    "Fearfully_Surprised",
    "Happily_Surprised",
    "Sadly_Surprised",
    "Disgustedly_Surprised",
    "Angrily_Surprised",
    "Sadly_Fearful",
    "Sadly_Angry",
)
