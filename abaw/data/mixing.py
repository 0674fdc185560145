"""Mixing the images of a batch, and their targets with them. B batch, C class."""

from __future__ import annotations

import torch
from torch import Tensor


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
    share = torch.rand(count, generator=generator, device=images.device) / 2
    choice = torch.rand(count, generator=generator, device=images.device)
    rectangles = _rectangles(share, images.shape[2:], generator)
    blended = choice < mixup
    cut = (choice >= mixup) & (choice < mixup + cutmix)
    other = torch.where(blended, share, 0.0)[:, None, None] + (rectangles & cut[:, None, None])
    weight = other.mean(dim=(1, 2))[:, None]
    mixed = images + (images.roll(1, 0) - images) * other[:, None]
    return mixed, targets + (targets.roll(1, 0) - targets) * weight


def _rectangles(share: Tensor, size: tuple[int, ...] | torch.Size, generator: torch.Generator) -> Tensor:
    """One rectangle per image, with the image's proportions and wholly inside: (B, H, W) bool, True inside.

    share: (B,) of the area, to the nearest pixel.
    """
    inside = []
    for length in size:
        side = (share.sqrt() * length).round()
        start = (torch.rand(len(share), generator=generator, device=share.device) * (length - side + 1)).floor()
        at = torch.arange(length, device=share.device)
        inside.append((at >= start[:, None]) & (at < (start + side)[:, None]))
    rows, columns = inside
    return rows[:, :, None] & columns[:, None, :]
