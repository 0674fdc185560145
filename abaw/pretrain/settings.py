"""Settings of pre-training, apart from the code that needs torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from abaw.core.errors import ConfigError

# What moves with an expression, in crops of `abaw.video.align`: brows, eyes, nose, corners and lips of the mouth.
ANCHORS = (
    ((0.30, 0.36), (0.69, 0.36)),
    ((0.342, 0.462), (0.656, 0.460)),
    ((0.500, 0.641),),
    ((0.371, 0.825), (0.632, 0.823)),
    ((0.500, 0.78), (0.500, 0.89)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WarpSettings:
    """How faces are warped (arXiv 2303.09034 has random local warping; the form is our reading).

    Of nine points at brows, eyes, nose and mouth some are drawn for each image, jittered by 0.02 and displaced by
    normal steps of deviation s, s itself drawn from `lowest`..`highest` for each image. Every point pulls what lies
    within 0.22 of it, by `(1 − r)^4 (4 r + 1)` (Wendland's function, smooth, 0 from r = 1 on); towards the border the
    flow falls smoothly to 0. Where a displacement would fold the face, the whole flow of that image is scaled down
    until no two neighbours differ by more than `steepest` of their distance: below 1 the warp is one-to-one.
    Raises ConfigError for values out of range.

    Args:
        lowest: smallest deviation of a displacement, in parts of the side
        highest: the largest; 0 for both leaves images as they are
        least_points: fewest points that are displaced
        most_points: most of them, at most nine
        steepest: largest change of the flow along a path, for the length of the path
    """

    lowest: float = 0.03
    highest: float = 0.08
    least_points: int = 4
    most_points: int = 8
    steepest: float = 0.6

    def __post_init__(self) -> None:
        if not 0 <= self.lowest <= self.highest <= 0.5:
            raise ConfigError(f"warps from {self.lowest} to {self.highest}; expected 0 <= lowest <= highest <= 0.5")
        total = sum(map(len, ANCHORS))
        if not 1 <= self.least_points <= self.most_points <= total:
            raise ConfigError(
                f"{self.least_points} to {self.most_points} points; "
                f"expected 1 <= least_points <= most_points <= {total}"
            )
        if not 0 < self.steepest < 1:
            raise ConfigError(f"steepest is {self.steepest}; expected more than 0 and less than 1: at 1 faces may fold")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContraWarpingSettings:
    """Settings of pre-training. Raises ConfigError for values that do not fit together.

    Args:
        byol_weight: weight of BYOL's loss between two views of a face; 0 leaves it out
        warp_weight: λ, weight of the contrast with warped faces; 0 leaves it out: plain BYOL
        negatives: what a view is told apart from: warps of the same face (as in the paper), the views of the other
            faces of the batch, or both (ours)
        warps: K, warped versions of each face
        temperature: of the contrast
        projection: width of the space in which views are compared; hidden layers have twice of it
        warp: how faces are warped
    """

    byol_weight: float = 1.0
    warp_weight: float = 1.0
    negatives: Literal["warps", "faces", "warps_and_faces"] = "warps_and_faces"
    warps: int = 2
    temperature: float = 0.2
    projection: int = 128
    warp: WarpSettings = field(default_factory=WarpSettings)

    def __post_init__(self) -> None:
        for name in ("byol_weight", "warp_weight"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected at least 0")
        if not self.byol_weight and not self.warp_weight:
            raise ConfigError("byol_weight and warp_weight are both 0: nothing would be learnt; set one of them")
        for name in ("warps", "projection"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected at least 1")
        if not self.temperature > 0:
            raise ConfigError(f"temperature is {self.temperature}; expected more than 0")

    @property
    def warped(self) -> int:
        """How many warped versions of each face a step needs."""
        return self.warps if self.warp_weight and self.negatives != "faces" else 0
