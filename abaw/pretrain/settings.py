"""Settings of pre-training, separate from the code that needs torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from abaw.core.errors import ConfigError
from abaw.core.ranges import require_at_least, require_positive

# What moves with an expression, in crops of `abaw.video.align`: brows, eyes, nose, mouth corners, lips.
ANCHORS = (
    ((0.30, 0.36), (0.69, 0.36)),
    ((0.342, 0.462), (0.656, 0.460)),
    ((0.500, 0.641),),
    ((0.371, 0.825), (0.632, 0.823)),
    ((0.500, 0.78), (0.500, 0.89)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WarpSettings:
    """How faces are warped (random local warping is from arXiv 2303.09034; its form is our reading).

    For each image, some of nine points at brows, eyes, nose and mouth are drawn, jittered by 0.02 and displaced by
    normal steps with deviation s, which is itself drawn from `lowest`..`highest` per image. Each point pulls everything
    within 0.22 of it, with weight `(1 − r)^4 (4 r + 1)` (Wendland's function: smooth, 0 from r = 1 on); the flow falls
    smoothly to 0 towards the border. Where it would fold the face, the image's whole flow is scaled down until
    neighbours differ by at most `steepest` times their distance: below 1 the warp is one-to-one.
    Raises ConfigError for values out of range.

    Args:
        lowest: smallest deviation of a displacement, in parts of the side
        highest: largest deviation; 0 for both leaves images unchanged
        least_points: minimum number of displaced points
        most_points: maximum number of displaced points, at most nine
        steepest: largest change of the flow along a path, per length of the path
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
    """Settings of pre-training. Raises ConfigError for values out of range, or when both weights are 0.

    Args:
        byol_weight: weight of BYOL's loss between two views of a face; 0 for none
        warp_weight: λ, weight of the contrastive loss with warped faces; 0 for none (plain BYOL)
        negatives: what a view is contrasted with: warps of the same face (as in the paper), views of the other faces of
            the batch, or both (ours)
        warps: K, warped versions per face
        temperature: temperature of the contrastive loss
        projection: width of the space in which views are compared; hidden layers are twice as wide
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
        require_at_least(0, self, "byol_weight", "warp_weight")
        if not self.byol_weight and not self.warp_weight:
            raise ConfigError("byol_weight and warp_weight are both 0: nothing would be learned; set one of them")
        require_at_least(1, self, "warps", "projection")
        require_positive(self, "temperature")

    @property
    def warped(self) -> int:
        """The number of warped versions of each face that a step needs."""
        return self.warps if self.warp_weight and self.negatives != "faces" else 0
