"""FreeMatch (arXiv 2205.07246): thresholds that follow the model's confidence, and a fairness loss."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from abaw.core.data_parallel import mean_over_processes
from abaw.semisup.image_method import PseudoLabelMethod, Setup
from abaw.semisup.losses import masked_cross_entropy
from abaw.semisup.methods.freematch.settings import FreeMatchSettings
from abaw.semisup.running import RunningMean
from abaw.semisup.thresholds import SelfAdaptive


class FreeMatch(PseudoLabelMethod[FreeMatchSettings]):
    """FixMatch's loss with the self-adaptive threshold, and the fairness loss (eq. 11, 12).

    `L_f = Σ_c SumNorm(p̃ / h̃)_c · log SumNorm(p̄ / h̄)_c`: p̄ is the mean prediction of the strong views above the
    threshold, h̄ the histogram of their classes; p̃ and h̃ are running means of both over all weak views.
    """

    def __init__(self, setup: Setup, settings: FreeMatchSettings) -> None:
        super().__init__(setup, settings)
        self.threshold = SelfAdaptive(setup.num_classes, settings.momentum)
        even = torch.full((setup.num_classes,), 1 / setup.num_classes)
        self.histogram = RunningMean(even, settings.momentum)

    def unlabelled_loss(self, strong: Tensor, weak: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        probs = weak.softmax(1)
        pseudo = probs.argmax(1)
        self.threshold.learn_unlabelled(probs)
        self.histogram.update(_histogram(pseudo, probs.shape[1]))
        mask = self.threshold.mask(probs)
        loss = masked_cross_entropy(strong, pseudo, mask)
        fairness = self._fairness(strong[mask])
        return loss + self.settings.fairness_weight * fairness, {
            "mask": mask.float().mean(),
            "threshold": self.threshold.confidence.value.clone(),
            "loss/fairness": fairness,
        }

    def _fairness(self, strong: Tensor) -> Tensor:
        """L_f of the batch of all processes, a scalar; 0 without samples.

        strong: logits (M, C) of the samples above the threshold.
        """
        probs = strong.float().softmax(1)
        count = mean_over_processes(probs.new_tensor(float(len(probs))))
        if not count:
            return strong.sum()
        target = _sum_norm(self.threshold.marginal.value / self.histogram.value.clamp_min(1e-6))
        predicted = F.one_hot(probs.argmax(1), probs.shape[1]).float()
        shares = mean_over_processes(predicted.sum(0)) / count
        # A class without predicted samples has no ratio and is left out, as in the authors' code.
        ratio = torch.where(shares > 0, mean_over_processes(probs.sum(0)) / count / shares.clamp_min(1e-6), 0.0)
        return (target * _sum_norm(ratio).clamp_min(1e-6).log()).sum()


def _histogram(classes: Tensor, num_classes: int) -> Tensor:
    """The shares of the classes, (C,). classes: (B,)."""
    return F.one_hot(classes, num_classes).float().mean(0)


def _sum_norm(values: Tensor) -> Tensor:
    return values / values.sum()


METHOD = FreeMatch
