"""The temporal model: padding, masks, positions, its spec and its checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from abaw.core.errors import ConfigError
from abaw.models.sizes import TransformerSize
from abaw.models.stem import changes
from abaw.models.tasks import ordered_tasks, spec_tasks, split_outputs
from abaw.models.temporal import TemporalTransformer, build_temporal, load_temporal, temporal_spec
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.stores.checkpoints import save_checkpoint
from abaw.stores.sources import Source
from abaw.stores.spec import CheckpointError, Spec

D = 6
SIZE = TransformerSize(layers=2, heads=2, width=16, dropout=0.1)


def _model(seed: int = 0, size: TransformerSize = SIZE) -> TemporalTransformer:
    return build_temporal(_spec(size), seed=seed).eval()


def _spec(size: TransformerSize = SIZE, tasks: tuple[str, ...] = ("expression",)) -> Spec:
    return temporal_spec(
        size,
        window=20,
        hop=10,
        sources=(Source("features", "b" * 16, D),),
        classes=EXPRESSION_CLASSES,
        training={"seed": 0},
        tasks=tasks,
    )


def _run(model: nn.Module, features: Tensor, present: Tensor, inside: Tensor) -> Tensor:
    """Outputs of a model of one source. present: (B, T)."""
    outputs: Tensor = model(features, present[..., None], inside)
    return outputs


def _features(batch: int, time: int) -> torch.Tensor:
    return torch.randn(batch, time, D, generator=torch.Generator().manual_seed(1))


SHAPES: dict[str, dict[str, object]] = {
    "plain": {},
    "stem 5": {"stem": 5},
    "stem 25": {"stem": 25},
    "tcn": {"tcn": 3},
    "delta": {"delta": 2},
    "learned positions": {"positions": "learned"},
    "no distance bias": {"distance_bias": False},
    "all": {"stem": 3, "tcn": 2, "delta": 1},
}


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("padding", [1, 7])
def test_padding_never_changes_the_logits(padding: int, shape: dict[str, object], causal: bool) -> None:
    model, features = _model(size=replace(SIZE, causal=causal, **shape)), _features(2, 13)  # type: ignore[arg-type]
    real = torch.ones(2, 13, dtype=torch.bool)
    present = real.clone()
    present[0, 4:6] = False
    alone = _run(model, features, present, real)
    padded = torch.cat([features, 1e3 * torch.randn(2, padding, D)], dim=1)
    with_padding = _run(
        model,
        padded,
        torch.cat([present, torch.ones(2, padding, dtype=torch.bool)], dim=1),
        torch.cat([real, torch.zeros(2, padding, dtype=torch.bool)], dim=1),
    )
    torch.testing.assert_close(with_padding[:, :13], alone, atol=1e-5, rtol=1e-4)


def test_the_stem_starts_as_the_mean_of_neighbouring_frames() -> None:
    model = _model(size=replace(SIZE, stem=3))
    assert model.stem is not None
    tokens = torch.randn(1, 9, 16)
    mixed = model.stem(tokens, torch.ones(1, 9, dtype=torch.bool))
    torch.testing.assert_close(mixed[:, 4], tokens[:, 3:6].mean(1))
    torch.testing.assert_close(mixed[:, 0], tokens[:, :2].mean(1))
    assert all(weight.requires_grad for weight in model.stem.parameters())


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("stem", [0, 5, 51])
def test_constant_features_give_constant_outputs(stem: int, causal: bool) -> None:
    """Also at the ends of the video, where the stem reaches beyond it, and in the padding's neighbourhood."""
    model = _model(size=replace(SIZE, stem=stem, causal=causal))
    inside = torch.arange(30)[None] < 24
    outputs = _run(model, torch.ones(1, 30, D), inside, inside)[:, :24]
    torch.testing.assert_close(outputs, outputs[:, :1].expand_as(outputs), atol=1e-5, rtol=1e-4)


