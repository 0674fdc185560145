"""Random local warps: another expression on the same face, computed per batch on its device.

Images are aligned crops, (B, 3, S, S) float. Positions and lengths are in parts of the side S, from the upper left.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from abaw.core.data_parallel import drawn_for_all
from abaw.pretrain.settings import ANCHORS, WarpSettings

_NODES = 29
_JITTER = 0.02
_REACH = 0.22
_RIM = 0.12


def warp_at_random(images: Tensor, settings: WarpSettings, generator: torch.Generator) -> Tensor:
    """Warp each image (B, 3, S, S) differently. generator: on the images' device."""
    return warp(images, drawn_for_all(lambda count: random_flow(count, settings, generator), len(images)))


def random_flow(count: int, settings: WarpSettings, generator: torch.Generator) -> Tensor:
    """Random flows, (B, 2, N, N): from where each of N × N nodes is sampled, as x and y offsets; 0 at the border.

    count: B; generator: also decides the device.
    """
    device = generator.device
    anchors = torch.tensor([point for part in ANCHORS for point in part], device=device)
    points = anchors + _JITTER * torch.randn(count, len(anchors), 2, generator=generator, device=device)
    share = torch.rand(count, generator=generator, device=device)
    deviation = settings.lowest + (settings.highest - settings.lowest) * share
    steps = torch.randn(count, len(anchors), 2, generator=generator, device=device) * deviation[:, None, None]
    span = settings.most_points - settings.least_points + 1
    number = settings.least_points + torch.randint(span, (count, 1), generator=generator, device=device)
    rank = torch.rand(count, len(anchors), generator=generator, device=device).argsort(1).argsort(1)
    steps = steps * (rank < number)[..., None]
    flow = torch.einsum("bphw,bpc->bchw", _pull(points), steps) * _window(device)
    return flow * (settings.steepest / steepness(flow).clamp_min(settings.steepest))[:, None, None, None]


def warp(images: Tensor, flow: Tensor) -> Tensor:
    """Resample images (B, 3, S, S) along a flow (B, 2, N, N), which is interpolated bilinearly."""
    size = images.shape[2:]
    # grid_sample's coordinates run from −1 to 1: twice the side.
    full = F.interpolate(2 * flow, size=size, mode="bilinear", align_corners=True)
    rows, columns = (torch.linspace(-1, 1, side, device=images.device) for side in size)
    grid = torch.stack([full[:, 0] + columns, full[:, 1] + rows[:, None]], dim=3)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=True)


def steepness(flow: Tensor) -> Tensor:
    """A bound on the change of a flow (B, 2, N, N) along any path, per length of the path, (B,).

    It is the largest sum of absolute slopes of one component (the maximum norm of the Jacobian) over all grid squares;
    between its nodes a bilinear flow is nowhere steeper.
    """
    spacing = 1 / (flow.shape[-1] - 1)
    across = flow.diff(dim=3).abs() / spacing
    down = flow.diff(dim=2).abs() / spacing
    across = torch.maximum(across[:, :, 1:], across[:, :, :-1])
    down = torch.maximum(down[..., 1:], down[..., :-1])
    return (across + down).flatten(1).amax(1)


def _pull(points: Tensor) -> Tensor:
    """How strongly each point (B, P, 2) pulls each node, (B, P, N, N) in 0..1."""
    nodes = torch.linspace(0, 1, _NODES, device=points.device)
    x = (nodes - points[..., 0, None]).square()[:, :, None, :]
    y = (nodes - points[..., 1, None]).square()[:, :, :, None]
    r = ((x + y).sqrt() / _REACH).clamp_max(1)
    return (1 - r).pow(4) * (4 * r + 1)


def _window(device: torch.device) -> Tensor:
    """Weights (N, N): 0 at the border, 1 from 0.12 of the side inwards."""
    nodes = torch.linspace(0, 1, _NODES, device=device)
    t = (torch.minimum(nodes, 1 - nodes) / _RIM).clamp(0, 1)
    edge = t * t * (3 - 2 * t)
    return edge[:, None] * edge
