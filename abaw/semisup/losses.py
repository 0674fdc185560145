"""Losses that several methods share. B batch, C class, D feature; every one is a mean over the whole batch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def smoothed(targets: Tensor, label_smoothing: float) -> Tensor:
    """Target distributions (B, C) with a part spread over all classes."""
    return (1 - label_smoothing) * targets + label_smoothing / targets.shape[1]


def masked_cross_entropy(logits: Tensor, pseudo: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy of the samples where `mask` is True, over the size of the whole batch (arXiv 2001.07685, eq. 4).

    logits: (B, C); pseudo: (B,) classes; mask: (B,) bool. A batch without a chosen sample gives 0.
    """
    losses = F.cross_entropy(logits, pseudo, reduction="none")
    return (losses * mask).sum() / len(mask)


def selective_negative_loss(logits: Tensor, teacher: Tensor, mask: Tensor, unlikely: float) -> Tensor:
    """`−Σ_{c∈N} log(1 − p_c)` of the samples where `mask` is True, over the size of the whole batch.

    N: the classes to which the teacher's probabilities (B, C) give less than `unlikely`: what the sample is not (arXiv
    2601.05556; complementary labels after arXiv 1705.07541; our reading). logits: (B, C), p their softmax.
    """
    logits = logits.float()
    # log(1 − p_c) = log of the sum over the others − log of the sum over all; exact where p_c is near 1, too.
    itself = torch.eye(logits.shape[1], dtype=torch.bool, device=logits.device)
    others = torch.logsumexp(logits[:, None].masked_fill(itself, -torch.inf), dim=2)
    log_not = others - torch.logsumexp(logits, dim=1, keepdim=True)
    losses = -(log_not * (teacher < unlikely)).sum(1)
    return (losses * mask).sum() / len(mask)


def class_balanced_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean over classes of the mean cross-entropy of each class that the batch holds.

    logits: (B, C); labels: (B,). On a class-uniform batch it is the usual mean, but for the chance of the draw.
    """
    losses = F.cross_entropy(logits, labels, reduction="none")
    counts = torch.bincount(labels, minlength=logits.shape[1])
    weights = 1 / counts[labels]
    return (losses * weights).sum() / (counts > 0).sum()


def info_nce(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """SimCLR's loss between two views of each sample (arXiv 2002.05709): all other views are negatives.

    first, second: features (B, D), B >= 2. With fewer samples there are no negatives: 0.
    """
    count = len(first)
    if count < 2:
        return first.sum() * 0
    features = F.normalize(torch.cat([first, second]), dim=1)
    similarities = features @ features.T / temperature
    itself = torch.eye(2 * count, dtype=torch.bool, device=features.device)
    partners = torch.arange(2 * count, device=features.device).roll(count)
    return F.cross_entropy(similarities.masked_fill(itself, -torch.inf), partners)
