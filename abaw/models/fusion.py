"""Several sources of features -> one vector per frame.

Every source has its own projection and its own mask token, which takes the place of the projection where the source is
not present: what is stored there is never used. A frame without any source consists of mask tokens alone.
Shapes: B batch, T time, S source, D feature.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from abaw.models.attention import attention_bias, rotate, rotation
from abaw.models.dropout import Dropout
from abaw.models.sizes import TransformerSize


class SourceInput(nn.Module):
    """The projection of one source, and its mask token. num_inputs: numbers per frame."""

    def __init__(self, num_inputs: int, width: int) -> None:
        super().__init__()
        self.embed = nn.Linear(num_inputs, width)
        self.mask_token = nn.Parameter(torch.randn(width) * 0.02)

    def forward(self, values: Tensor, present: Tensor) -> Tensor:
        """values: (B, T, num_inputs); present: (B, T). Returns (B, T, width)."""
        return torch.where(present[..., None], self.embed(values), self.mask_token)


class Concat(nn.Module):
    """The sum of the projections: one linear layer on the features of all sources side by side."""

    def forward(self, tokens: Sequence[Tensor], present: Tensor, inside: Tensor) -> Tensor:
        """tokens: S of (B, T, width); present: (B, T, S); inside: (B, T) False for padding. Returns (B, T, width)."""
        return torch.stack(tuple(tokens)).sum(0)


class Gated(nn.Module):
    """A mean of the projections, weighted per frame by gates that see all of them (arXiv 1702.01992).

    The gates of the sources that are present sum to 1; where none is, the mask tokens are weighted.
    """

    def __init__(self, num_sources: int, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(num_sources))
        self.gates = nn.Linear(num_sources * width, num_sources)

    def forward(self, tokens: Sequence[Tensor], present: Tensor, inside: Tensor) -> Tensor:
        """As `Concat.forward`."""
        seen = [norm(each) for norm, each in zip(self.norms, tokens, strict=True)]
        weighed = present | ~present.any(-1, keepdim=True)
        gates = self.gates(torch.cat(seen, dim=-1)).masked_fill(~weighed, float("-inf")).softmax(-1)
        mixed: Tensor = (torch.stack(tuple(tokens), dim=-1) * gates[..., None, :]).sum(-1)
        return mixed


class CrossAttention(nn.Module):
    """Each source attends to the frames where the others are present, over time (arXiv 1906.00295); then `Concat`."""

    def __init__(self, num_sources: int, size: TransformerSize) -> None:
        super().__init__()
        self.size = size
        self.attend = nn.ModuleList(_AttendToOthers(size) for _ in range(num_sources))

    def forward(self, tokens: Sequence[Tensor], present: Tensor, inside: Tensor) -> Tensor:
        """As `Concat.forward`."""
        near = attention_bias(inside, self.size)
        if near is None:
            near = torch.zeros(1, device=inside.device).expand(len(inside), 1, inside.shape[1], inside.shape[1])
        biases = [near.masked_fill(~each[:, None, None, :], float("-inf")) for each in present.unbind(-1)]
        mixed = []
        for index, attend in enumerate(self.attend):
            others = [other for other in range(len(tokens)) if other != index]
            keys = torch.cat([tokens[other] for other in others], dim=1)
            mixed.append(attend(tokens[index], keys, torch.cat([biases[other] for other in others], dim=-1)))
        return torch.stack(mixed).sum(0)


class _AttendToOthers(nn.Module):
    """Pre-norm attention of one source to others, with a residual."""

    def __init__(self, size: TransformerSize) -> None:
        super().__init__()
        self.heads = size.heads
        self.norm = nn.LayerNorm(size.width)
        self.norm_others = nn.LayerNorm(size.width)
        self.query = nn.Linear(size.width, size.width)
        self.key_value = nn.Linear(size.width, 2 * size.width)
        self.project = nn.Linear(size.width, size.width)
        self.drop = Dropout(size.dropout)

    def forward(self, tokens: Tensor, others: Tensor, bias: Tensor) -> Tensor:
        """tokens: (B, T, width); others: (B, K, width), K = T x number of other sources, source by source.

        bias: (B, heads or 1, T, K), minus infinity where a frame does not attend to. A frame without any key keeps its
        token. Returns (B, T, width).
        """
        batch, time, width = tokens.shape
        query = self._heads(self.query(self.norm(tokens)))
        key, value = map(self._heads, self.key_value(self.norm_others(others)).chunk(2, dim=-1))
        turns = rotation(time, width // self.heads, tokens.device)
        cosine, sine = (part.repeat(others.shape[1] // time, 1) for part in turns)
        some = bias.isfinite().any(-1, keepdim=True)
        attended = F.scaled_dot_product_attention(
            rotate(query, turns),
            rotate(key, (cosine, sine)),
            value,
            attn_mask=torch.where(some, bias, 0).to(query.dtype),
        )
        joined = self.project(attended.transpose(1, 2).reshape(batch, time, width))
        added: Tensor = tokens + self.drop(torch.where(some[:, 0], joined, 0))
        return added

    def _heads(self, values: Tensor) -> Tensor:
        """(B, K, width) -> (B, heads, K, width of a head)."""
        batch, time, width = values.shape
        return values.view(batch, time, self.heads, width // self.heads).transpose(1, 2)


def build_fusion(size: TransformerSize, num_sources: int) -> nn.Module:
    """The setting `fusion`; with one source there is nothing to fuse, whatever it says."""
    if num_sources > 1 and size.fusion == "gated":
        return Gated(num_sources, size.width)
    if num_sources > 1 and size.fusion == "cross_attention":
        return CrossAttention(num_sources, size)
    return Concat()
