"""Settings of the face detector's training: scenes, and the weights of the loss."""

from __future__ import annotations

from dataclasses import dataclass

from abaw.core.errors import ConfigError
from abaw.core.ranges import require_at_least


@dataclass(frozen=True, slots=True)
class SceneSettings:
    """What training scenes look like.

    Args:
        sides: sides of the square scenes in pixels; all scenes of a step have the same
        smallest: width of the smallest face in pixels; widths are log-uniform up to the largest
        largest: width of the largest face, in sides of the scene
        degrees: standard deviation of the rotation in the picture plane, which is limited to 45 degrees
        empty: share of scenes without a face
        covered: share of faces with something in front of them
        turned: share of faces narrowed as if the head were turned away
        profiles: share of faces taken from photos of heads turned far away, if there are any
        dark: share of scenes in low light
        natural: share of scenes that are parts of natural pictures as they are, if there are any
        hard: share of those that are taken around hard negatives, if there are any
        plain: share of those that are taken from pictures without a face
    """

    sides: tuple[int, ...] = (160, 256, 384, 512)
    smallest: float = 10.0
    largest: float = 0.9
    degrees: float = 14.0
    empty: float = 0.12
    covered: float = 0.3
    turned: float = 0.2
    profiles: float = 0.2
    dark: float = 0.2
    natural: float = 0.5
    hard: float = 0.35
    plain: float = 0.15

    def __post_init__(self) -> None:
        if not self.sides or any(side < 64 or side % 32 for side in self.sides):
            raise ConfigError(f"scenes.sides is {list(self.sides)}; expected multiples of 32, at least 64")
        require_at_least(0, self, "largest", "degrees")
        if not 4 <= self.smallest < self.largest * min(self.sides):
            raise ConfigError(
                f"scenes.smallest is {self.smallest} px, scenes.largest is {self.largest} of {min(self.sides)} px: "
                "expected at least 4 px, and the smallest below the largest"
            )
        for name in ("empty", "covered", "turned", "profiles", "dark", "natural", "hard", "plain"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"scenes.{name} is {getattr(self, name)}; expected at least 0 and less than 1")


@dataclass(frozen=True, slots=True)
class LossWeights:
    """Weights of the terms of the loss; the score's weight is 1.

    Args:
        box: weight of the box's error (1 - generalised IoU)
        landmarks: weight of the landmarks' mean distance, in sizes of the face
        teacher: weight of the difference from the teacher's scores at all grid points of the scene; needs a YuNet file
            as teacher
    """

    box: float = 1.0
    landmarks: float = 12.0
    teacher: float = 0.0

    def __post_init__(self) -> None:
        require_at_least(0, self, "box", "landmarks", "teacher")
