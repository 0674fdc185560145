"""What the training scenes of the face detector look like."""

from __future__ import annotations

from dataclasses import dataclass

from abaw.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class SceneSettings:
    """What scenes look like.

    Args:
        sides: of the square scenes in pixels; those of one step have one size
        smallest: width of the smallest face in pixels; drawn evenly on a logarithmic scale up to `largest` sides
        largest: width of the largest face, in sides of the scene
        degrees: standard deviation of the head's turn in the picture; at most 45
        empty: share of scenes without a face
        covered: share of faces that something is in front of
        turned: share of faces that are narrowed as if the head were turned away
        profiles: share of faces that are drawn from the photos of heads turned far away, where there are any
        dark: share of scenes in low light
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

    def __post_init__(self) -> None:
        if not self.sides or any(side < 64 or side % 32 for side in self.sides):
            raise ConfigError(f"scenes.sides is {list(self.sides)}; expected multiples of 32 from 64 on")
        if not 4 <= self.smallest < self.largest * min(self.sides):
            raise ConfigError(
                f"scenes.smallest is {self.smallest}, scenes.largest {self.largest} of {min(self.sides)} px: expected "
                "at least 4 px and the smallest below the largest"
            )
        for name in ("empty", "covered", "turned", "profiles", "dark"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"scenes.{name} is {getattr(self, name)}; expected 0 to less than 1")
