"""The detector's loss: which grid points are responsible for which face, and what they should predict.

Shapes: B batch, L points of all grids, M faces (padded). Lengths in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from abaw.detector.network import STRIDES

SIZES = ((0.0, 72.0), (36.0, 180.0), (96.0, float("inf")))
"""Sizes of faces (geometric mean of the box's sides) for which the points of each stride are responsible; where two
ranges overlap, both are."""
_CORE = 0.22
_RIM = 0.36
"""Distances from the centre in sides of the face's box: points within the core are responsible for the face, those
between core and rim are ignored, the others should predict that there is no face."""
_NEAREST = 0.75
"""Points within this many strides of the centre are responsible for a face of any size: small faces have few points."""
_FOCUS = 2.0


class Faces(NamedTuple):
    """The faces of B scenes. box_xyxy: (B, M, 4); landmarks_xy: (B, M, 5, 2); state: (B, M) 1 for a face to
    find, -1 for one to ignore, 0 for padding."""

    box_xyxy: Tensor
    landmarks_xy: Tensor
    state: Tensor


class GridPoints(NamedTuple):
    """The points of all grids: xy (L, 2) and stride (L,) in pixels, level (L,)."""

    xy: Tensor
    stride: Tensor
    level: Tensor


class Losses(NamedTuple):
    """Scalars, not yet weighted."""

    score: Tensor
    box: Tensor
    landmarks: Tensor


def grid_points(grids: Sequence[Tensor]) -> GridPoints:
    places, strides, levels = [], [], []
    for level, (grid, stride) in enumerate(zip(grids, STRIDES, strict=True)):
        height, width = grid.shape[2:]
        rows = torch.arange(height, device=grid.device, dtype=torch.float32) * stride
        columns = torch.arange(width, device=grid.device, dtype=torch.float32) * stride
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        places.append(torch.stack([x, y], dim=-1).view(-1, 2))
        strides.append(torch.full((height * width,), float(stride), device=grid.device))
        levels.append(torch.full((height * width,), level, device=grid.device))
    return GridPoints(torch.cat(places), torch.cat(strides), torch.cat(levels))


def flat(grids: Sequence[Tensor]) -> Tensor:
    """(B, 15, H/S, W/S) for each stride -> (B, L, 15) float32."""
    return torch.cat([grid.flatten(2).transpose(1, 2) for grid in grids], dim=1).float()


def assign(faces: Faces, points: GridPoints) -> Tensor:
    """(B, L) the face that a point is responsible for, -1 for none, -2 for a point to ignore."""
    low, high = faces.box_xyxy[..., :2], faces.box_xyxy[..., 2:]
    sides = (high - low).clamp(min=1e-3)
    size = sides.prod(dim=-1).sqrt()
    middle = points.xy + points.stride[:, None] / 2
    offset = middle[None, :, None] - ((low + high) / 2)[:, None]
    away = (offset / sides[:, None]).norm(dim=-1)
    holds = (offset.abs() <= points.stride[None, :, None, None] / 2).all(dim=-1)
    close = holds | (offset.norm(dim=-1) < _NEAREST * points.stride[None, :, None])
    bounds = torch.tensor(SIZES, device=size.device)[points.level]
    suits = (size[:, None] >= bounds[None, :, None, 0]) & (size[:, None] < bounds[None, :, None, 1])
    real, ignored = (faces.state == 1)[:, None], (faces.state == -1)[:, None]
    responsible = suits & real & ((away < _CORE) | close)
    near = (suits & real & (away < _RIM)) | (ignored & (offset.abs() < sides[:, None] / 2).all(dim=-1))
    face = torch.where(responsible, away, torch.inf).min(dim=2)
    without = torch.where(near.any(dim=2), -2, -1)
    return torch.where(face.values.isfinite(), face.indices, without)


def detector_losses(grids: Sequence[Tensor], faces: Faces) -> Losses:
    """Focal loss of the scores over all points that are not ignored; box and landmark losses of the points with a face.

    The weight of a face is the square root of the number of its points.
    """
    points, values = grid_points(grids), flat(grids)
    chosen = assign(faces, points)
    target = (chosen >= 0).float()
    weight = _point_weights(chosen, faces.state.shape[1])
    total = weight.sum().clamp(min=1)
    logit = values[..., 0]
    away = (logit.sigmoid() - target).abs() ** _FOCUS
    counted = torch.where(chosen >= 0, weight, (chosen == -1).float())
    score = (F.binary_cross_entropy_with_logits(logit, target, reduction="none") * away * counted).sum() / total
    scene, point = (chosen >= 0).nonzero(as_tuple=True)
    face = chosen[scene, point]
    found = values[scene, point]
    place, stride = points.xy[point], points.stride[point, None]
    wanted_box, wanted_landmarks = faces.box_xyxy[scene, face], faces.landmarks_xy[scene, face]
    share = weight[scene, point] / total
    centre = place + found[:, 1:3] * stride
    half = found[:, 3:5].clamp(max=6.0).exp() * stride / 2
    box_loss = 1 - _generalised_iou(torch.cat([centre - half, centre + half], dim=1), wanted_box)
    landmarks = place[:, None] + found[:, 5:].view(-1, 5, 2) * stride[..., None]
    size = (wanted_box[:, 2:] - wanted_box[:, :2]).prod(dim=1).clamp(min=1e-3).sqrt()
    apart = ((landmarks - wanted_landmarks).square().sum(dim=-1) + 1e-6).sqrt().mean(dim=1) / size
    return Losses(score, (box_loss * share).sum(), (apart * share).sum())


def teacher_loss(logits: Tensor, scores: Tensor) -> Tensor:
    """Quality focal loss (arXiv 2006.04388, equation 2) of logits against scores 0..1, both (B, L).

    Divided by the sum of the scores, at least 1.
    """
    away = (logits.sigmoid() - scores).abs() ** _FOCUS
    loss = F.binary_cross_entropy_with_logits(logits, scores, reduction="none")
    return (loss * away).sum() / scores.sum().clamp(min=1)


def _point_weights(chosen: Tensor, num_faces: int) -> Tensor:
    """(B, L) 1 / sqrt(number of points responsible for the same face), 0 for a point without a face."""
    held = chosen.clamp(min=0)
    counts = torch.zeros(len(chosen), num_faces, device=chosen.device)
    counts.scatter_add_(1, held, (chosen >= 0).float())
    return torch.where(chosen >= 0, counts.gather(1, held).clamp(min=1).rsqrt(), 0.0)


def _generalised_iou(first: Tensor, second: Tensor) -> Tensor:
    """(N,) of pairs of boxes (N, 4) (arXiv 1902.09630)."""

    def area(low: Tensor, high: Tensor) -> Tensor:
        return (high - low).clamp(min=0).prod(dim=1)

    low_a, high_a, low_b, high_b = first[:, :2], first[:, 2:], second[:, :2], second[:, 2:]
    intersection = area(torch.maximum(low_a, low_b), torch.minimum(high_a, high_b))
    union = (area(low_a, high_a) + area(low_b, high_b) - intersection).clamp(min=1e-6)
    hull = area(torch.minimum(low_a, low_b), torch.maximum(high_a, high_b)).clamp(min=1e-6)
    return intersection / union - (hull - union) / hull
