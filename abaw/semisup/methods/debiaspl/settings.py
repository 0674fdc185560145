"""Settings of `debiaspl`."""

from __future__ import annotations

from dataclasses import dataclass

from abaw.core.ranges import require_at_least, require_below_one, require_within
from abaw.semisup.settings import PseudoLabelling


@dataclass(frozen=True, slots=True, kw_only=True)
class DebiasPLSettings(PseudoLabelling):
    """Settings of `debiaspl`.

    Args:
        threshold: minimum confidence of a debiased pseudo-label
        strength: λ, the weight of log q̂ that is subtracted from the teacher's logits and added to the model's
        momentum: momentum of q̂, the running mean of the predictions
    """

    threshold: float = 0.95
    strength: float = 0.5
    momentum: float = 0.999

    def __post_init__(self) -> None:
        super(DebiasPLSettings, self).__post_init__()
        require_at_least(0, self, "strength")
        require_within(0, 1, self, "threshold")
        require_below_one(self, "momentum")


SETTINGS = DebiasPLSettings
