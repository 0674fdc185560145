"""Settings of `spatial`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from abaw.core.errors import ConfigError
from abaw.core.ranges import require_at_least, require_below_one, require_positive, require_within
from abaw.semisup.settings import MarginSettings, PseudoLabelling


@dataclass(frozen=True, slots=True, kw_only=True)
class SpatialSettings(PseudoLabelling):
    """Settings of `spatial`; `balance` sets how labelled faces are drawn, `warm_start_steps` where it starts.

    Args:
        threshold: margin is per class and stage, from labelled faces; self_adaptive is FreeMatch's; fixed is the same
            for all classes
        margin: the thresholds of `margin`
        fixed_threshold: the threshold of `fixed`
        debias: λ, the weight of log q̂ that is subtracted from the teacher's logits; 0 turns it off
        momentum: momentum of q̂ and of the self-adaptive threshold
        feedback: the teacher is a separate network, corrected by the effect h of its labels on the student. scaled (or
            true): h in units of its deviation is added to the weight of the unlabelled loss; centred: h, less its mean,
            is the weight of the teacher's own labels alone; face2exp: h of the student's real step, as in the code of
            Meta-Face2Exp (which uses every pseudo-label: `fixed_threshold` 0). false: none, and `teacher` applies
        feedback_step: length of the trial step by which scaled and centred measure that effect
        finetune: share of the steps, at the end, that use labelled faces only; 0 turns it off
        negative_weight: weight of selective negative learning on faces below their threshold, which is not in the paper
            (`dta_snl` has it); 0 turns it off
        unlikely: classes with a lower probability than this, according to the teacher, are negative labels of a face
    """

    prior_power: float | None = 0.5
    threshold: Literal["margin", "self_adaptive", "fixed"] = "margin"
    margin: MarginSettings = MarginSettings(lowest=0.6)
    fixed_threshold: float = 0.95
    debias: float = 0.0
    momentum: float = 0.999
    feedback: bool | Literal["scaled", "centred", "face2exp"] = "scaled"
    feedback_step: float = 0.1
    finetune: float = 0.0
    negative_weight: float = 0.0
    unlikely: float = 0.05

    def __post_init__(self) -> None:
        super(SpatialSettings, self).__post_init__()
        require_at_least(0, self, "debias", "negative_weight")
        require_positive(self, "feedback_step")
        require_within(0, 1, self, "fixed_threshold", "finetune", "unlikely")
        require_below_one(self, "momentum")
        if self.feedback and self.teacher != "average":
            raise ConfigError(f"teacher {self.teacher} applies without feedback only; add --spatial.feedback false")

    @property
    def needs_average(self) -> bool:
        """With feedback the teacher is a network of its own."""
        return self.feedback is False and super(SpatialSettings, self).needs_average


SETTINGS = SpatialSettings
