"""Running means of batch statistics: state that is learned besides the weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from abaw.core.data_parallel import mean_over_processes


class RunningMean(nn.Module):
    """`value ← m·value + (1 − m)·new`, with m = min(momentum, (1 + t) / (10 + t)) after t updates.

    The start is soon forgotten, as in the average of the weights (our reading). In data-parallel runs, new is the mean
    over the processes. value: a buffer of any shape.
    """

    value: Tensor
    updates: Tensor

    def __init__(self, start: Tensor, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("value", start.clone().float())
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def update(self, new: Tensor) -> None:
        momentum = torch.clamp((1 + self.updates) / (10 + self.updates), max=self.momentum)
        self.value.lerp_(mean_over_processes(new.float()), 1 - momentum)
        self.updates += 1


class ClassMarginal(RunningMean):
    """q̂: how often the model predicts each class on unlabelled faces, (C,); starts at 1/C and sums to 1.

    There is one entry per class: a scalar would shift all logits equally, which changes no prediction.
    """

    def __init__(self, num_classes: int, momentum: float) -> None:
        super().__init__(torch.full((num_classes,), 1 / num_classes), momentum)

    @torch.no_grad()
    def update(self, new: Tensor) -> None:
        """new: probabilities (B, C)."""
        super().update(new.mean(0))

    @property
    def log(self) -> Tensor:
        """log q̂, (C,), finite."""
        return self.value.clamp_min(1e-6).log()
