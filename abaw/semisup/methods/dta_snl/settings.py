"""Settings of `dta_snl`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from abaw.core.ranges import require_at_least, require_below_one, require_within
from abaw.semisup.settings import PseudoLabelling


@dataclass(frozen=True, slots=True, kw_only=True)
class DtaSnlSettings(PseudoLabelling):
    """Settings of `dta_snl`; classes are drawn equally often (`balance`), the teacher is the average.

    Args:
        threshold: self_adaptive rises with what each class has learnt (as in FreeMatch), fixed is the same for all
        momentum: momentum of the self-adaptive threshold
        fixed_threshold: the threshold of `fixed`
        negative_weight: weight of selective negative learning; 0 turns it off
        unlikely: classes with a lower probability than this, according to the teacher, are negative labels of a face
        attention_maps: number of local attention maps; 0 turns them off
        map_dropout: leave out one map of each image while training
    """

    view: Literal["weak", "strong"] = "weak"
    prior_power: float | None = 0.5
    threshold: Literal["self_adaptive", "fixed"] = "self_adaptive"
    momentum: float = 0.999
    fixed_threshold: float = 0.95
    negative_weight: float = 1.0
    unlikely: float = 0.05
    attention_maps: int = 4
    map_dropout: bool = True

    def __post_init__(self) -> None:
        super(DtaSnlSettings, self).__post_init__()
        require_at_least(0, self, "negative_weight")
        require_below_one(self, "momentum")
        require_within(0, 1, self, "fixed_threshold", "unlikely")


SETTINGS = DtaSnlSettings
