"""Losses that several methods share; each is a mean over the batch (of one process). B batch, C class, D feature."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from abaw.core.data_parallel import mean_over_processes, rows_of_all


def smoothed(targets: Tensor, label_smoothing: float) -> Tensor:
    """Label smoothing: target distributions (B, C) with the share `label_smoothing` spread over all classes."""
    return (1 - label_smoothing) * targets + label_smoothing / targets.shape[1]


def masked_cross_entropy(logits: Tensor, pseudo: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy of the samples where `mask` is True, divided by the whole batch's size (arXiv 2001.07685, eq. 4).

    logits: (B, C); pseudo: (B,) classes; mask: (B,) bool. Returns a scalar, 0 when no sample is chosen.
    """
    losses = F.cross_entropy(logits, pseudo, reduction="none")
    return (losses * mask).sum() / len(mask)


def selective_negative_loss(logits: Tensor, teacher: Tensor, mask: Tensor, unlikely: float) -> Tensor:
    """`−Σ_{c∈N} log(1 − p_c)` of the samples where `mask` is True, divided by the whole batch's size.

    N: the classes whose teacher probability, (B, C), is below `unlikely`, which the sample is taken not to be (arXiv
    2601.05556; complementary labels as in arXiv 1705.07541; our reading). p: softmax of the logits, (B, C).
    """
    logits = logits.float()
    # log(1 − p_c) = log of the sum over the others − log of the sum over all; also exact when p_c is near 1.
    itself = torch.eye(logits.shape[1], dtype=torch.bool, device=logits.device)
    others = torch.logsumexp(logits[:, None].masked_fill(itself, -torch.inf), dim=2)
    log_not = others - torch.logsumexp(logits, dim=1, keepdim=True)
    losses = -(log_not * (teacher < unlikely)).sum(1)
    return (losses * mask).sum() / len(mask)


def class_balanced_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean, over the classes in the batch, of each class's mean cross-entropy. logits: (B, C); labels: (B,).

    In data-parallel runs, the mean over the processes is that of the batch of all.
    """
    losses = F.cross_entropy(logits, labels, reduction="none")
    counts = mean_over_processes(torch.bincount(labels, minlength=logits.shape[1]).float())
    weights = 1 / counts[labels]
    return (losses * weights).sum() / (counts > 0).sum()


def info_nce(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """SimCLR's loss between two views of each sample (arXiv 2002.05709): all other views are negatives.

    In data-parallel runs, the samples are those of all processes. first, second: features (B, D) each. Returns a
    scalar, 0 for fewer than 2 samples, which have no negatives.
    """
    first, second = rows_of_all(first), rows_of_all(second)
    count = len(first)
    if count < 2:
        return first.sum() * 0
    features = F.normalize(torch.cat([first, second]), dim=1)
    similarities = features @ features.T / temperature
    itself = torch.eye(2 * count, dtype=torch.bool, device=features.device)
    partners = torch.arange(2 * count, device=features.device).roll(count)
    return F.cross_entropy(similarities.masked_fill(itself, -torch.inf), partners)
