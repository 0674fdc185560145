"""Losses of the temporal model's tasks. Frames without a label for a task are left out of its loss.

In data-parallel runs, the mean of a loss over the processes is that of the batch of all.

Shapes: N frames of a batch, C class.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from abaw.core.data_parallel import mean_over_processes, own_part, weight_of_part
from abaw.training.sequence_settings import SequenceLearning

_LARGEST_WEIGHT = 10.0


def ccc_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """1 - the concordance correlation coefficient, averaged over valence and arousal (the VA challenge's measure).

    predicted, target: (N, 2) in [-1, 1]; target is NaN where not annotated. Returns a scalar, 0 with fewer than two
    annotated frames.
    """
    known = ~target.isnan().any(dim=-1)
    count = mean_over_processes(known.sum().float())
    if float(count) * own_part().count < 2:
        return predicted.sum() * 0
    predicted, target = predicted[known].float(), target[known].float()

    def mean(values: Tensor) -> Tensor:
        return mean_over_processes(values.sum(dim=0)) / count

    predicted_mean, target_mean = mean(predicted), mean(target)
    covariance = mean((predicted - predicted_mean) * (target - target_mean))
    spread = mean((predicted - predicted_mean).square()) + mean((target - target_mean).square())
    # Avoids 0 / 0 when all targets of a batch are equal and the model predicts exactly that value.
    concordance = 2 * covariance / (spread + (predicted_mean - target_mean).square() + 1e-6)
    return (1 - concordance).mean()


def action_unit_loss(logits: Tensor, target: Tensor, positive_weight: Tensor) -> Tensor:
    """Binary cross-entropy, averaged over all annotated values; values that are on have weight `positive_weight`.

    logits: (N, 12); target: (N, 12), 1 on, 0 off, -1 not annotated; positive_weight: (12,). Returns a scalar, 0 when
    nothing is annotated.
    """
    known = target >= 0
    share = weight_of_part(known.sum())
    if not bool(known.any()):
        return logits.sum() * 0
    each = F.binary_cross_entropy_with_logits(
        logits.float(), target.clamp_min(0).float(), pos_weight=positive_weight, reduction="none"
    )
    return share * each[known].mean()


def positive_weights(counts: NDArray[np.int64]) -> Tensor:
    """Weights of "on" for each action unit, (12,): off / on, within 1/10..10.

    counts: (12, 2), frames with each unit off and on.
    """
    smoothed = torch.as_tensor(counts, dtype=torch.float32) + 1
    return (smoothed[:, 0] / smoothed[:, 1]).clamp(1 / _LARGEST_WEIGHT, _LARGEST_WEIGHT)


def expected_shares(
    drawn: NDArray[np.int64], counts: NDArray[np.int64], learning: SequenceLearning
) -> tuple[float, ...]:
    """The class shares for which the expression loss makes the predictions right, C; uniform without frames.

    drawn: (C,) labelled frames of each class in the windows; counts: (C,) in the videos.
    """
    shares = torch.as_tensor(drawn, dtype=torch.float64)
    if learning.balance == "logit_adjustment":
        shares = shares * torch.as_tensor(counts, dtype=torch.float64).clamp_min(1) ** -learning.balance_strength
    elif learning.balance == "class_weights":
        shares = shares * class_weights(counts, learning.balance_strength)
    if not shares.any():
        shares = torch.ones_like(shares)
    return tuple((shares / shares.sum()).tolist())


def class_weights(counts: NDArray[np.int64], strength: float = 1.0) -> Tensor:
    """Inverse class shares to the power `strength`, (C,): at most 10 times their mean, with mean 1 over the frames.

    A class without frames gets the largest weight of the others. counts: (C,), frames per class.
    """
    frames = torch.as_tensor(counts, dtype=torch.float32)
    seen = frames > 0
    inverse = torch.where(seen, frames.clamp_min(1) ** -strength, 0)
    inverse = torch.where(seen, inverse, inverse.max())
    inverse = inverse.clamp_max(_LARGEST_WEIGHT * inverse.mean())
    return inverse * frames.sum() / (inverse * frames).sum()
