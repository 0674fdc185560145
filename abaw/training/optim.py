"""The optimiser and its schedule, which depends only on the step: a resume needs no state of it."""

from __future__ import annotations

import math

import torch
from torch import nn

_BASE_LR = "base_lr"


def build_optimizer(module: nn.Module, lr: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW for the parameters that need a gradient, without weight decay for norms, biases and other vectors."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay, _BASE_LR: lr},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0, _BASE_LR: lr},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=lr)


def schedule_factor(step: int, steps: int, warmup_steps: int) -> float:
    """The factor of the learning rate at `step`, 0 <= step < steps.

    It rises linearly from 1/warmup_steps to 1 over `warmup_steps` steps, then falls along half a cosine to nearly 0.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / max(1, steps - warmup_steps)))


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set the learning rate of each group to `factor` times its initial one."""
    for group in optimizer.param_groups:
        group["lr"] = group[_BASE_LR] * factor
