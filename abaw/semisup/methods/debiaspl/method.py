"""DebiasPL (arXiv 2201.01490): pseudo-labels without the bias towards some classes, and a loss with class margins."""

from __future__ import annotations

from torch import Tensor

from abaw.semisup.image_method import PseudoLabelMethod, Setup
from abaw.semisup.losses import masked_cross_entropy
from abaw.semisup.methods.debiaspl.settings import DebiasPLSettings
from abaw.semisup.running import ClassMarginal
from abaw.semisup.thresholds import FixedThreshold


class DebiasPL(PseudoLabelMethod[DebiasPLSettings]):
    """`p̃ = softmax(f(α(u)) − λ log q̂)`; where max p̃ >= τ: `CE(f(A(u)) + λ log q̂, argmax p̃)` (eq. 1–4)."""

    def __init__(self, setup: Setup, settings: DebiasPLSettings) -> None:
        super().__init__(setup, settings)
        self.threshold = FixedThreshold(setup.num_classes, settings.threshold)
        self.marginal = ClassMarginal(setup.num_classes, settings.momentum)

    def unlabelled_loss(self, strong: Tensor, weak: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        shift = self.settings.strength * self.marginal.log
        self.marginal.update(weak.softmax(1))
        probs = (weak - shift).softmax(1)
        mask = self.threshold.mask(probs)
        loss = masked_cross_entropy(strong + shift, probs.argmax(1), mask)
        return loss, {"mask": mask.float().mean(), "marginal/lowest": self.marginal.value.min()}


METHOD = DebiasPL
