"""Local warps: smooth, one-to-one, without movement at the border and far from the points."""

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


def test_with_strength_0_a_warp_is_the_identity() -> None:
    images = 255 * torch.rand(3, 3, 40, 40)
    assert torch.allclose(warp_at_random(images, WarpSettings(lowest=0, highest=0), generator()), images, atol=0.01)


@pytest.mark.parametrize("highest", [0.03, 0.08, 0.5])
def test_the_flow_never_folds(highest: float) -> None:
    """The slopes of the dense flow stay below 0.6: every determinant of the warp's Jacobian is above 0."""
    flow = random_flow(64, WarpSettings(lowest=highest, highest=highest), generator())
    assert float(steepness(flow).max()) <= 0.6 + 1e-4
    places = dense(flow)
    step = 1 / (places.shape[-1] - 1)
    across, down = places.diff(dim=3)[:, :, 1:] / step, places.diff(dim=2)[..., 1:] / step
    assert float((across.abs() + down.abs()).max()) < 0.65
    determinant = (1 + across[:, 0]) * (1 + down[:, 1]) - across[:, 1] * down[:, 0]
    assert float(determinant.min()) > 0.1


def test_steepness_measures_a_flow_that_is_too_steep() -> None:
    flow = torch.zeros(1, 2, 29, 29)
    flow[0, 0, 14, 14] = 0.5 / 28
    assert float(steepness(flow)) == pytest.approx(1.0)  # half the distance of nodes, across and down


def test_the_border_does_not_move() -> None:
    flow = random_flow(32, WarpSettings(), generator())
    for edge in (flow[..., 0], flow[..., -1], flow[..., 0, :], flow[..., -1, :]):
        assert float(edge.abs().max()) == 0
    images = torch.rand(8, 3, 48, 48)
    warped = warp_at_random(images, WarpSettings(), generator())
    for edge in (slice(0, 1), slice(-1, None)):
        assert torch.allclose(warped[..., edge], images[..., edge], atol=1e-4)
        assert torch.allclose(warped[..., edge, :], images[..., edge, :], atol=1e-4)


def test_regions_out_of_reach_do_not_move() -> None:
    """No anchor, even with jitter, is within 0.22 of the upper strip or the lower corners."""
    images = torch.rand(16, 3, 112, 112)
    warped = warp_at_random(images, WarpSettings(), generator())
    assert torch.allclose(warped[:, :, :5], images[:, :, :5], atol=1e-4)
    assert torch.allclose(warped[:, :, 104:, :10], images[:, :, 104:, :10], atol=1e-4)
    assert not torch.allclose(warped[:, :, 60:100], images[:, :, 60:100], atol=0.05)


def test_warps_differ_per_image_and_depend_on_the_generator() -> None:
    flow, same, other = (random_flow(4, WarpSettings(), generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(flow, same) and not torch.equal(flow, other)
    assert float((flow[0] - flow[1]).abs().max()) > 0.005


@pytest.mark.parametrize("points", [1, 4, 9])
def test_the_number_of_displaced_points(points: int) -> None:
    """One point pulls only its surroundings; nine pull the whole face."""
    settings = WarpSettings(least_points=points, most_points=points, lowest=0.05, highest=0.05)
    flow = random_flow(32, settings, generator())
    moved = (flow.abs().amax(1) > 1e-3).float().mean()
    bounds = {1: (0.03, 0.12), 4: (0.12, 0.27), 9: (0.27, 0.5)}[points]
    assert bounds[0] < float(moved) < bounds[1]


def test_the_flow_points_to_where_pixels_are_sampled() -> None:
    """With a flow of one pixel to the right, each inner pixel shows its right neighbour."""
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
