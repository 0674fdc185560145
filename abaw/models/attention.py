"""The encoder's blocks: pre-norm self-attention over time, rotary positions, a bias towards near frames.

Shapes: B batch, T time.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from abaw.models.dropout import Dropout
from abaw.models.sizes import TransformerSize

_ROTARY_BASE = 10_000.0
_FEED_FORWARD = 4

Rotation = tuple[Tensor, Tensor]
"""Cosine and sine, (T, width of a head / 2) each."""


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
        self.drop = Dropout(size.dropout)

    def forward(self, tokens: Tensor, rotation: Rotation | None, bias: Tensor | None) -> Tensor:
        """tokens: (B, T, width); bias: (B, heads, T, T), added to the attention scores. Returns (B, T, width)."""
        tokens = tokens + self.drop(self._attend(self.norm_attention(tokens), rotation, bias))
        fed: Tensor = tokens + self.drop(self.feed(self.norm_feed(tokens)))
        return fed

    def _attend(self, tokens: Tensor, rotation: Rotation | None, bias: Tensor | None) -> Tensor:
        batch, time, width = tokens.shape
        parts = self.query_key_value(tokens).view(batch, time, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        if rotation is not None:
            query, key = rotate(query, rotation), rotate(key, rotation)
        # No dropout on the attention weights: it would rule out the fast kernels.
        mask = bias.to(query.dtype) if bias is not None else None
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        projected: Tensor = self.project(mixed.transpose(1, 2).reshape(batch, time, width))
        return projected


def attention_bias(inside: Tensor, size: TransformerSize) -> Tensor | None:
    """What is added to the attention scores, (B, heads, T, T); None when it would be 0 everywhere.

    It is minus infinity at padding and, in a causal model, at later frames. With the distance bias (arXiv 2108.12409),
    head k of H subtracts 2^(-8k/H) per frame of distance: with four heads, 1/4 in the first and 1/256 in the last.

    inside: (B, T), False for padding.
    """
    batch, time = inside.shape
    # An exported graph has to hold for every `inside`.
    padded = torch.compiler.is_compiling() or not bool(inside.all())
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
    """The angle by which each pair of numbers is rotated at each frame (arXiv 2104.09864). width: of one head."""
    rates = _ROTARY_BASE ** (-torch.arange(0, width, 2, device=device, dtype=torch.float32) / width)
    angles = torch.arange(time, device=device, dtype=torch.float32)[:, None] * rates
    return angles.cos(), angles.sin()


def rotate(values: Tensor, rotation: Rotation) -> Tensor:
    """Add the frames' positions to queries or keys.

    values: (B, heads, T, width). The first half of the last axis is paired with the second.
    """
    cosine, sine = (part.to(values.dtype) for part in rotation)
    first, second = values.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], dim=-1)
