"""The exponential moving average of a model's weights."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn


class Ema:
    """The averaged copy of a model. model: that copy, in eval mode and without gradients.

    Each update sets every floating-point entry of the state (weights and batch-norm statistics) to
    `d · copy + (1 − d) · model`; integer entries are copied. After t updates, `d = min(decay, (1 + t) / (10 + t))`: it
    starts at 0.18, which soon forgets the random start.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        averages: list[Tensor] = []
        news: list[Tensor] = []
        new_state = model.state_dict()
        for name, average in self.model.state_dict().items():
            if average.is_floating_point():
                averages.append(average)
                news.append(new_state[name])
            else:
                average.copy_(new_state[name])
        torch._foreach_lerp_(averages, news, 1 - decay)

    def state_dict(self) -> dict[str, Any]:
        return {"updates": self.updates, "model": self.model.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.updates = int(state["updates"])
        self.model.load_state_dict(state["model"])
