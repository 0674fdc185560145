"""Losses of the temporal model's tasks. Frames without a label of a task do not count in it.

Shapes: N frames of a batch.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

_LARGEST_WEIGHT = 10.0


def ccc_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """1 - the concordance correlation coefficient, mean over valence and arousal (the measure of the VA challenge).

    predicted, target: (N, 2) in [-1, 1], target NaN where not annotated. 0 without two annotated frames.
    """
    known = ~target.isnan().any(dim=-1)
    if int(known.sum()) < 2:
        return predicted.sum() * 0
    predicted, target = predicted[known].float(), target[known].float()
    predicted_mean, target_mean = predicted.mean(dim=0), target.mean(dim=0)
    covariance = ((predicted - predicted_mean) * (target - target_mean)).mean(dim=0)
    spread = predicted.var(dim=0, correction=0) + target.var(dim=0, correction=0)
    # Where a batch has one value only and the model says it, nothing is wrong: the small number makes that 0 / small.
    concordance = 2 * covariance / (spread + (predicted_mean - target_mean).square() + 1e-6)
    return (1 - concordance).mean()


def action_unit_loss(logits: Tensor, target: Tensor, positive_weight: Tensor) -> Tensor:
    """Binary cross-entropy, frames in which a unit is on weighing `positive_weight` (12,), mean over annotated values.

    logits: (N, 12); target: (N, 12) 1 on, 0 off, -1 not annotated. 0 when nothing is annotated.
    """
    known = target >= 0
    if not bool(known.any()):
        return logits.sum() * 0
    each = F.binary_cross_entropy_with_logits(
        logits.float(), target.clamp_min(0).float(), pos_weight=positive_weight, reduction="none"
    )
    return each[known].mean()


def positive_weights(counts: NDArray[np.int64]) -> Tensor:
    """counts: (12, 2) frames with each unit off and on. Returns (12,) off / on, at most 10 and at least 1/10."""
    smoothed = torch.as_tensor(counts, dtype=torch.float32) + 1
    return (smoothed[:, 0] / smoothed[:, 1]).clamp(1 / _LARGEST_WEIGHT, _LARGEST_WEIGHT)


def class_weights(counts: NDArray[np.int64], strength: float = 1.0) -> Tensor:
    """counts: (C,). Returns (C,) inverse class shares to the power `strength`, at most 10 times the mean; the mean over
    the frames is 1.

    A class without a frame gets the largest weight that another has.
    """
    frames = torch.as_tensor(counts, dtype=torch.float32)
    seen = frames > 0
    inverse = torch.where(seen, frames.clamp_min(1) ** -strength, 0)
    inverse = torch.where(seen, inverse, inverse.max())
    inverse = inverse.clamp_max(_LARGEST_WEIGHT * inverse.mean())
    return inverse * frames.sum() / (inverse * frames).sum()
