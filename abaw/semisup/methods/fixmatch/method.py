"""FixMatch (arXiv 2001.07685): pseudo-labels above a fixed confidence train the strong view."""

from __future__ import annotations

from torch import Tensor

from abaw.semisup.image_method import PseudoLabelMethod, Setup
from abaw.semisup.losses import masked_cross_entropy
from abaw.semisup.methods.fixmatch.settings import FixMatchSettings
from abaw.semisup.thresholds import FixedThreshold


class FixMatch(PseudoLabelMethod[FixMatchSettings]):
    """`L = CE(labelled) + λ_u · mean over u of 1[max p(α(u)) >= τ] · CE(f(A(u)), argmax p(α(u)))`."""

    def __init__(self, setup: Setup, settings: FixMatchSettings) -> None:
        super().__init__(setup, settings)
        self.threshold = FixedThreshold(setup.num_classes, settings.threshold)

    def unlabelled_loss(self, strong: Tensor, weak: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        probs = weak.softmax(1)
        mask = self.threshold.mask(probs)
        return masked_cross_entropy(strong, probs.argmax(1), mask), {"mask": mask.float().mean()}


METHOD = FixMatch
