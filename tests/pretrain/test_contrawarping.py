"""ContraWarping: its two losses by hand, its switches, and that it learns to distinguish warped from moved faces."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from abaw.core.errors import ConfigError
from abaw.data.images import FaceImages
from abaw.learning.ema import Ema
from abaw.models.architecture import Architecture
from abaw.models.image_input import ImageInput
from abaw.pretrain.contrawarping import ContraWarping, FaceViews, Projected, build_contrawarping
from abaw.pretrain.settings import ContraWarpingSettings

SIZE = 24


def batch(count: int = 8, seed: int = 0) -> FaceImages:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 6, 6, generator=generator)
    images = (255 * F.interpolate(coarse, size=(SIZE, SIZE), mode="bilinear")).to(torch.uint8)
    return FaceImages(images, torch.full((count,), -1), torch.zeros(count, 8), tuple(map(str, range(count))))


def made(**settings: object) -> ContraWarping:
    return build_contrawarping(
        Architecture(backbone="small"),
        ImageInput(SIZE),
        ContraWarpingSettings(**settings),
        seed=0,  # type: ignore[arg-type]
    )


def views(method: ContraWarping, seed: int = 0) -> FaceViews:
    return method.views(batch(), torch.Generator().manual_seed(seed))


class _Given(nn.Module):
    """Returns the images as features, to set features by hand."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)


def by_hand(negatives: str, **settings: object) -> ContraWarping:
    """A method whose model, predictor and target return their inputs, (B, 2, 1, 1)."""
    model = Projected(nn.Identity(), 2, 2)
    model.project = _Given()
    method = ContraWarping(
        model,
        ImageInput(SIZE),
        ContraWarpingSettings(negatives=negatives, projection=2, **settings),  # type: ignore[arg-type]
    )
    method.predict = nn.Identity()
    return method


def turned(*degrees: float) -> Tensor:
    """Unit vectors at these angles, as images (B, 2, 1, 1)."""
    angles = torch.tensor(degrees).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], 1)[..., None, None]


def cos(degrees: float) -> float:
    return math.cos(math.radians(degrees))


FACES = FaceViews(turned(0, 90), turned(30, 120), turned(60, 180)[None], ("a", "b"))


def test_byol_s_loss_by_hand() -> None:
    found = by_hand("warps", warp_weight=0.0)(FACES)
    assert float(found.loss) == pytest.approx(2 - 2 * cos(30), rel=1e-5)


@pytest.mark.parametrize(
    ("negatives", "others"),
    [
        # Face a: first view at 0°, second at 30°, warped at 60°; face b: 90°, 120°, 180°.
        ("warps", {0: [60], 90: [90], 30: [30], 120: [60]}),
        ("faces", {0: [90, 120], 90: [90, 60], 30: [60, 90], 120: [120, 90]}),
        ("warps_and_faces", {0: [60, 90, 120], 90: [90, 90, 60], 30: [30, 60, 90], 120: [60, 120, 90]}),
    ],
)
def test_the_contrast_by_hand(negatives: str, others: dict[int, list[int]]) -> None:
    method = by_hand(negatives, byol_weight=0.0, temperature=0.5)
    faces = FACES if negatives != "faces" else FACES._replace(warped=FACES.warped[:0])
    expected = [
        -math.log(
            math.exp(cos(30) / 0.5) / (math.exp(cos(30) / 0.5) + sum(math.exp(cos(angle) / 0.5) for angle in angles))
        )
        for angles in others.values()
    ]
    assert float(method(faces).loss) == pytest.approx(sum(expected) / 4, rel=1e-4)


@pytest.mark.parametrize(
    ("settings", "warps"),
    [({}, 2), ({"warps": 3, "negatives": "warps"}, 3), ({"warp_weight": 0.0}, 0), ({"negatives": "faces"}, 0)],
)
def test_only_the_warps_that_the_loss_needs_are_made(settings: dict[str, object], warps: int) -> None:
    method = made(**settings)
    assert views(method).warped.shape == (warps, 8, 3, SIZE, SIZE)
    assert torch.isfinite(method(views(method)).loss)


def test_every_weight_learns_and_the_target_does_not() -> None:
    method = made()
    average = Ema(method.model, 0.9).model
    method.use_average(average)
    method(views(method)).loss.backward()
    for name, weight in method.named_parameters():
        assert weight.grad is not None and weight.grad.abs().sum() > 0, name
    assert all(weight.grad is None for weight in average.parameters())


def test_views_depend_on_the_generator() -> None:
    method = made()
    one, same, other = views(method, 1), views(method, 1), views(method, 2)
    assert torch.equal(one.warped, same.warped) and not torch.equal(one.warped, other.warped)
    assert not torch.equal(one.first, one.second)


def test_it_learns_to_distinguish_views_from_warps() -> None:
    torch.manual_seed(0)
    method = made(negatives="warps", byol_weight=0.0).train()
    ema = Ema(method.model, 0.9)
    method.use_average(ema.model)
    optimizer = torch.optim.Adam(method.parameters(), lr=3e-3)
    shares = []
    faces = views(method)
    for _ in range(60):
        result = method(faces)
        optimizer.zero_grad()
        result.loss.backward()
        optimizer.step()
        ema.update(method.model)
        shares.append(float(result.logs["told_apart"]))
    assert shares[0] < 0.7 and min(shares[-5:]) > 0.9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"byol_weight": 0.0, "warp_weight": 0.0}, "nothing would be learned"),
        ({"warp_weight": -1.0}, "warp_weight is -1.0"),
        ({"warps": 0}, "warps is 0"),
        ({"temperature": 0.0}, "temperature is 0.0"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ContraWarpingSettings(**settings)  # type: ignore[arg-type]