def test_a_checkpoint_of_an_earlier_version_keeps_its_stem(tmp_path: Path) -> None:
    """It has no key for the mean: the stem divides by its whole length, as it was trained."""
    spec = _spec(replace(SIZE, stem=5, stem_mean="full"))
    model = build_temporal(spec, seed=0).eval()
    earlier = {key: value for key, value in spec.architecture.items() if key != "stem_mean"}
    save_checkpoint(tmp_path, replace(spec, architecture=earlier), model.state_dict())
    loaded, _ = load_temporal(tmp_path)
    ones, real = torch.ones(1, 9, D), torch.ones(1, 9, dtype=torch.bool)
    torch.testing.assert_close(_run(loaded, ones, real, real), _run(model, ones, real, real))
    assert loaded.stem is not None
    mixed = loaded.stem(torch.ones(1, 9, 16), real)
    torch.testing.assert_close(mixed[0, 0], torch.full((16,), 0.6))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_a_causal_model_sees_no_future(shape: dict[str, object]) -> None:
    """Gradients flow from a frame's logits to earlier features and not to later ones."""
    model = _model(size=replace(SIZE, causal=True, **shape))  # type: ignore[arg-type]
    features = _features(1, 15).requires_grad_()
    real = torch.ones(1, 15, dtype=torch.bool)
    _run(model, features, real, real)[0, 7].sum().backward()
    assert features.grad is not None
    pull = features.grad[0].abs().sum(-1)
    assert (pull[8:] == 0).all() and (pull[:8] > 0).all()


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_every_parameter_learns(shape: dict[str, object]) -> None:
    model = _model(size=replace(SIZE, **shape))  # type: ignore[arg-type]
    real = torch.ones(2, 20, dtype=torch.bool)
    present = real.clone()
    present[:, 3] = False
    _run(model, _features(2, 20), present, real).square().sum().backward()
    still = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not still


def test_changes_are_taken_between_frames_that_show_a_face() -> None:
    values = torch.tensor([1.0, 2, 4, 8, 16, 32]).reshape(1, 6, 1)
    known = torch.tensor([[True, True, True, True, False, True]])
    both_sides = changes(values, known, 1, causal=False)[0, :, 0]
    assert both_sides.tolist() == [0, 3, 6, 0, 24, 0], "no neighbour before 0 and after 5; 4 shows no face"
    back = changes(values, known, 2, causal=True)[0, :, 0]
    assert back.tolist() == [0, 0, 3, 6, 0, 24]
    assert not changes(values, known, 9, causal=False).any()


def test_learned_positions_cover_only_the_training_window() -> None:
    model = _model(size=replace(SIZE, positions="learned"))
    real = torch.ones(1, 21, dtype=torch.bool)
    with pytest.raises(ValueError, match="21 frames, but positions were learned for 20"):
        _run(model, _features(1, 21), real, real)
    shown = torch.ones(1, 9, dtype=torch.bool)
    moved = _features(1, 9).roll(1, dims=1)
    assert not torch.allclose(
        _run(model, moved, shown, shown).roll(-1, dims=1), _run(model, _features(1, 9), shown, shown)
    )


