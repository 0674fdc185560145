from __future__ import annotations

import pytest
import torch

from abaw.data.mixing import mix_images


def batch(count: int = 64, size: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    """Images of one value each, 0 .. count − 1, and one class per image."""
    values = torch.arange(count).float()
    return values.view(-1, 1, 1, 1).expand(-1, 3, size, size).clone(), torch.eye(count)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.4, 0.3)])
def test_targets_are_mixed_with_the_shares_of_the_pixels(mixup: float, cutmix: float) -> None:
    images, targets = batch()
    mixed, shares = mix_images(images, targets, mixup, cutmix, generator())
    expected = shares @ torch.arange(len(images)).float()
    assert torch.allclose(mixed.mean((1, 2, 3)), expected, atol=1e-3)
    assert torch.allclose(shares.sum(1), torch.ones(len(images)))
    assert bool((shares.diagonal() >= 0.45).all())  # an image keeps the larger share, to the nearest pixel


def test_without_mixing_nothing_changes() -> None:
    images, targets = batch()
    mixed, shares = mix_images(images, targets, 0.0, 0.0, generator())
    assert torch.equal(mixed, images) and torch.equal(shares, targets)


def test_the_probabilities_choose_the_kind_of_mixing() -> None:
    images, targets = batch(4000, 12)
    mixed, _ = mix_images(images, targets, 0.25, 0.5, generator())
    own = (mixed == images).all(1)
    untouched, cut = own.all((1, 2)), own.any((1, 2)) & ~own.all((1, 2))
    blended = ~own.any((1, 2))
    assert float(blended.float().mean()) == pytest.approx(0.25, abs=0.03)
    assert float(cut.float().mean()) == pytest.approx(0.5, abs=0.03)
    assert bool(untouched.any())


def test_a_cut_is_one_rectangle_of_the_other_image() -> None:
    images, targets = batch(200)
    mixed, _ = mix_images(images, targets, 0.0, 1.0, generator())
    other = (mixed[:, 0] == images.roll(1, 0)[:, 0]) & (mixed[:, 0] != images[:, 0])
    assert bool(((mixed == images) | (mixed == images.roll(1, 0))).all())
    area = other.any(2).sum(1) * other.any(1).sum(1)
    assert torch.equal(area, other.sum((1, 2)))
    assert len(torch.unique(other.sum((1, 2)))) > 5


def test_the_generator_decides_everything() -> None:
    images, targets = batch()
    first, again = (mix_images(images, targets, 0.5, 0.5, generator(1))[0] for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, mix_images(images, targets, 0.5, 0.5, generator(2))[0])
