"""DebiasPL (arXiv 2201.01490): pseudo-labels freed of the favour for some classes, and margins that keep it so."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from abaw.semisup.image_method import PseudoLabelMethod, Setup
from abaw.semisup.losses import masked_cross_entropy
from abaw.semisup.running import ClassMarginal
from abaw.semisup.settings import PseudoLabelling, require_momentum, require_share
from abaw.semisup.thresholds import FixedThreshold


@dataclass(frozen=True, slots=True, kw_only=True)
class DebiasPLSettings(PseudoLabelling):
    """Settings of `debiaspl`.

    Args:
        threshold: confidence that a debiased pseudo-label must reach
        strength: λ, how much of log q̂ is taken off the teacher's logits and added to the model's
        momentum: of q̂, the running mean of the predictions
    """

    threshold: float = 0.95
    strength: float = 0.5
    momentum: float = 0.999

    def __post_init__(self) -> None:
        super(DebiasPLSettings, self).__post_init__()
        require_share("threshold", self.threshold)
        require_momentum("momentum", self.momentum)


class DebiasPL(PseudoLabelMethod[DebiasPLSettings]):
    """`p̃ = softmax(f(α(u)) − λ log q̂)`; where max p̃ >= τ: `CE(f(A(u)) + λ log q̂, argmax p̃)` (eq. 1–4)."""

    settings_class = DebiasPLSettings

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
