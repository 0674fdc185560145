"""Mixtures of experts with a noisy gate: LEAF's aggregation (arXiv 2404.15041). B batch, D feature, E experts."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from abaw.core.data_parallel import drawn_for_all, mean_over_processes
from abaw.models.architecture import Experts


class ExpertMixture(nn.Module):
    """Features (…, D) -> (…, D): `y = log Σ_e g_e(x) · exp(E_e(x))`, elementwise, over the top k of E experts.

    Each expert is `x + W_2 relu(W_1 x + b_1) + b_2` with hidden width D / 2. The gate is
    `g = softmax(top k of (x W_g + ε · softplus(x W_n)) / τ)`; ε is normal noise, added only in training, and τ the
    temperature, 1 in the paper. W_2 and b_2 start at 0 (our reading): a new mixture is the identity and can follow a
    network that was trained without it.

    In training, each pass with gradients stores its balance loss for `take_balance`.
    """

    def __init__(self, width: int, experts: Experts) -> None:
        super().__init__()
        self.settings = experts
        hidden, distinct = max(1, width // 2), 1 if experts.shared else experts.count
        self.first = nn.Parameter(torch.empty(distinct, width, hidden))
        self.first_bias = nn.Parameter(torch.empty(distinct, hidden))
        self.second = nn.Parameter(torch.zeros(distinct, hidden, width))
        self.second_bias = nn.Parameter(torch.zeros(distinct, width))
        bound = 1 / math.sqrt(width)
        nn.init.uniform_(self.first, -bound, bound)
        nn.init.uniform_(self.first_bias, -bound, bound)
        self.gate = nn.Parameter(torch.zeros(width, experts.count))
        self.noise = nn.Parameter(torch.zeros(width, experts.count))
        self._balance: list[Tensor] = []

    def forward(self, features: Tensor) -> Tensor:
        # exp and log need their full range, whatever the network's precision.
        with torch.autocast(features.device.type, enabled=False):
            flat = features.reshape(-1, features.shape[-1]).float()
            mixed = torch.logsumexp(self._log_gates(flat)[..., None] + self.outputs(flat), dim=1)
        return mixed.reshape(features.shape)

    def outputs(self, features: Tensor) -> Tensor:
        """The output of every expert for features (B, D): (B, E, D), or (B, 1, D) when the experts are shared."""
        hidden = torch.einsum("bd,edh->beh", features, self.first) + self.first_bias
        return features[:, None] + torch.einsum("beh,ehd->bed", F.relu(hidden), self.second) + self.second_bias

    def _log_gates(self, features: Tensor) -> Tensor:
        """log g, (B, E): −∞ outside the top k of each row, whose g sum to 1."""
        clean = features @ self.gate
        scores, spread = clean, None
        if self.training:
            spread = F.softplus(features @ self.noise)
            count = self.settings.count
            noise = drawn_for_all(lambda size: torch.randn(size, count, device=clean.device), len(clean))
            scores = clean + noise * spread
        log_gates = self._top(scores)
        if spread is not None and torch.is_grad_enabled():
            self._balance.append(self._balance_loss(log_gates.exp(), clean, scores, spread))
        return log_gates

    def _top(self, scores: Tensor) -> Tensor:
        kept = scores.topk(self.settings.top_k, dim=1).indices
        chosen = torch.zeros_like(scores, dtype=torch.bool).scatter_(1, kept, True)
        return (scores / self.settings.temperature).masked_fill(~chosen, -torch.inf).log_softmax(1)

    def _balance_loss(self, gates: Tensor, clean: Tensor, scores: Tensor, spread: Tensor) -> Tensor:
        """CV² of the experts' gates plus CV² of their load (arXiv 1701.06538, eq. 6 to 11), a scalar.

        The load is smooth: the probability that an expert is among the top k when only its own noise is redrawn.
        """
        k, count = self.settings.top_k, self.settings.count
        if k == count:
            return _variation(mean_over_processes(gates.sum(0)))
        highest = scores.topk(k + 1, dim=1).values
        # An expert inside the top k must beat the best one outside; an expert outside, the last one inside.
        inside = scores > highest[:, k:]
        rival = torch.where(inside, highest[:, k:], highest[:, k - 1 : k])
        probability = torch.special.ndtr((clean - rival) / spread.clamp_min(1e-6))
        return _variation(mean_over_processes(gates.sum(0))) + _variation(mean_over_processes(probability.sum(0)))

    def take_balance(self) -> Tensor | None:
        """The mean balance loss of the passes since the last call, a scalar; None without any pass."""
        losses, self._balance = self._balance, []
        return torch.stack(losses).mean() if losses else None

    @torch.no_grad()
    def load(self, features: Tensor) -> Tensor:
        """The share of features (B, D) whose top k includes each expert, without noise: (E,)."""
        return self._top(features.float() @ self.gate).isfinite().float().mean(0)


def _variation(values: Tensor) -> Tensor:
    """The squared coefficient of variation of (E,) values."""
    return values.var(correction=0) / values.mean().square().clamp_min(1e-10)


def take_balance_loss(module: nn.Module) -> Tensor | None:
    """The sum of `take_balance` over the mixtures in `module`, a scalar; None when no mixture has a loss."""
    mixtures = [each for each in module.modules() if isinstance(each, ExpertMixture)]
    losses = [loss for each in mixtures if (loss := each.take_balance()) is not None]
    return torch.stack(losses).sum() if losses else None
