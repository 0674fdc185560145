"""DTA + SNL (arXiv 2601.05556): local attention, thresholds that follow what is learnt, and labels of what it is not.

The paper has no public code. What it names and what it aims at is its; the forms are our reading, each with a switch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from abaw.models.architecture import Architecture
from abaw.models.local_attention import attention_of
from abaw.semisup.image_method import PseudoLabelMethod, Setup
from abaw.semisup.losses import masked_cross_entropy, selective_negative_loss
from abaw.semisup.settings import PseudoLabelling, require_momentum, require_share
from abaw.semisup.thresholds import FixedThreshold, SelfAdaptive, Threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class DtaSnlSettings(PseudoLabelling):
    """Settings of `dta_snl`; classes are drawn alike (`balance`), the teacher is the average.

    Args:
        threshold: self_adaptive, rises with what each class has learnt (FreeMatch's); fixed, one for all
        momentum: of the self-adaptive threshold
        fixed_threshold: the threshold of `fixed`
        negative_weight: weight of selective negative learning; 0 leaves it out
        unlikely: classes to which the teacher gives less are what a face is not
        attention_maps: local attention maps; 0 leaves them out
        map_dropout: leaves one map of each image out while training
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
        require_momentum("momentum", self.momentum)
        require_share("fixed_threshold", self.fixed_threshold)
        require_share("unlikely", self.unlikely)


class DtaSnl(PseudoLabelMethod[DtaSnlSettings]):
    """`L = L_x + λ_u · (mean 1[max p >= T_ŷ] · CE(f(A(u)), ŷ) + λ_n · mean 1[max p < T_ŷ] · L_neg)`.

    p: the teacher's probabilities of the weak view; L_neg: `selective_negative_loss`.
    """

    settings_class = DtaSnlSettings
    balance = "uniform"

    def __init__(self, setup: Setup, settings: DtaSnlSettings) -> None:
        super().__init__(setup, settings)
        self.threshold: Threshold = (
            SelfAdaptive(setup.num_classes, settings.momentum)
            if settings.threshold == "self_adaptive"
            else FixedThreshold(setup.num_classes, settings.fixed_threshold)
        )
        attention = attention_of(setup.model)
        if attention is not None:
            attention.drop = settings.map_dropout

    @classmethod
    def architecture(cls, base: Architecture, settings: DtaSnlSettings) -> Architecture:
        return replace(base, attention_maps=settings.attention_maps)

    def unlabelled_loss(self, strong: Tensor, weak: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        probs = weak.softmax(1)
        self.threshold.learn_unlabelled(probs)
        mask = self.threshold.mask(probs)
        positive = masked_cross_entropy(strong, probs.argmax(1), mask)
        negative = selective_negative_loss(strong, probs, ~mask, self.settings.unlikely)
        return positive + self.settings.negative_weight * negative, {
            "mask": mask.float().mean(),
            "threshold": self.threshold.values().mean(),
            "loss/negative": negative,
        }


METHOD = DtaSnl
