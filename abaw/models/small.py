"""Residual networks for small images (32 to 80 pixels) that can be trained on a CPU."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from abaw.models.local_attention import MeanPool


class SmallNet(nn.Module):
    """Images (B, 3, S, S) -> features (B, D): a stem at half size, then `depth` residual blocks per width.

    The first width keeps the size, each later one halves it. D is the last width.
    """

    def __init__(self, stem: int, widths: Sequence[int], depth: int = 1) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, stem, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(stem), nn.ReLU(inplace=True)
        )
        widths_in = (stem, *(width for width in widths for _ in range(depth)))
        widths_out = widths_in[1:]
        halved = range(depth, len(widths_out), depth)
        self.blocks = nn.Sequential(
            *(_Block(widths_in[i], width, stride=2 if i in halved else 1) for i, width in enumerate(widths_out))
        )
        self.pool = MeanPool()

    def forward(self, images: Tensor) -> Tensor:
        pooled: Tensor = self.pool(self.blocks(self.stem(images)))
        return pooled.flatten(1)


class _Block(nn.Module):
    """Two 3×3 convolutions with a shortcut (arXiv 1512.03385)."""

    def __init__(self, width_in: int, width_out: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width_in, width_out, 3, stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(width_out)
        self.second = nn.Conv2d(width_out, width_out, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(width_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or width_in != width_out:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride, ceil_mode=True) if stride > 1 else nn.Identity(),
                nn.Conv2d(width_in, width_out, 1, bias=False),
                nn.BatchNorm2d(width_out),
            )

    def forward(self, maps: Tensor) -> Tensor:
        inner = F.relu(self.first_norm(self.first(maps)))
        return F.relu(self.shortcut(maps) + self.second_norm(self.second(inner)))
