"""Several sources in the temporal model: masks of their own, and three ways to combine them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from abaw.models.sizes import TransformerSize
from abaw.models.temporal import TemporalTransformer, build_temporal, temporal_spec
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.stores.sources import Source

DIMS = (6, 3, 4)
SIZE = TransformerSize(layers=1, heads=2, width=16, dropout=0.0)
FUSIONS = ("concat", "gated", "cross_attention")
T = 12


def _model(fusion: str, num_sources: int = 2, seed: int = 0, **size: Any) -> TemporalTransformer:
    sources = tuple(Source(f"s{index}", str(index) * 16, dim) for index, dim in enumerate(DIMS[:num_sources]))
    spec = temporal_spec(
        replace(SIZE, fusion=fusion, **size),
        window=T, hop=6, sources=sources, classes=EXPRESSION_CLASSES, training={},
    )  # fmt: skip
    return build_temporal(spec, seed=seed).eval()


def _features(num_sources: int = 2, batch: int = 2) -> Tensor:
    return torch.randn(batch, T, sum(DIMS[:num_sources]), generator=torch.Generator().manual_seed(1))


def _present(num_sources: int = 2, batch: int = 2) -> Tensor:
    """Each frame of the first window has other sources; frame 3 has none, and the second window lacks source 1."""
    present = torch.rand(batch, T, num_sources, generator=torch.Generator().manual_seed(2)) < 0.6
    present[:, 3] = False
    present[1, :, 1] = False
    return present


def _inside(batch: int = 2) -> Tensor:
    return torch.ones(batch, T, dtype=torch.bool)


def _recorded_tokens(model: TemporalTransformer, features: Tensor, present: Tensor) -> list[Tensor]:
    """What each source contributes to the fusion, (B, T, width) each."""
    found: list[Tensor] = []
    hook = model.fusion.register_forward_pre_hook(lambda _, arguments: found.extend(arguments[0]))
    model(features, present, _inside(len(features)))
    hook.remove()
    return found


@pytest.mark.parametrize("size", [{}, {"delta": 2, "stem": 3, "tcn": 1, "causal": True}, {"distance_bias": False}])
@pytest.mark.parametrize("num_sources", [2, 3])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_stored_values_of_a_source_that_is_not_present_make_no_difference(
    fusion: str, num_sources: int, size: dict[str, Any]
) -> None:
    model, features, present = _model(fusion, num_sources, **size), _features(num_sources), _present(num_sources)
    absent = torch.cat(
        [~present[..., index : index + 1].expand(-1, -1, dim) for index, dim in enumerate(DIMS[:num_sources])], dim=-1
    )
    outputs = model(features, present, _inside())
    assert outputs.isfinite().all(), "also where no source is present"
    assert torch.equal(model(torch.where(absent, 1e3, features), present, _inside()), outputs)
    assert not torch.equal(model(torch.where(absent, features, features + 1), present, _inside()), outputs)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_masking_one_source_never_changes_what_another_contributes(fusion: str) -> None:
    model, features = _model(fusion, delta=1), _features()
    both, first = torch.ones(2, T, 2, dtype=torch.bool), torch.ones(2, T, 2, dtype=torch.bool)
    first[..., 1] = False
    with_both, with_first = (_recorded_tokens(model, features, present) for present in (both, first))
    assert torch.equal(with_both[0], with_first[0]) and not torch.equal(with_both[1], with_first[1])
    token = model.inputs[1].mask_token
    assert isinstance(token, Tensor) and torch.equal(with_first[1], token.expand_as(with_first[1]))


def test_concat_is_one_linear_layer_on_all_features() -> None:
    model, features = _model("concat"), _features()
    layers = [source.embed for source in model.inputs]
    weight = torch.cat([layer.weight for layer in layers], dim=1)  # type: ignore[arg-type, union-attr, misc]
    bias = sum(layer.bias for layer in layers)  # type: ignore[union-attr, misc]
    fused: list[Tensor] = []
    model.fusion.register_forward_hook(lambda _, __, tokens: fused.append(tokens))
    model(features, torch.ones(2, T, 2, dtype=torch.bool), _inside())
    torch.testing.assert_close(fused[0], features @ weight.T + bias, atol=1e-5, rtol=1e-5)  # type: ignore[operator]


def test_gates_weigh_the_present_sources_alone() -> None:
    """With one source present its gate is 1; with both the result lies between them; with none, between the tokens."""
    model = _model("gated")
    tokens = [torch.zeros(1, 4, 16), torch.ones(1, 4, 16)]
    present = torch.tensor([[[True, False], [False, True], [True, True], [False, False]]])
    mixed = model.fusion(tokens, present, torch.ones(1, 4, dtype=torch.bool))[0, :, 0].tolist()
    assert mixed[:2] == [0, 1] and 0 < mixed[2] < 1 and 0 < mixed[3] < 1


def test_cross_attention_reaches_frames_where_the_other_source_is_present() -> None:
    """A frame without a face takes from the sound of other frames, before the encoder; absent sound gives nothing."""
    fusion = _model("cross_attention").fusion
    face, sound = torch.zeros(1, T, 16), torch.randn(1, T, 16, requires_grad=True)
    present = torch.ones(1, T, 2, dtype=torch.bool)
    present[0, 5, 1] = False
    fusion([face, sound], present, _inside(1))[0, 8].sum().backward()
    assert sound.grad is not None
    pull = sound.grad[0].abs().sum(-1)
    assert (pull[torch.arange(T) != 5] > 0).all() and pull[5] == 0
    nothing = torch.zeros_like(present)
    assert torch.equal(fusion([face, sound], nothing, _inside(1)), face + sound), "no key: the tokens stay"


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("padding", [1, 7])
def test_padding_never_changes_the_logits(padding: int, fusion: str, causal: bool) -> None:
    model, features, present = _model(fusion, causal=causal), _features(), _present()
    alone = model(features, present, _inside())
    padded = model(
        torch.cat([features, 1e3 * torch.randn(2, padding, features.shape[-1])], dim=1),
        torch.cat([present, torch.ones(2, padding, 2, dtype=torch.bool)], dim=1),
        torch.cat([_inside(), torch.zeros(2, padding, dtype=torch.bool)], dim=1),
    )
    torch.testing.assert_close(padded[:, :T], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_permuted_windows_have_permuted_outputs(fusion: str) -> None:
    model, features, present = _model(fusion), _features(batch=4), _present(batch=4)
    order = torch.tensor([2, 0, 3, 1])
    outputs = model(features, present, _inside(4))
    torch.testing.assert_close(model(features[order], present[order], _inside(4)), outputs[order], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_causal_model_sees_no_future(fusion: str) -> None:
    model, features = _model(fusion, causal=True, delta=1, stem=3), _features(batch=1).requires_grad_()
    model(features, torch.ones(1, T, 2, dtype=torch.bool), _inside(1))[0, 7].sum().backward()
    assert features.grad is not None
    pull = features.grad[0].abs().sum(-1)
    assert (pull[8:] == 0).all() and (pull[:8] > 0).all()


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_parameter_learns(fusion: str) -> None:
    model = _model(fusion)
    model(_features(), _present(), _inside()).square().sum().backward()
    still = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not still


@pytest.mark.parametrize("fusion", FUSIONS)
def test_one_source_is_the_same_model_with_every_fusion(fusion: str) -> None:
    one, other = _model("concat", 1), _model(fusion, 1)
    assert one.state_dict().keys() == other.state_dict().keys()
    present = _present(2)[..., :1]
    assert torch.equal(one(_features(1), present, _inside()), other(_features(1), present, _inside()))


def test_features_are_standardised_per_source() -> None:
    model = _model("concat")
    std = torch.tensor([1.0, 1, 1, 1, 1, 0, 100, 100, 0])
    model.set_statistics(torch.zeros(9), std)
    assert model.feature_std[[5, 8]].tolist() == pytest.approx([0.1 * 5 / 6, 0.1 * 200 / 3])
    model.set_statistics(torch.zeros(9), torch.cat([std[:6], torch.zeros(3)]))
    assert model.feature_std[6:].tolist() == [1, 1, 1], "a source without any frame"


def test_weights_of_earlier_versions_are_those_of_the_first_source() -> None:
    model = _model("concat", 1)
    renamed = {"inputs.0.mask_token": "mask_token", "inputs.0.embed.weight": "embed.weight"}
    renamed["inputs.0.embed.bias"] = "embed.bias"
    assert renamed.keys() <= model.state_dict().keys()
    earlier = {renamed.get(name, name): weight for name, weight in model.state_dict().items()}
    other = _model("concat", 1, seed=1)
    other.load_state_dict(earlier)
    assert all(torch.equal(weight, other.state_dict()[name]) for name, weight in model.state_dict().items())
    whole = nn.ModuleDict({"model": _model("concat", 1, seed=2)})
    whole.load_state_dict({f"model.{name}": weight for name, weight in earlier.items()})
    assert torch.equal(whole.state_dict()["model.inputs.0.embed.weight"], earlier["embed.weight"])
