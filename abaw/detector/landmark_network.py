"""The network that refines a face's five landmarks on its crop, after the face detector has found it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from abaw.detector.network import normed
from abaw.video.detecting.landmarks import POINTS, SIDE


class LandmarkNetwork(nn.Module):
    """Grey crops (B, 1, SIDE, SIDE), 0..1, placed by the detector's landmarks -> (B, 10): how far each landmark is from
    its place in the template (x, y), in sides of the crop.

    Args:
        widths: channels at 1/2, 1/4, 1/8 and 1/16; each but the first and the last has a block with a shortcut
    """

    def __init__(self, widths: tuple[int, int, int, int] = (16, 32, 56, 80)) -> None:
        super().__init__()
        first, quarter, eighth, last = widths
        self.maps = nn.Sequential(
            normed(1, first, 3, stride=2),
            normed(first, quarter, 3, stride=2),
            _Residual(quarter),
            normed(quarter, eighth, 3, stride=2),
            _Residual(eighth),
            normed(eighth, last, 3, stride=2),
        )
        self.gather = nn.Conv2d(last, last, SIDE // 2 ** len(widths), groups=last)
        self.head = nn.Linear(last, 2 * POINTS)
        nn.init.zeros_(self.head.bias)
        nn.init.normal_(self.head.weight, std=0.001)

    def forward(self, crops: Tensor) -> Tensor:
        return torch.as_tensor(self.head(self.gather(self.maps(crops)).flatten(1)))


class _Residual(nn.Module):
    """Two convolutions with a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.change = nn.Sequential(normed(width, width, 3), normed(width, width, 3, active=False))

    def forward(self, maps: Tensor) -> Tensor:
        return F.relu(maps + self.change(maps))


def build_landmark_network(seed: int) -> LandmarkNetwork:
    """A network with random weights from `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LandmarkNetwork().to(memory_format=torch.channels_last)
