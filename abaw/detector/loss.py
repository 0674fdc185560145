"""Which cells of the detector's grids answer for which face, and what they are told.

Shapes: B batch, L cells of all grids, M faces (padded). Lengths in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from abaw.detector.network import STRIDES

SIZES = ((0.0, 72.0), (36.0, 180.0), (96.0, float("inf")))
"""Sizes of faces (geometric mean of the box's sides) that the cells of each stride answer for; where two overlap, both
do."""
_CORE = 0.22
_RIM = 0.36
"""Of a face's box: cells nearer to its centre answer for it, those up to the rim are told nothing, the others that
there is no face."""
_FOCUS = 2.0


class Faces(NamedTuple):
    """The faces of B scenes. box_xyxy: (B, M, 4); landmarks_xy: (B, M, 5, 2); state: (B, M) 1 a face to find, -1 one
    that is neither to be found nor to be left out, 0 padding."""

    box_xyxy: Tensor
    landmarks_xy: Tensor
    state: Tensor


class Cells(NamedTuple):
    """All cells of the grids, flat: corner_xy (L, 2) and stride (L,) in pixels, level (L,)."""

    corner_xy: Tensor
    stride: Tensor
    level: Tensor


class Losses(NamedTuple):
    """Scalars, not yet weighted."""

    score: Tensor
    box: Tensor
    landmarks: Tensor


def cells_of(grids: Sequence[Tensor]) -> Cells:
    corners, strides, levels = [], [], []
    for level, (grid, stride) in enumerate(zip(grids, STRIDES, strict=True)):
        height, width = grid.shape[2:]
        rows = torch.arange(height, device=grid.device, dtype=torch.float32) * stride
        columns = torch.arange(width, device=grid.device, dtype=torch.float32) * stride
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        corners.append(torch.stack([x, y], dim=-1).view(-1, 2))
        strides.append(torch.full((height * width,), float(stride), device=grid.device))
        levels.append(torch.full((height * width,), level, device=grid.device))
    return Cells(torch.cat(corners), torch.cat(strides), torch.cat(levels))


def flat(grids: Sequence[Tensor]) -> Tensor:
    """(B, 15, H/S, W/S) for each stride -> (B, L, 15) float32."""
    return torch.cat([grid.flatten(2).transpose(1, 2) for grid in grids], dim=1).float()


def assign(faces: Faces, cells: Cells) -> Tensor:
    """(B, L) the face that a cell answers for, -1 for none, -2 for a cell that is told nothing."""
    low, high = faces.box_xyxy[..., :2], faces.box_xyxy[..., 2:]
    sides = (high - low).clamp(min=1e-3)
    size = sides.prod(dim=-1).sqrt()
    middle = cells.corner_xy + cells.stride[:, None] / 2
    offset = middle[None, :, None] - ((low + high) / 2)[:, None]
    away = (offset / sides[:, None]).norm(dim=-1)
    holds = (offset.abs() <= cells.stride[None, :, None, None] / 2).all(dim=-1)
    bounds = torch.tensor(SIZES, device=size.device)[cells.level]
    suits = (size[:, None] >= bounds[None, :, None, 0]) & (size[:, None] < bounds[None, :, None, 1])
    real, odd = (faces.state == 1)[:, None], (faces.state == -1)[:, None]
    answers = suits & real & ((away < _CORE) | holds)
    near = (suits & real & (away < _RIM)) | (odd & (offset.abs() < sides[:, None] / 2).all(dim=-1))
    face = torch.where(answers, away, torch.inf).min(dim=2)
    told = torch.where(near.any(dim=2), -2, -1)
    return torch.where(face.values.isfinite(), face.indices, told)


def detector_losses(grids: Sequence[Tensor], faces: Faces) -> Losses:
    """Focal loss of the scores over all cells that are told something; box and landmarks of the cells with a face.

    A face weighs as the square root of the number of cells that answer for it.
    """
    cells, values = cells_of(grids), flat(grids)
    chosen = assign(faces, cells)
    target = (chosen >= 0).float()
    weight = _cell_weights(chosen, faces.state.shape[1])
    total = weight.sum().clamp(min=1)
    logit = values[..., 0]
    away = (logit.sigmoid() - target).abs() ** _FOCUS
    told = torch.where(chosen >= 0, weight, (chosen == -1).float())
    score = (F.binary_cross_entropy_with_logits(logit, target, reduction="none") * away * told).sum() / total
    scene, cell = (chosen >= 0).nonzero(as_tuple=True)
    face = chosen[scene, cell]
    found = values[scene, cell]
    corner, stride = cells.corner_xy[cell], cells.stride[cell, None]
    wanted_box, wanted_points = faces.box_xyxy[scene, face], faces.landmarks_xy[scene, face]
    share = weight[scene, cell] / total
    centre = corner + found[:, 1:3] * stride
    half = found[:, 3:5].clamp(max=6.0).exp() * stride / 2
    box_loss = 1 - _generalised_iou(torch.cat([centre - half, centre + half], dim=1), wanted_box)
    points = corner[:, None] + found[:, 5:].view(-1, 5, 2) * stride[..., None]
    size = (wanted_box[:, 2:] - wanted_box[:, :2]).prod(dim=1).clamp(min=1e-3).sqrt()
    apart = ((points - wanted_points).square().sum(dim=-1) + 1e-6).sqrt().mean(dim=1) / size
    return Losses(score, (box_loss * share).sum(), (apart * share).sum())


def _cell_weights(chosen: Tensor, num_faces: int) -> Tensor:
    """(B, L) one over the root of the number of cells that answer for the same face; 0 for a cell without one."""
    held = chosen.clamp(min=0)
    counts = torch.zeros(len(chosen), num_faces, device=chosen.device)
    counts.scatter_add_(1, held, (chosen >= 0).float())
    return torch.where(chosen >= 0, counts.gather(1, held).clamp(min=1).rsqrt(), 0.0)


def _generalised_iou(first: Tensor, second: Tensor) -> Tensor:
    """(N,) of boxes (N, 4) pair by pair (arXiv 1902.09630)."""

    def area(low: Tensor, high: Tensor) -> Tensor:
        return (high - low).clamp(min=0).prod(dim=1)

    low_a, high_a, low_b, high_b = first[:, :2], first[:, 2:], second[:, :2], second[:, 2:]
    shared = area(torch.maximum(low_a, low_b), torch.minimum(high_a, high_b))
    union = (area(low_a, high_a) + area(low_b, high_b) - shared).clamp(min=1e-6)
    hull = area(torch.minimum(low_a, low_b), torch.maximum(high_a, high_b)).clamp(min=1e-6)
    return shared / union - (hull - union) / hull
