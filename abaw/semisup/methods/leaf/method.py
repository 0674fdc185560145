"""LEAF (arXiv 2404.15041): mixtures of experts at two levels, and pseudo-labels of several classes for unclear faces.

There are three levels. Semantic: the pooled feature goes through a mixture of experts and is scaled to a fixed length.
Instance: a second mixture precedes the classifier. Category: the most likely classes of a face together are its
pseudo-label. The paper's published code differs from the paper in four points, which `release_compat` reproduces.

Some defaults are ours. As in `spatial`, classes are drawn by the square root of their counts, `prior_power` corrects
for this, and margins start at .6: with natural class frequencies rare classes were not learned, and with margins from
.8, as in the paper, the model learned less. Labelled faces have weight 1, as in the other methods (.5 in the paper).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from abaw.models.architecture import Architecture
from abaw.semisup.image_method import Setup
from abaw.semisup.margin_method import MarginMethod
from abaw.semisup.methods.leaf.settings import LeafSettings

_MAX_CLASSES = 3
_SHARPNESS = 50.0


class Ambiguity(NamedTuple):
    """positive: (B, C), True for the classes of the pseudo-label; weight: (B,), of each face's loss, in 0..1."""

    positive: Tensor
    weight: Tensor


def ambiguity(probs: Tensor, enough: float) -> Ambiguity:
    """Which classes a prediction (B, C) leaves possible, and how clearly they are separated from the others.

    With p_0 >= p_1 >= … and c_i = p_0 + … + p_{i−1}, K is the smallest i of 1, 2, 3 with c_i >= `enough`, else 3; the K
    most likely classes are positive. With m = c_K / (K + 1), the weight is `log(1 + 50 (m − p_K)) / log(1 + 50 m)`,
    limited to 0..1.
    """
    most = min(_MAX_CLASSES, probs.shape[1] - 1)
    ranked, order = probs.sort(dim=1, descending=True, stable=True)
    sums = ranked.cumsum(1)[:, :most]
    count = (1 + (sums[:, :-1] < enough).sum(1, keepdim=True)).clamp_max(most)
    positive = torch.zeros_like(probs, dtype=torch.bool)
    positive.scatter_(1, order, torch.arange(probs.shape[1], device=probs.device) < count)
    mean = sums.gather(1, count - 1) / (count + 1)
    gap = (mean - ranked.gather(1, count)).clamp_min(0)
    weight = torch.log1p(_SHARPNESS * gap) / torch.log1p(_SHARPNESS * mean)
    return Ambiguity(positive, weight.squeeze(1).clamp_max(1))


def ambiguous_loss(logits: Tensor, positive: Tensor) -> Tensor:
    """`softplus(LSE_{positive}(−s) + LSE_{others}(s))`, (B,): raises all positive classes above all others.

    With one positive class it equals the cross-entropy. logits: s, (B, C); positive: (B, C) bool.
    """
    low = torch.logsumexp((-logits).masked_fill(~positive, -torch.inf), dim=1)
    high = torch.logsumexp(logits.masked_fill(positive, -torch.inf), dim=1)
    return F.softplus(low + high)


class Leaf(MarginMethod[LeafSettings]):
    """`L = L_x + mean over u of 1[above] · w · ambiguous loss + 0.1 L_s + 0.01 load balance`."""

    aggregation = "experts"
    balance = "sqrt"

    def __init__(self, setup: Setup, settings: LeafSettings) -> None:
        super().__init__(setup, settings)
        if settings.release_compat:
            # Kept with weight 0: in data-parallel runs every weight needs a gradient.
            self._load_balance = 0.0

    @classmethod
    def architecture(cls, base: Architecture, settings: LeafSettings) -> Architecture:
        if not settings.release_compat or base.experts is None:
            return base
        return replace(base, experts=replace(base.experts, shared=True, top_k=1))

    def prediction(self, first: Tensor, second: Tensor) -> Tensor:
        return ((first + second) / 2).softmax(1)

    def unlabelled_loss(self, strong: Tensor, probs: Tensor, mask: Tensor) -> Tensor:
        found = ambiguity(probs, self.settings.enough if self.settings.ambiguous else 0.0)
        weight = found.weight if self.settings.ambiguous else torch.ones_like(found.weight)
        losses = weight * ambiguous_loss(strong.float(), found.positive)
        if self.settings.release_compat:
            return losses.mean() * mask.float().mean()
        return (losses * mask).mean()


METHOD = Leaf
