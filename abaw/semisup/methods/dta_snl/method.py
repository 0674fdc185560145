"""DTA + SNL (arXiv 2601.05556): local attention, adaptive thresholds, and negative labels.

The paper has no public code: the parts and their aims are from the paper, their form is our reading. Each part has a
switch.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from abaw.models.architecture import Architecture
from abaw.models.local_attention import attention_of
from abaw.semisup.image_method import PseudoLabelMethod, Setup
from abaw.semisup.losses import masked_cross_entropy, selective_negative_loss
from abaw.semisup.methods.dta_snl.settings import DtaSnlSettings
from abaw.semisup.thresholds import FixedThreshold, SelfAdaptive, Threshold


class DtaSnl(PseudoLabelMethod[DtaSnlSettings]):
    """`L = L_x + λ_u · (mean 1[max p >= T_ŷ] · CE(f(A(u)), ŷ) + λ_n · mean 1[max p < T_ŷ] · L_neg)`.

    p: the teacher's probabilities for the weak view; L_neg: `selective_negative_loss`.
    """

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
