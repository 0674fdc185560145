"""Optional parts before the encoder: changes of the features, and convolutions over time.

Shapes: B batch, T time, D feature. A causal part uses a frame and those before it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from abaw.models.dropout import Dropout

_KERNEL = 5


def changes(features: Tensor, known: Tensor, distance: int, *, causal: bool) -> Tensor:
    """The change of each feature from `distance` frames before to as many after (causal: to the frame itself).

    features: (B, T, D); known: (B, T), False without a feature. Returns (B, T, D), 0 where either end is unknown.
    """
    earlier, earlier_known = _shift(features, distance), _shift(known[..., None], distance)
    later, later_known = (features, known[..., None])
    if not causal:
        later, later_known = _shift(features, -distance), _shift(known[..., None], -distance)
    return torch.where(earlier_known & later_known, later - earlier, 0)


def _shift(values: Tensor, frames: int) -> Tensor:
    """Values (B, T, …) shifted to later frames (earlier if negative), filled with zeros."""
    zeros = torch.zeros_like(values[:, :1]).expand(-1, abs(frames), *values.shape[2:])
    if frames >= 0:
        return torch.cat([zeros, values], dim=1)[:, : values.shape[1]]
    return torch.cat([values, zeros], dim=1)[:, -frames:]


class MeanStem(nn.Module):
    """A depthwise convolution over `frames` frames, which starts as their mean.

    With few training videos the encoder alone memorises people before it learns to average. Where the convolution
    reaches beyond the video, the result is scaled up as if frames like those inside were there; not if `full`.
    """

    def __init__(self, width: int, frames: int, *, causal: bool, full: bool = False) -> None:
        super().__init__()
        self.full = full
        self.mix = nn.Conv1d(width, width, frames, groups=width, bias=False)
        self.pad = (frames - 1, 0) if causal else (frames // 2, frames // 2)
        nn.init.constant_(self.mix.weight, 1 / frames)

    def forward(self, tokens: Tensor, inside: Tensor) -> Tensor:
        """tokens: (B, T, width); inside: (B, T) False for padding. Returns (B, T, width)."""
        within = torch.where(inside[..., None], tokens, 0).transpose(1, 2)
        mixed: Tensor = self.mix(F.pad(within, self.pad)).transpose(1, 2)
        if self.full:
            return mixed
        frames = self.mix.kernel_size[0]
        ones = torch.ones(1, 1, frames, dtype=tokens.dtype, device=tokens.device)
        counts = F.conv1d(F.pad(inside[:, None].to(tokens.dtype), self.pad), ones).transpose(1, 2)
        return mixed * (frames / counts.clamp_min(1))


class Tcn(nn.Module):
    """A small TCN (arXiv 1803.01271): residual convolutions, kernel 5, dilation 2^k in layer k from 0.

    Beyond the ends of the video, the first and the last frame are continued; `full`: there are zeros.
    """

    def __init__(self, width: int, layers: int, dropout: float, *, causal: bool, full: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            _TcnLayer(width, 2**layer, dropout, causal=causal, full=full) for layer in range(layers)
        )

    def forward(self, tokens: Tensor, inside: Tensor) -> Tensor:
        """tokens: (B, T, width); inside: (B, T) False for padding. Returns (B, T, width)."""
        for layer in self.layers:
            tokens = layer(tokens, inside)
        return tokens


class _TcnLayer(nn.Module):
    def __init__(self, width: int, dilation: int, dropout: float, *, causal: bool, full: bool) -> None:
        super().__init__()
        self.full = full
        reach = (_KERNEL - 1) * dilation
        self.pad = (reach, 0) if causal else (reach // 2, reach // 2)
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Conv1d(width, width, _KERNEL, dilation=dilation)
        self.project = nn.Linear(width, width)
        self.drop = Dropout(dropout)

    def forward(self, tokens: Tensor, inside: Tensor) -> Tensor:
        normed = self.norm(tokens)
        if self.full:
            around = F.pad(torch.where(inside[..., None], normed, 0).transpose(1, 2), self.pad)
        else:
            around = _continued(normed, inside, self.pad).transpose(1, 2)
        mixed = F.gelu(self.mix(around)).transpose(1, 2)
        added: Tensor = tokens + self.drop(self.project(mixed))
        return added


def _continued(tokens: Tensor, inside: Tensor, pad: tuple[int, int]) -> Tensor:
    """Tokens (B, T, D) with the first frame repeated before and the last one inside after, (B, pad + T + pad, D)."""
    last = inside.sum(dim=1, keepdim=True) - 1
    places = torch.arange(-pad[0], tokens.shape[1] + pad[1], device=tokens.device)[None].clamp_min(0)
    rows = torch.minimum(places, last.clamp_min(0))
    return tokens.gather(1, rows[..., None].expand(-1, -1, tokens.shape[2]))
