"""Mixing the images of a batch, and their targets with them. B batch, C class."""

from __future__ import annotations

import torch
from torch import Tensor

from abaw.core.data_parallel import drawn_for_all, previous_samples


def mix_images(
    images: Tensor, targets: Tensor, mixup: float, cutmix: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Mix each image with the previous one of the batch; the target is mixed with the same shares.

    mixup: probability that the two are blended (arXiv 1710.09412); cutmix: probability that a rectangle of the image is
    replaced by that part of the other (arXiv 1905.04899). The share of the other image is uniform in 0..½, so an image
    keeps the larger share: the papers' Beta(1, 1), whose order of the two images does not matter. images: (B, 3, S, S)
    float, in random order; targets: (B, C). generator: on the images' device. Returns both mixed.
    """
    count = len(images)
    share = _uniform(count, generator) / 2
    choice = _uniform(count, generator)
    rectangles = _rectangles(share, images.shape[2:], generator)
    blended = choice < mixup
    cut = (choice >= mixup) & (choice < mixup + cutmix)
    other = torch.where(blended, share, 0.0)[:, None, None] + (rectangles & cut[:, None, None])
    weight = other.mean(dim=(1, 2))[:, None]
    mixed = images + (previous_samples(images) - images) * other[:, None]
    return mixed, targets + (previous_samples(targets) - targets) * weight


def _uniform(count: int, generator: torch.Generator) -> Tensor:
    """Uniform values in 0..1, (count,)."""
    return drawn_for_all(lambda size: torch.rand(size, generator=generator, device=generator.device), count)


def _rectangles(share: Tensor, size: tuple[int, ...] | torch.Size, generator: torch.Generator) -> Tensor:
    """One rectangle per image, with the image's proportions and wholly inside: (B, H, W) bool, True inside.

    share: (B,) of the area, to the nearest pixel.
    """
    inside = []
    for length in size:
        side = (share.sqrt() * length).round()
        start = (_uniform(len(share), generator) * (length - side + 1)).floor()
        at = torch.arange(length, device=share.device)
        inside.append((at >= start[:, None]) & (at < (start + side)[:, None]))
    rows, columns = inside
    return rows[:, :, None] & columns[:, None, :]
