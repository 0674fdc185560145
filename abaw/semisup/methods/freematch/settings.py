"""Settings of `freematch`."""

from __future__ import annotations

from dataclasses import dataclass

from abaw.core.ranges import require_at_least, require_below_one
from abaw.semisup.settings import PseudoLabelling


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeMatchSettings(PseudoLabelling):
    """Settings of `freematch`.

    Args:
        momentum: momentum of the running means of confidence, class shares and their histogram
        fairness_weight: weight of the loss that keeps the class shares; 0 turns it off
    """

    momentum: float = 0.999
    fairness_weight: float = 0.01

    def __post_init__(self) -> None:
        super(FreeMatchSettings, self).__post_init__()
        require_at_least(0, self, "fairness_weight")
        require_below_one(self, "momentum")


SETTINGS = FreeMatchSettings
