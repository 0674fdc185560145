"""Mixtures of experts with a noisy gate: LEAF's aggregation (arXiv 2404.15041). B batch, D feature, E experts."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from abaw.models.architecture import Experts


class ExpertMixture(nn.Module):
    """Features (…, D) -> (…, D): `y = log Σ_e g_e(x) · exp(E_e(x))`, entry by entry, over the top k of E experts.

    Each expert is `x + W_2 relu(W_1 x + b_1) + b_2` with a hidden width of D / 2. The gate is
    `g = softmax(top k of x W_g + ε · softplus(x W_n))`, ε normal noise, in training alone. W_2 and b_2 start at 0 (our
    reading), so that a mixture starts as the identity and fits behind a network that was trained without it.

    In training, each pass with gradients leaves its balance loss, which `take_balance` hands out.
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
        # exp and log want their full range, whatever precision the network has.
        with torch.autocast(features.device.type, enabled=False):
            flat = features.reshape(-1, features.shape[-1]).float()
            mixed = torch.logsumexp(self._log_gates(flat)[..., None] + self.outputs(flat), dim=1)
        return mixed.reshape(features.shape)

    def outputs(self, features: Tensor) -> Tensor:
        """What every expert makes of the features (B, D): (B, E, D); (B, 1, D) where all experts are one."""
        hidden = torch.einsum("bd,edh->beh", features, self.first) + self.first_bias
        return features[:, None] + torch.einsum("beh,ehd->bed", F.relu(hidden), self.second) + self.second_bias

    def _log_gates(self, features: Tensor) -> Tensor:
        """log g, (B, E): −∞ but for the top k of each row, whose g sum to 1."""
        clean = features @ self.gate
        scores, spread = clean, None
        if self.training:
            spread = F.softplus(features @ self.noise)
            scores = clean + torch.randn_like(clean) * spread
        log_gates = self._top(scores)
        if spread is not None and torch.is_grad_enabled():
            self._balance.append(self._balance_loss(log_gates.exp(), clean, scores, spread))
        return log_gates

    def _top(self, scores: Tensor) -> Tensor:
        kept = scores.topk(self.settings.top_k, dim=1).indices
        chosen = torch.zeros_like(scores, dtype=torch.bool).scatter_(1, kept, True)
        return scores.masked_fill(~chosen, -torch.inf).log_softmax(1)

    def _balance_loss(self, gates: Tensor, clean: Tensor, scores: Tensor, spread: Tensor) -> Tensor:
        """CV² of the experts' gates and of their load (arXiv 1701.06538, eq. 6 to 11), a scalar.

        The load is smooth: the chance that an expert would be among the top k if its noise alone were drawn again.
        """
        k, count = self.settings.top_k, self.settings.count
        if k == count:
            return _variation(gates.sum(0))
        highest = scores.topk(k + 1, dim=1).values
        # For an expert inside, the best one outside is to be beaten; for one outside, the last one inside.
        inside = scores > highest[:, k:]
        bar = torch.where(inside, highest[:, k:], highest[:, k - 1 : k])
        chance = torch.special.ndtr((clean - bar) / spread.clamp_min(1e-6))
        return _variation(gates.sum(0)) + _variation(chance.sum(0))

    def take_balance(self) -> Tensor | None:
        """The mean balance loss of the passes since it was last taken; None without any."""
        found, self._balance = self._balance, []
        return torch.stack(found).mean() if found else None

    @torch.no_grad()
    def load(self, features: Tensor) -> Tensor:
        """(E,) share of the features (B, D) whose top k hold each expert, without noise."""
        return self._top(features.float() @ self.gate).isfinite().float().mean(0)


def _variation(values: Tensor) -> Tensor:
    """The squared coefficient of variation of (E,) values."""
    return values.var(correction=0) / values.mean().square().clamp_min(1e-10)


def take_balance_loss(module: nn.Module) -> Tensor | None:
    """The sum over the mixtures in `module` of their mean balance losses since it was last taken; None without any."""
    mixtures = [each for each in module.modules() if isinstance(each, ExpertMixture)]
    found = [loss for each in mixtures if (loss := each.take_balance()) is not None]
    return torch.stack(found).sum() if found else None
