"""Settings of soft labels, separate from their making: reading a config must not import torch."""

from __future__ import annotations

from dataclasses import dataclass

from abaw.core.ranges import require_at_least, require_within


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftLabelling:
    """How predictions become labels. Raises ConfigError for values out of range.

    Args:
        debias: λ in p · (π / q̂)^λ, which corrects predictions p whose mean q̂ over all faces differs from the expected
            class shares π: those of the labelled faces, or equal ones without any; 0 turns it off
        lowest: minimum probability of the most likely class; other faces get no label
        highest: with labelled faces, the minimum for a class is this times the mean confidence of the labelled faces
            that are correctly predicted as that class, where that is more than `lowest`
        smoothing: filter over the frames of a video before they are labelled: none, box:WIDTH, gaussian:SIGMA (frames)
        every: label one frame in N of a video: neighbours look alike
    """

    debias: float = 0.0
    lowest: float = 0.3
    highest: float = 0.97
    smoothing: str = "none"
    every: int = 10

    def __post_init__(self) -> None:
        require_within(0, 1, self, "debias", "lowest", "highest")
        require_at_least(1, self, "every")
