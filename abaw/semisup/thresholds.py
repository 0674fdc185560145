"""Which pseudo-labels are used: confidence thresholds that follow the model's progress. B batch, C class."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from abaw.core.data_parallel import sum_over_processes
from abaw.semisup.running import RunningMean
from abaw.semisup.settings import MarginSettings


class Threshold(nn.Module, ABC):
    """The confidence that a pseudo-label must reach, per class."""

    @abstractmethod
    def values(self) -> Tensor:
        """The thresholds, (C,)."""

    def mask(self, probs: Tensor) -> Tensor:
        """True where the highest of the probabilities (B, C) reaches the threshold of its class, (B,)."""
        confidence, classes = probs.max(1)
        return confidence >= self.values().to(probs)[classes]

    def learn_labelled(self, probs: Tensor, labels: Tensor) -> None:
        """Update from predictions (B, C) on labelled faces and their labels (B,)."""

    def learn_unlabelled(self, probs: Tensor) -> None:
        """Update from predictions (B, C) on weak views of unlabelled faces."""


class FixedThreshold(Threshold):
    """One constant threshold for all classes (arXiv 2001.07685)."""

    _values: Tensor

    def __init__(self, num_classes: int, threshold: float) -> None:
        super().__init__()
        self.register_buffer("_values", torch.full((num_classes,), threshold), persistent=False)

    def values(self) -> Tensor:
        return self._values


class AdaptiveMargin(Threshold):
    """A threshold per class and stage of training: Ada-CM's margin (arXiv 2203.12341).

    `T_c(e) = max(lowest, highest / (1 + exp(−e)) · mean{max p(x): x labelled and correctly predicted as c})`, updated
    every `stage_steps` steps (in the paper, every epoch); e is the number of finished stages. A class without a correct
    prediction in a stage keeps its mean. During the first stage every threshold is `lowest`.
    """

    thresholds: Tensor
    _means: Tensor
    _sums: Tensor
    _counts: Tensor
    _steps: Tensor

    def __init__(self, num_classes: int, settings: MarginSettings) -> None:
        super().__init__()
        self._settings = settings
        self.register_buffer("thresholds", torch.full((num_classes,), settings.lowest))
        for name in ("_means", "_sums", "_counts"):
            self.register_buffer(name, torch.zeros(num_classes))
        self.register_buffer("_steps", torch.zeros((), dtype=torch.long))

    def values(self) -> Tensor:
        return self.thresholds

    @torch.no_grad()
    def learn_labelled(self, probs: Tensor, labels: Tensor) -> None:
        confidence, classes = probs.float().max(1)
        correct = (classes == labels).float()
        new = torch.stack([confidence * correct, correct])
        sums, counts = sum_over_processes(new.new_zeros(2, len(self._sums)).index_add_(1, labels, new))
        self._sums += sums
        self._counts += counts
        self._steps += 1
        stage, rest = divmod(int(self._steps), self._settings.stage_steps)
        if rest == 0:
            self._end_stage(stage)

    def _end_stage(self, stage: int) -> None:
        seen = self._counts > 0
        self._means[seen] = self._sums[seen] / self._counts[seen]
        ceiling = self._settings.highest * torch.sigmoid(torch.tensor(float(stage)))
        self.thresholds.copy_((ceiling * self._means).clamp_min(self._settings.lowest))
        self._sums.zero_()
        self._counts.zero_()


class SelfAdaptive(Threshold):
    """FreeMatch's thresholds (arXiv 2205.07246, eq. 5–8), which use only unlabelled faces.

    `τ ← m τ + (1 − m)·mean max p` and `p̃ ← m p̃ + (1 − m)·mean p`, both starting at 1/C; the threshold of class c is
    `τ · p̃_c / max p̃`.
    """

    def __init__(self, num_classes: int, momentum: float) -> None:
        super().__init__()
        self.confidence = RunningMean(torch.tensor(1 / num_classes), momentum)
        self.marginal = RunningMean(torch.full((num_classes,), 1 / num_classes), momentum)

    def values(self) -> Tensor:
        marginal = self.marginal.value
        return self.confidence.value * marginal / marginal.max()

    @torch.no_grad()
    def learn_unlabelled(self, probs: Tensor) -> None:
        self.confidence.update(probs.max(1).values.mean())
        self.marginal.update(probs.mean(0))
