"""Wide residual networks (arXiv 1605.07146), the usual backbones of papers on semi-supervised learning."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from abaw.models.local_attention import MeanPool

_STEM = 16
_SLOPE = 0.1


class WideResNet(nn.Module):
    """Images (B, 3, S, S) -> features (B, 64 · widen): WRN-depth-widen. S is at least 16; made for 32 to 64 pixels.

    Three groups of (depth − 4) / 6 pre-activated blocks, at full, half and quarter size; leaky ReLU with slope 0.1 as
    in FixMatch (arXiv 2001.07685).
    """

    def __init__(self, depth: int, widen: int) -> None:
        super().__init__()
        blocks_per_group = (depth - 4) // 6
        self.stem = nn.Conv2d(3, _STEM, 3, padding=1, bias=False)
        blocks = []
        before = _STEM
        for group, base in enumerate((16, 32, 64)):
            for index in range(blocks_per_group):
                stride = 2 if group > 0 and index == 0 else 1
                blocks.append(_PreactivatedBlock(before, base * widen, stride))
                before = base * widen
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.BatchNorm2d(before)
        self.pool = MeanPool()

    def forward(self, images: Tensor) -> Tensor:
        pooled: Tensor = self.pool(F.leaky_relu(self.norm(self.blocks(self.stem(images))), _SLOPE))
        return pooled.flatten(1)


class _PreactivatedBlock(nn.Module):
    """Norm, activation, convolution, twice. Where the width or the size changes, the shortcut is a convolution."""

    def __init__(self, width_in: int, width_out: int, stride: int) -> None:
        super().__init__()
        self.first_norm = nn.BatchNorm2d(width_in)
        self.first = nn.Conv2d(width_in, width_out, 3, stride, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(width_out)
        self.second = nn.Conv2d(width_out, width_out, 3, padding=1, bias=False)
        same = width_in == width_out and stride == 1
        self.shortcut = None if same else nn.Conv2d(width_in, width_out, 1, stride, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        active = F.leaky_relu(self.first_norm(maps), _SLOPE)
        inner = self.second(F.leaky_relu(self.second_norm(self.first(active)), _SLOPE))
        shortcut: Tensor = maps if self.shortcut is None else self.shortcut(active)
        total: Tensor = shortcut + inner
        return total
