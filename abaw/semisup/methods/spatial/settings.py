"""Settings of `spatial`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from abaw.core.ranges import require_below_one, require_share
from abaw.semisup.settings import MarginSettings, PseudoLabelling


@dataclass(frozen=True, slots=True, kw_only=True)
class SpatialSettings(PseudoLabelling):
    """Settings of `spatial`; how labelled faces are drawn is said by `balance`, the start by `warm_start_steps`.

    Args:
        threshold: margin, per class and stage from labelled faces; self_adaptive, FreeMatch's; fixed, one for all
        margin: the thresholds of `margin`
        fixed_threshold: the threshold of `fixed`
        debias: λ, how much of log q̂ is taken off the teacher's logits; 0 leaves it out
        momentum: of q̂ and of the self-adaptive threshold
        feedback: the teacher is a network of its own, corrected by what its labels did to the student; without it, the
            teacher is as `teacher` says
        feedback_step: length of the trial step by which that is measured
        finetune: share of the steps, at the end, that learn from labelled faces alone; 0 leaves it out
        negative_weight: weight of selective negative learning on faces below their threshold, which is none of the
            paper's parts (`dta_snl` has it); 0 leaves it out
        unlikely: classes to which the teacher gives less are, for that, what a face is not
    """

    prior_power: float | None = 0.5
    threshold: Literal["margin", "self_adaptive", "fixed"] = "margin"
    margin: MarginSettings = MarginSettings(lowest=0.6)
    fixed_threshold: float = 0.95
    debias: float = 0.0
    momentum: float = 0.999
    feedback: bool = False
    feedback_step: float = 0.1
    finetune: float = 0.0
    negative_weight: float = 0.0
    unlikely: float = 0.05

    def __post_init__(self) -> None:
        super(SpatialSettings, self).__post_init__()
        require_share(self, "fixed_threshold", "finetune", "unlikely")
        require_below_one(self, "momentum")


SETTINGS = SpatialSettings
