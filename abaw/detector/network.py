"""The network of the face detector: small, fully convolutional, for grey pictures whose sides are multiples of 32.

Anchor-free: each point of three grids (8, 16 and 32 pixels apart) says whether a face is centred near it, where its box
is and where its five landmarks are. Shapes: B batch, S stride, H and W sides of the picture.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIDES = (8, 16, 32)
OUTPUTS = 15
"""Per grid point: logit of a face; centre of the box relative to the point (x, y) and the logarithms of its width and
height; five landmarks relative to the point (x, y); all lengths in strides."""
_PRIOR = 0.01


class FaceDetector(nn.Module):
    """Grey pictures (B, 1, H, W), 0..1 -> a grid (B, 15, H/S, W/S) for each of STRIDES.

    Args:
        stem: channels at 1/2 and 1/4 of the picture's size
        quarter: number of blocks at 1/4
        widths: channels at 1/8, 1/16 and 1/32
        depths: number of blocks at 1/8, 1/16 and 1/32
        neck: channels of the feature pyramid before the heads
    """

    def __init__(
        self,
        stem: tuple[int, int] = (16, 32),
        quarter: int = 2,
        widths: tuple[int, int, int] = (64, 96, 96),
        depths: tuple[int, int, int] = (4, 4, 3),
        neck: int = 64,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            normed(1, stem[0], 3, stride=2),
            normed(stem[0], stem[1], 3, stride=2),
            *(_Block(stem[1], 3) for _ in range(quarter)),
        )
        before = (stem[1], *widths)
        self.stages = nn.ModuleList(
            nn.Sequential(
                normed(before[i], width, 3, stride=2) if i == 0 else _Halved(before[i], width),
                *(_Block(width, 5) for _ in range(depths[i])),
            )
            for i, width in enumerate(widths)
        )
        self.laterals = nn.ModuleList(normed(width, neck, 1) for width in widths)
        self.mixes = nn.ModuleList(_Block(neck, 3) for _ in widths)
        self.heads = nn.ModuleList(nn.Conv2d(neck, OUTPUTS, 1) for _ in widths)
        for head in self.heads:
            assert isinstance(head, nn.Conv2d) and head.bias is not None
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)
            with torch.no_grad():
                head.bias[0] = -torch.log(torch.tensor((1 - _PRIOR) / _PRIOR))

    def forward(self, pictures: Tensor) -> list[Tensor]:
        maps = self.stem(pictures)
        levels = []
        for stage, lateral in zip(self.stages, self.laterals, strict=True):
            maps = stage(maps)
            levels.append(lateral(maps))
        for level in reversed(range(len(levels) - 1)):
            levels[level] = levels[level] + F.interpolate(levels[level + 1], scale_factor=2.0, mode="nearest")
        return [head(mix(level)) for head, mix, level in zip(self.heads, self.mixes, levels, strict=True)]


def build_detector(seed: int) -> FaceDetector:
    """A detector with random weights from `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return FaceDetector().to(memory_format=torch.channels_last)


class _Block(nn.Module):
    """A depthwise and a pointwise convolution with a shortcut. A new block passes its input on unchanged."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.spatial = normed(width, width, kernel, groups=width)
        self.mix = normed(width, width, 1, active=False)
        norm = self.mix[1]
        assert isinstance(norm, nn.BatchNorm2d)
        nn.init.zeros_(norm.weight)

    def forward(self, maps: Tensor) -> Tensor:
        return F.relu(maps + self.mix(self.spatial(maps)))


class _Halved(nn.Sequential):
    """A depthwise and a pointwise convolution that halve the size and change the width."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__(normed(width_in, width_in, 3, stride=2, groups=width_in), normed(width_in, width_out, 1))


def normed(
    width_in: int, width_out: int, kernel: int, stride: int = 1, groups: int = 1, active: bool = True
) -> nn.Sequential:
    """A convolution, its batch norm and, where `active`, a ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(width_in, width_out, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(width_out),
    ]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if active else nn.Sequential(*layers)
