"""Local warps: smooth, one-to-one, still at the border and away from the points."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from abaw.core.errors import ConfigError
from abaw.pretrain.local_warp import random_flow, steepness, warp, warp_at_random
from abaw.pretrain.settings import WarpSettings


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def dense(flow: Tensor, size: int = 113) -> Tensor:
    """The flow at every pixel, (B, 2, size, size)."""
    return F.interpolate(flow, size=(size, size), mode="bilinear", align_corners=True)


def test_without_strength_it_is_the_identity() -> None:
    images = 255 * torch.rand(3, 3, 40, 40)
    assert torch.allclose(warp_at_random(images, WarpSettings(lowest=0, highest=0), generator()), images, atol=0.01)


@pytest.mark.parametrize("highest", [0.03, 0.08, 0.5])
def test_the_flow_never_folds(highest: float) -> None:
    """Slopes of the dense flow stay below 0.6, so that every determinant of the warp's Jacobian is above 0."""
    flow = random_flow(64, WarpSettings(lowest=highest, highest=highest), generator())
    assert float(steepness(flow).max()) <= 0.6 + 1e-4
    places = dense(flow)
    step = 1 / (places.shape[-1] - 1)
    across, down = places.diff(dim=3)[:, :, 1:] / step, places.diff(dim=2)[..., 1:] / step
    assert float((across.abs() + down.abs()).max()) < 0.65
    determinant = (1 + across[:, 0]) * (1 + down[:, 1]) - across[:, 1] * down[:, 0]
    assert float(determinant.min()) > 0.1


def test_a_steeper_flow_than_allowed_is_seen() -> None:
    flow = torch.zeros(1, 2, 29, 29)
    flow[0, 0, 14, 14] = 0.5 / 28
    assert float(steepness(flow)) == pytest.approx(1.0)  # half a node's distance, across and down


def test_the_border_stays() -> None:
    flow = random_flow(32, WarpSettings(), generator())
    for edge in (flow[..., 0], flow[..., -1], flow[..., 0, :], flow[..., -1, :]):
        assert float(edge.abs().max()) == 0
    images = torch.rand(8, 3, 48, 48)
    warped = warp_at_random(images, WarpSettings(), generator())
    for edge in (slice(0, 1), slice(-1, None)):
        assert torch.allclose(warped[..., edge], images[..., edge], atol=1e-4)
        assert torch.allclose(warped[..., edge, :], images[..., edge, :], atol=1e-4)


def test_what_no_point_reaches_stays() -> None:
    """No anchor lies within 0.22 and its jitter of the upper strip, or of the lower corners."""
    images = torch.rand(16, 3, 112, 112)
    warped = warp_at_random(images, WarpSettings(), generator())
    assert torch.allclose(warped[:, :, :5], images[:, :, :5], atol=1e-4)
    assert torch.allclose(warped[:, :, 104:, :10], images[:, :, 104:, :10], atol=1e-4)
    assert not torch.allclose(warped[:, :, 60:100], images[:, :, 60:100], atol=0.05)


def test_every_image_is_warped_in_its_own_way_by_the_generator_alone() -> None:
    flow, same, other = (random_flow(4, WarpSettings(), generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(flow, same) and not torch.equal(flow, other)
    assert float((flow[0] - flow[1]).abs().max()) > 0.005


@pytest.mark.parametrize("points", [1, 4, 9])
def test_so_many_points_are_displaced(points: int) -> None:
    """One point pulls its surroundings alone; nine pull all of the face."""
    settings = WarpSettings(least_points=points, most_points=points, lowest=0.05, highest=0.05)
    flow = random_flow(32, settings, generator())
    moved = (flow.abs().amax(1) > 1e-3).float().mean()
    bounds = {1: (0.03, 0.12), 4: (0.12, 0.27), 9: (0.27, 0.5)}[points]
    assert bounds[0] < float(moved) < bounds[1]


def test_a_shift_takes_what_lies_there() -> None:
    """A flow of one pixel to the right, inside, shows the pixel to the right."""
    images = torch.rand(1, 3, 29, 29)
    flow = torch.zeros(1, 2, 29, 29)
    flow[:, 0, 5:20, 5:20] = 1 / 28
    warped = warp(images, flow)
    assert torch.allclose(warped[..., 5:20, 5:20], images[..., 5:20, 6:21], atol=1e-4)
    assert torch.allclose(warped[..., 22:, :], images[..., 22:, :], atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lowest": 0.1, "highest": 0.05}, "warps from 0.1 to 0.05"),
        ({"least_points": 0}, "0 to 8 points"),
        ({"most_points": 10}, "4 to 10 points"),
        ({"steepest": 1.0}, "steepest is 1.0"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        WarpSettings(**settings)  # type: ignore[arg-type]
