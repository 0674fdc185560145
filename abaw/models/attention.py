"""The encoder's blocks: pre-norm self-attention over time, rotary positions, a preference for near frames.

Shapes: B batch, T time.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from abaw.models.sizes import TransformerSize

_ROTARY_BASE = 10_000.0
_FEED_FORWARD = 4

Rotation = tuple[Tensor, Tensor]
"""Cosine and sine (T, width of a head / 2)."""


class Block(nn.Module):
    """Pre-norm self-attention and feed-forward, each with a residual."""

    def __init__(self, size: TransformerSize) -> None:
        super().__init__()
        self.heads = size.heads
        self.norm_attention = nn.LayerNorm(size.width)
        self.query_key_value = nn.Linear(size.width, 3 * size.width)
        self.project = nn.Linear(size.width, size.width)
        self.norm_feed = nn.LayerNorm(size.width)
        self.feed = nn.Sequential(
            nn.Linear(size.width, _FEED_FORWARD * size.width),
            nn.GELU(),
            nn.Linear(_FEED_FORWARD * size.width, size.width),
        )
        self.drop = nn.Dropout(size.dropout)

    def forward(self, tokens: Tensor, rotation: Rotation | None, bias: Tensor | None) -> Tensor:
        """tokens: (B, T, width); bias: (B, heads, T, T), added to the attention's scores."""
        tokens = tokens + self.drop(self._attend(self.norm_attention(tokens), rotation, bias))
        fed: Tensor = tokens + self.drop(self.feed(self.norm_feed(tokens)))
        return fed

    def _attend(self, tokens: Tensor, rotation: Rotation | None, bias: Tensor | None) -> Tensor:
        batch, time, width = tokens.shape
        parts = self.query_key_value(tokens).view(batch, time, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        if rotation is not None:
            query, key = _rotate(query, rotation), _rotate(key, rotation)
        # No dropout on the attention weights: it would rule out the fast kernels.
        mask = bias.to(query.dtype) if bias is not None else None
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        projected: Tensor = self.project(mixed.transpose(1, 2).reshape(batch, time, width))
        return projected


def attention_bias(inside: Tensor, size: TransformerSize) -> Tensor | None:
    """(B, heads, T, T): what each frame's look at each other is lowered by; minus infinity where it must not look, at
    padding and, for a causal model, at later frames. None when nothing is lowered.

    inside: (B, T). With the distance bias (arXiv 2108.12409) head k of H loses 2^(-8k/H) a frame of distance: of four
    heads, the first 1/4, the last 1/256.
    """
    batch, time = inside.shape
    padded = not bool(inside.all())
    if not (size.distance_bias or size.causal or padded):
        return None
    places = torch.arange(time, device=inside.device, dtype=torch.float32)
    bias = torch.zeros(size.heads, time, time, device=inside.device)
    if size.distance_bias:
        rates = 2.0 ** (-8 * torch.arange(1, size.heads + 1, device=inside.device, dtype=torch.float32) / size.heads)
        bias = -rates[:, None, None] * (places[:, None] - places).abs()
    if size.causal:
        bias = bias.masked_fill(places[:, None] < places, float("-inf"))
    everywhere = bias.expand(batch, -1, -1, -1)
    return everywhere.masked_fill(~inside[:, None, None, :], float("-inf")) if padded else everywhere


def rotation(time: int, width: int, device: torch.device) -> Rotation:
    """The angle by which each pair of numbers is turned at each frame (arXiv 2104.09864). width: of a head."""
    rates = _ROTARY_BASE ** (-torch.arange(0, width, 2, device=device, dtype=torch.float32) / width)
    angles = torch.arange(time, device=device, dtype=torch.float32)[:, None] * rates
    return angles.cos(), angles.sin()


def _rotate(values: Tensor, rotation: Rotation) -> Tensor:
    """values: (B, heads, T, width); the first half of the last axis is paired with the second."""
    cosine, sine = (part.to(values.dtype) for part in rotation)
    first, second = values.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], dim=-1)