def test_outputs_hold_all_tasks_in_order() -> None:
    spec = _spec(tasks=("action_units", "expression", "valence_arousal"))
    assert spec_tasks(spec) == ("expression", "valence_arousal", "action_units")
    real = torch.ones(1, 5, dtype=torch.bool)
    outputs = _run(build_temporal(spec, seed=0), _features(1, 5), real, real)
    assert outputs.shape == (1, 5, 22)
    parts = split_outputs(outputs, spec_tasks(spec))
    assert [part.shape[-1] for part in parts.values()] == [8, 2, 12]
    assert torch.equal(torch.cat(list(parts.values()), dim=-1), outputs)


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        (("expresion",), r"unknown task 'expresion'.*expression"),
        ((), "no task given; expected one or more of expression"),
    ],
)
def test_unusable_tasks_are_refused(tasks: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ordered_tasks(tasks)


def test_the_order_of_frames_matters() -> None:
    model, features = _model(), _features(1, 9)
    real = torch.ones(1, 9, dtype=torch.bool)
    forwards = _run(model, features, real, real)[0]
    backwards = _run(model, features.flip(1), real, real)[0].flip(0)
    assert not torch.allclose(forwards, backwards, atol=1e-4), "without positions the order would make no difference"
    changed = features.clone()
    changed[0, 8] += 1
    assert not torch.allclose(_run(model, changed, real, real)[0, 0], forwards[0], atol=1e-5)


def test_positions_are_relative() -> None:
    model = _model()
    features = _features(1, 5)
    long = torch.cat([torch.zeros(1, 30, D), features], dim=1)
    inside = torch.zeros(1, 35, dtype=torch.bool)
    inside[:, 30:] = True
    shifted = _run(model, long, torch.ones_like(inside), inside)[:, 30:]
    real = torch.ones(1, 5, dtype=torch.bool)
    torch.testing.assert_close(shifted, _run(model, features, real, real), atol=1e-5, rtol=1e-4)


def test_near_frames_weigh_more_than_far_ones() -> None:
    model, features = _model(), _features(1, 200)
    real = torch.ones(1, 200, dtype=torch.bool)
    features.requires_grad_()
    _run(model, features, real, real)[0, 100, 0].backward()
    assert features.grad is not None
    pull = features.grad[0].norm(dim=-1)
    assert pull[95:100].mean() > 3 * pull[:5].mean() and pull[:5].min() > 0


def test_features_of_faceless_frames_are_ignored() -> None:
    model, features = _model(), _features(1, 9)
    real = torch.ones(1, 9, dtype=torch.bool)
    present = real.clone()
    present[0, 3] = False
    other = features.clone()
    other[0, 3] = 50
    torch.testing.assert_close(_run(model, features, present, real), _run(model, other, present, real))
    assert not torch.allclose(_run(model, features, present, real), _run(model, features, real, real), atol=1e-5)


def test_the_mask_token_learns() -> None:
    model = _model()
    present = torch.tensor([[True, False, True]])
    _run(model, _features(1, 3), present, torch.ones_like(present)).sum().backward()
    token = model.inputs[0].mask_token
    assert isinstance(token, Tensor) and token.grad is not None and token.grad.abs().sum() > 0


def test_features_are_standardised_but_constant_ones_are_not_blown_up() -> None:
    model = _model()
    std = torch.tensor([1.0, 2.0, 3.0, 1.0, 2.0, 0.0])
    model.set_statistics(torch.full((D,), 5.0), std)
    assert model.feature_mean.tolist() == [5.0] * D
    assert model.feature_std.tolist() == pytest.approx([1, 2, 3, 1, 2, 0.15])
    model.set_statistics(torch.zeros(D), torch.zeros(D))
    assert model.feature_std.tolist() == [1.0] * D


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ({"width": 30, "heads": 4}, "multiple of 2 x heads = 8"),
        ({"layers": 0}, "at least 1"),
        ({"dropout": 1.0}, "dropout"),
        ({"stem": 4}, "odd number of frames"),
        ({"tcn": -1}, "0 or more"),
        ({"delta": -1}, "0 or more"),
    ],
)
def test_invalid_sizes_are_refused(size: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TransformerSize(**size)  # type: ignore[arg-type]


def test_a_checkpoint_rebuilds_the_model(tmp_path: Path) -> None:
    model = _model()
    model.set_statistics(torch.full((D,), 5.0), torch.ones(D))
    save_checkpoint(tmp_path, _spec(), model.state_dict())
    loaded, spec = load_temporal(tmp_path)
    real = torch.ones(1, 9, dtype=torch.bool)
    torch.testing.assert_close(_run(loaded, _features(1, 9), real, real), _run(model, _features(1, 9), real, real))
    source = {"name": "features", "backbone": "b" * 16, "dim": D, "modality": "face"}
    assert spec.input == {"window": 20, "hop": 10, "backbone": "b" * 16, "sources": [source]}
    assert not loaded.training


def test_new_weights_depend_on_the_seed_and_leave_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, same, other = (_model(seed).head.weight for seed in (1, 1, 2))
    assert torch.equal(first, same) and not torch.equal(first, other)
    assert torch.equal(torch.rand(1), expected)


def test_invalid_specs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="'lstm' is not known"):
        build_temporal(replace(_spec(), architecture={"name": "lstm"}), seed=0)
    with pytest.raises(CheckpointError, match="another version"):
        build_temporal(replace(_spec(), architecture={**_spec().architecture, "depth": 3}), seed=0)
    with pytest.raises(CheckpointError, match=r"7 features per frame, but its sources have \[6\]"):
        build_temporal(replace(_spec(), feature_dim=D + 1), seed=0)
    with pytest.raises(CheckpointError, match=r"another version.*input\.sources\[0\]"):
        build_temporal(replace(_spec(), input={**_spec().input, "sources": [{"nome": "f"}]}), seed=0)
    save_checkpoint(tmp_path / "dim", replace(_spec(), feature_dim=D + 1), _model().state_dict())
    with pytest.raises(CheckpointError, match="do not fit its spec"):
        load_temporal(tmp_path / "dim")
    earlier = {"window": 20, "hop": 10, "backbone": "b" * 16}
    save_checkpoint(tmp_path / "dim", replace(_spec(), input=earlier, feature_dim=D + 1), _model().state_dict())
    with pytest.raises(CheckpointError, match="do not fit its spec"):
        load_temporal(tmp_path / "dim")
    save_checkpoint(tmp_path / "static", replace(_spec(), kind="static"), _model().state_dict())
    with pytest.raises(CheckpointError, match="expected a temporal checkpoint, found a static one"):
        load_temporal(tmp_path / "static")
