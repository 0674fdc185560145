"""How the parts of the face detector's loss are weighted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DetectorWeights:
    """Weights of the parts of the loss.

    Args:
        box: of the box's error (1 - generalised IoU)
        landmarks: of the landmarks' mean distance in sizes of the face
    """

    box: float = 1.0
    landmarks: float = 12.0
