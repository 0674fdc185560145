"""Random local warps of faces: another expression on the same face, a whole batch at a time on its device.

Images are aligned crops, (B, 3, S, S) float. Places and lengths are in parts of the side S, from the upper left corner.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from abaw.core.errors import ConfigError

# What moves with an expression, in crops of `abaw.video.align`: brows, eyes, nose, corners and lips of the mouth.
_ANCHORS = (
    ((0.30, 0.36), (0.69, 0.36)),
    ((0.342, 0.462), (0.656, 0.460)),
    ((0.500, 0.641),),
    ((0.371, 0.825), (0.632, 0.823)),
    ((0.500, 0.78), (0.500, 0.89)),
)
_NODES = 29
_JITTER = 0.02
_REACH = 0.22
_RIM = 0.12


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalWarp:
    """How faces are warped (arXiv 2303.09034 has random local warping; the form is our reading).

    Of nine points at brows, eyes, nose and mouth some are drawn for each image, jittered by 0.02 and displaced by
    normal steps of deviation s, s itself drawn from `lowest`..`highest` for each image. Every point pulls what lies
    within 0.22 of it, by `(1 − r)^4 (4 r + 1)` (Wendland's function, smooth, 0 from r = 1 on); towards the border the
    flow falls smoothly to 0. Where a displacement would fold the face, the whole flow of that image is scaled down
    until no two neighbours differ by more than `steepest` of their distance: below 1 the warp is one-to-one.
    Raises ConfigError for values out of range.

    Args:
        lowest: smallest deviation of a displacement, in parts of the side
        highest: the largest; 0 for both leaves images as they are
        least_points: fewest points that are displaced
        most_points: most of them, at most nine
        steepest: largest change of the flow along a path, for the length of the path
    """

    lowest: float = 0.03
    highest: float = 0.08
    least_points: int = 4
    most_points: int = 8
    steepest: float = 0.6

    def __post_init__(self) -> None:
        if not 0 <= self.lowest <= self.highest <= 0.5:
            raise ConfigError(f"warps from {self.lowest} to {self.highest}; expected 0 <= lowest <= highest <= 0.5")
        total = sum(map(len, _ANCHORS))
        if not 1 <= self.least_points <= self.most_points <= total:
            raise ConfigError(
                f"{self.least_points} to {self.most_points} points; "
                f"expected 1 <= least_points <= most_points <= {total}"
            )
        if not 0 < self.steepest < 1:
            raise ConfigError(f"steepest is {self.steepest}; expected more than 0 and less than 1: at 1 faces may fold")

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """(B, 3, S, S) -> each warped in its own way, (B, 3, S, S). `generator` is of the images' device."""
        return warp(images, self.flow(len(images), generator))

    def flow(self, count: int, generator: torch.Generator) -> Tensor:
        """(B, 2, N, N): where each of N × N nodes looks, x and y, relative to itself; 0 along the border."""
        device = generator.device
        anchors = torch.tensor([point for part in _ANCHORS for point in part], device=device)
        points = anchors + _JITTER * torch.randn(count, len(anchors), 2, generator=generator, device=device)
        deviation = self.lowest + (self.highest - self.lowest) * torch.rand(count, generator=generator, device=device)
        steps = torch.randn(count, len(anchors), 2, generator=generator, device=device) * deviation[:, None, None]
        span = self.most_points - self.least_points + 1
        number = self.least_points + torch.randint(span, (count, 1), generator=generator, device=device)
        rank = torch.rand(count, len(anchors), generator=generator, device=device).argsort(1).argsort(1)
        steps = steps * (rank < number)[..., None]
        flow = torch.einsum("bphw,bpc->bchw", _pull(points), steps) * _window(device)
        return flow * (self.steepest / steepness(flow).clamp_min(self.steepest))[:, None, None, None]


def warp(images: Tensor, flow: Tensor) -> Tensor:
    """Resample images (B, 3, S, S) along a flow (B, 2, N, N), which is bilinear between its nodes."""
    size = images.shape[2:]
    # grid_sample counts from −1 to 1, twice the side.
    full = F.interpolate(2 * flow, size=size, mode="bilinear", align_corners=True)
    rows, columns = (torch.linspace(-1, 1, side, device=images.device) for side in size)
    grid = torch.stack([full[:, 0] + columns, full[:, 1] + rows[:, None]], dim=3)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=True)


def steepness(flow: Tensor) -> Tensor:
    """(B,) a bound of how much a flow (B, 2, N, N) changes along any path, for the length of the path.

    The largest sum of absolute slopes of one component (the maximum norm of the Jacobian), over all cells; between its
    nodes a bilinear flow is nowhere steeper.
    """
    spacing = 1 / (flow.shape[-1] - 1)
    across = flow.diff(dim=3).abs() / spacing
    down = flow.diff(dim=2).abs() / spacing
    across = torch.maximum(across[:, :, 1:], across[:, :, :-1])
    down = torch.maximum(down[..., 1:], down[..., :-1])
    return (across + down).flatten(1).amax(1)


def _pull(points: Tensor) -> Tensor:
    """How much each point (B, P, 2) moves each node, (B, P, N, N), 0..1."""
    nodes = torch.linspace(0, 1, _NODES, device=points.device)
    x = (nodes - points[..., 0, None]).square()[:, :, None, :]
    y = (nodes - points[..., 1, None]).square()[:, :, :, None]
    r = ((x + y).sqrt() / _REACH).clamp_max(1)
    return (1 - r).pow(4) * (4 * r + 1)


def _window(device: torch.device) -> Tensor:
    """(N, N), 0 along the border, 1 from 0.12 of the side inwards."""
    nodes = torch.linspace(0, 1, _NODES, device=device)
    t = (torch.minimum(nodes, 1 - nodes) / _RIM).clamp(0, 1)
    edge = t * t * (3 - 2 * t)
    return edge[:, None] * edge
