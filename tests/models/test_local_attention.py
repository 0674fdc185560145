"""Pooling by local attention: what it starts as, and what it leaves out in training."""

from __future__ import annotations

import pytest
import torch

from abaw.core.errors import ConfigError
from abaw.models.architecture import Architecture
from abaw.models.local_attention import LocalAttentionPool, attention_of
from abaw.models.static import build_static


def pool(maps: int = 3) -> LocalAttentionPool:
    torch.manual_seed(0)
    made = LocalAttentionPool(8, maps)
    with torch.no_grad():
        made.score.weight.normal_(std=2.0)
    return made


def test_a_new_pool_is_the_mean() -> None:
    maps = torch.randn(4, 8, 5, 5)
    made = LocalAttentionPool(8, 3)
    for state in (made.eval(), made.train()):
        assert torch.allclose(state(maps)[:, :, 0, 0], maps.mean((2, 3)), atol=1e-6)


def test_positions_are_weighted_by_their_highest_attention() -> None:
    made, maps = pool().eval(), torch.randn(4, 8, 5, 5)
    highest = made.attention(maps).max(1, keepdim=True).values
    assert torch.allclose(made(maps), (maps * highest).mean((2, 3), keepdim=True))


def test_training_leaves_out_one_map_per_image() -> None:
    made, maps = pool().train(), torch.randn(64, 8, 5, 5)
    attention = made.attention(maps)
    without = [
        (maps * attention[:, [k for k in range(3) if k != out]].amax(1, keepdim=True)).mean((2, 3)) for out in range(3)
    ]
    found = made(maps)[:, :, 0, 0]
    fits = torch.stack([(found - each).abs().amax(1) < 1e-5 for each in without])
    assert bool(fits.any(0).all())
    assert bool(fits.any(1).all())  # every map was left out for some image


def test_map_dropping_is_off_in_evaluation_and_when_switched_off() -> None:
    made, maps = pool(), torch.randn(4, 8, 5, 5)
    assert torch.equal(made.eval()(maps), made.eval()(maps))
    assert not torch.equal(made.train()(maps), made.eval()(maps))
    made.drop = False
    assert torch.equal(made.train()(maps), made.eval()(maps))


def test_every_weight_learns() -> None:
    made = pool().train()
    made(torch.randn(16, 8, 5, 5)).square().sum().backward()
    for name, weight in made.named_parameters():
        assert weight.grad is not None and weight.grad.abs().sum() > 0, name


@pytest.mark.parametrize("backbone", ["small", "medium", "wide_resnet28_2", "resnet18", "mobilenet_v3_small"])
def test_it_replaces_the_mean_of_any_backbone_that_has_one(backbone: str) -> None:
    plain = build_static(Architecture(backbone=backbone), 8, 32, seed=0).eval()
    model = build_static(Architecture(backbone=backbone, attention_maps=2), 8, 32, seed=0).eval()
    assert attention_of(plain) is None and attention_of(model) is not None
    images = torch.rand(2, 3, 32, 32)
    assert torch.allclose(model(images), plain(images), atol=1e-5)  # a new pool changes nothing


def test_a_backbone_without_a_mean_is_refused() -> None:
    with pytest.raises(ConfigError, match="vit_b_32 has no mean over feature maps"):
        build_static(Architecture(backbone="vit_b_32", attention_maps=2), 8, 224, seed=0)


@pytest.mark.parametrize("maps", [-1, 1])
def test_wrong_numbers_of_maps_are_refused(maps: int) -> None:
    with pytest.raises(ConfigError, match=f"attention_maps is {maps}"):
        Architecture(backbone="small", attention_maps=maps)
