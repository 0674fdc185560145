from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from abaw.data.views import STRONG, WEAK, View, unit

STILL = View(flip=0.0)


def images(count: int = 6, size: int = 20, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator(seed))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_view_that_changes_nothing_is_the_image() -> None:
    assert torch.allclose(STILL(images(), generator()), unit(images()), atol=1e-5)


def test_flip_mirrors_left_and_right() -> None:
    assert torch.allclose(View(flip=1.0)(images(), generator()), unit(images()).flip(3), atol=1e-5)


def test_flip_is_drawn_per_image() -> None:
    batch = images(400, 4)
    flipped = torch.isclose(View(flip=0.5)(batch, generator()), unit(batch).flip(3), atol=1e-4).all((1, 2, 3))
    assert 150 < int(flipped.sum()) < 250


def test_grey_makes_all_channels_equal_and_keeps_the_luma() -> None:
    views = View(flip=0.0, grey=1.0)(images(), generator())
    luma = (unit(images()) * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1)
    for channel in range(3):
        assert torch.allclose(views[:, channel], luma, atol=1e-5)


def test_a_positive_shift_moves_a_dot_without_distortion() -> None:
    batch = torch.zeros(50, 3, 41, 41, dtype=torch.uint8)
    batch[:, :, 20, 20] = 255
    views = View(flip=0.0, shift=0.2)(batch, generator())
    mass = views[:, 0]
    assert torch.allclose(mass.sum((1, 2)), torch.ones(50), atol=1e-3)
    rows = (mass.sum(2) * torch.arange(41)).sum(1) - 20
    assert rows.abs().max() <= 0.2 * 41 + 1e-3
    assert rows.std() > 2


def test_rotation_and_mirror_keep_the_centre() -> None:
    batch = torch.zeros(20, 3, 41, 41, dtype=torch.uint8)
    batch[:, :, 18:23, 18:23] = 255
    assert (View(degrees=45.0)(batch, generator())[:, :, 20, 20] > 0.99).all()


def test_erasing_touches_two_to_twenty_percent() -> None:
    batch = torch.full((200, 3, 40, 40), 128, dtype=torch.uint8)
    views = View(flip=0.0, erase=1.0)(batch, generator())
    share = ((views - 128 / 255).abs() > 1e-4).any(1).float().mean((1, 2))
    assert share.max() <= 0.22
    assert (share > 0.01).float().mean() > 0.7


@pytest.mark.parametrize("view", [WEAK, STRONG], ids=["weak", "strong"])
def test_views_depend_on_the_generator(view: View) -> None:
    first, again, other = (view(images(), generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@given(
    st.integers(1, 4),
    st.integers(16, 33),
    st.integers(0, 99),
    st.floats(0, 1),
    st.floats(0, 90),
    st.floats(0, 0.9),
    st.floats(0, 1),
)
def test_any_view_keeps_shape_and_range(
    count: int, size: int, seed: int, chance: float, degrees: float, spread: float, factor: float
) -> None:
    view = View(chance, degrees, spread, spread, factor, factor, factor, chance, chance)
    views = view(images(count, size, seed), generator(seed))
    assert views.shape == (count, 3, size, size)
    assert views.dtype == torch.float32
    assert views.isfinite().all() and views.min() >= 0 and views.max() <= 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_views_are_computed_on_the_images_device() -> None:
    assert STRONG(images().cuda(), torch.Generator("cuda")).is_cuda
