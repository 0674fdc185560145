"""Views of face images: random changes that keep the expression, computed per batch on its device.

Images are (B, 3, S, S) uint8 RGB; views are float32 in 0..1, not yet standardised.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from abaw.core.data_parallel import drawn_for_all
from abaw.models.image_input import luma


@dataclass(frozen=True, slots=True)
class View:
    """The strength of each change of a view; 0 disables it.

    flip: probability of mirroring; degrees: rotation to either side; scale: zoom by 1 ± scale; shift: in parts of the
    side; brightness, contrast, saturation: factor 1 ± value; grey: probability of a grey image (many face sets are
    grey, videos are not); erase: probability that a rectangle of 2 to 20 % of the area is replaced by noise.
    """

    flip: float = 0.5
    degrees: float = 0.0
    scale: float = 0.0
    shift: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    grey: float = 0.0
    erase: float = 0.0

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """images (B, 3, S, S) uint8 -> (B, 3, S, S) float32 in 0..1. generator: on the images' device."""
        views = _moved(unit(images), self, generator)
        return _erased(_coloured(views, self, generator), self.erase, generator)


WEAK = View(degrees=5.0, scale=0.05, shift=0.05, grey=0.2)
STRONG = View(degrees=15.0, scale=0.15, shift=0.08, brightness=0.4, contrast=0.4, saturation=0.4, grey=0.2, erase=0.5)


def unit(images: Tensor) -> Tensor:
    """uint8 0..255 -> float32 0..1: the view for evaluation."""
    return images.float() / 255


def _random(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Uniform values in 0..1, of shape (B, …)."""
    device = generator.device
    return drawn_for_all(lambda size: torch.rand(size, *shape[1:], generator=generator, device=device), shape[0])


def _uniform(count: int, spread: float, generator: torch.Generator) -> Tensor:
    """Uniform values from -spread to spread, (count,)."""
    return (2 * _random((count,), generator) - 1) * spread


def _chosen(count: int, chance: float, generator: torch.Generator) -> Tensor:
    """True with probability `chance`, (count,)."""
    return _random((count,), generator) < chance


def _moved(images: Tensor, view: View, generator: torch.Generator) -> Tensor:
    """Mirror, rotate, zoom and shift in one resampling; the border is repeated outside."""
    count = len(images)
    angle = _uniform(count, math.radians(view.degrees), generator)
    zoom = 1 + _uniform(count, view.scale, generator)
    shift_x = _uniform(count, 2 * view.shift, generator)  # the picture is 2 wide in the grid's coordinates
    shift_y = _uniform(count, 2 * view.shift, generator)
    mirror = 1 - 2 * _chosen(count, view.flip, generator).float()
    cos, sin = angle.cos() / zoom, angle.sin() / zoom
    theta = torch.stack([cos * mirror, -sin, shift_x, sin * mirror, cos, shift_y], dim=1).view(count, 2, 3)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _coloured(images: Tensor, view: View, generator: torch.Generator) -> Tensor:
    """Change saturation (0 for grey), contrast around the image's mean grey, and brightness."""
    count = len(images)
    saturation = 1 + _uniform(count, view.saturation, generator)
    saturation = saturation.masked_fill(_chosen(count, view.grey, generator), 0.0).view(-1, 1, 1, 1)
    contrast = (1 + _uniform(count, view.contrast, generator)).view(-1, 1, 1, 1)
    brightness = (1 + _uniform(count, view.brightness, generator)).view(-1, 1, 1, 1)
    grey = luma(images)
    images = grey + (images - grey) * saturation
    middle = grey.mean(dim=(2, 3), keepdim=True)
    return ((middle + (images - middle) * contrast) * brightness).clamp(0, 1)


def _erased(images: Tensor, chance: float, generator: torch.Generator) -> Tensor:
    """Replace a random rectangle by noise (arXiv 1708.04896), in each image with probability `chance`."""
    if chance == 0:
        return images
    count, _, height, width = images.shape
    area = 0.11 + _uniform(count, 0.09, generator)
    ratio = _uniform(count, math.log(2.0), generator).exp()
    half_h, half_w = (area * ratio).sqrt() / 2, (area / ratio).sqrt() / 2
    centre_y, centre_x = 0.5 + _uniform(count, 0.5, generator), 0.5 + _uniform(count, 0.5, generator)
    rows = (torch.arange(height, device=images.device) + 0.5) / height
    columns = (torch.arange(width, device=images.device) + 0.5) / width
    inside = ((rows[None] - centre_y[:, None]).abs() < half_h[:, None])[:, :, None] & (
        (columns[None] - centre_x[:, None]).abs() < half_w[:, None]
    )[:, None, :]
    inside &= _chosen(count, chance, generator)[:, None, None]
    noise = _random(images.shape, generator)
    return torch.where(inside[:, None], noise, images)
