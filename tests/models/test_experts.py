"""Mixtures of experts: the formula, the gate, the balance loss, and warm starts."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from abaw.core.errors import ConfigError
from abaw.models.architecture import Architecture, Experts, read_architecture
from abaw.models.experts import ExpertMixture, take_balance_loss
from abaw.models.image_input import ImageInput
from abaw.models.static import build_static, initialise, load_features, load_static, save_backbone, save_static
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.stores.spec import CheckpointError

WIDTH = 6
PLAIN = Architecture(backbone="small")
WITH_EXPERTS = Architecture(backbone="small", experts=Experts(count=4))


def mixture(**settings: object) -> ExpertMixture:
    torch.manual_seed(0)
    made = ExpertMixture(WIDTH, Experts(**settings))  # type: ignore[arg-type]
    with torch.no_grad():
        for weight in made.parameters():
            weight.normal_(std=0.5)
    return made


def test_the_output_is_the_formula_over_the_top_experts() -> None:
    """y = log Σ g_e exp(E_e), computed one feature at a time, without noise."""
    made = mixture(count=4, top_k=2).eval()
    features = torch.randn(5, WIDTH)
    expected = []
    for feature in features:
        scores = feature @ made.gate
        top = scores.topk(2).indices
        gates = scores[top].softmax(0)
        experts = [
            feature + (feature @ made.first[e] + made.first_bias[e]).relu() @ made.second[e] + made.second_bias[e]
            for e in top
        ]
        expected.append(torch.log(sum(g * torch.exp(e) for g, e in zip(gates, experts, strict=True))))  # type: ignore[arg-type]
    assert torch.allclose(made(features), torch.stack(expected), atol=1e-5)


def test_the_temperature_divides_the_scores_of_the_gate() -> None:
    """A low one leaves the best expert alone, a high one weighs the top k alike; which they are does not change."""
    features = torch.randn(5, WIDTH)
    gates = {}
    for temperature in (0.01, 1.0, 100.0):
        gates[temperature] = mixture(count=4, top_k=2, temperature=temperature).eval()._log_gates(features).exp()
    assert torch.allclose(gates[100.0][gates[100.0] > 0], torch.tensor(0.5), atol=0.02)
    assert gates[0.01].max(dim=1).values.min() > 0.99
    for found in gates.values():
        assert torch.equal(found.argmax(1), gates[1.0].argmax(1)) and torch.allclose(found.sum(1), torch.ones(5))


def test_a_new_mixture_changes_nothing() -> None:
    features = torch.randn(2, 3, WIDTH)
    assert torch.allclose(ExpertMixture(WIDTH, Experts()).eval()(features), features, atol=1e-5)


@pytest.mark.parametrize("top_k", [2, 3, 8])
def test_every_weight_learns_including_the_gate(top_k: int) -> None:
    made = mixture(top_k=top_k).train()
    made(torch.randn(64, WIDTH)).square().mean().backward()
    for name, weight in made.named_parameters():
        assert weight.grad is not None and torch.isfinite(weight.grad).all() and weight.grad.abs().sum() > 0, name


def test_with_one_expert_per_face_the_gate_learns_nothing_from_the_output() -> None:
    made = mixture(top_k=1).train()
    made(torch.randn(64, WIDTH)).square().mean().backward()
    assert made.gate.grad is None or made.gate.grad.abs().max() < 1e-6


def test_experts_differ_after_training_and_each_receives_load() -> None:
    """The second layers start equal; the inputs fall into groups, and the total includes the balance loss."""
    torch.manual_seed(0)
    made = ExpertMixture(WIDTH, Experts(count=4, top_k=2)).train()
    optimizer = torch.optim.Adam(made.parameters(), lr=0.02)
    for _ in range(150):
        features = torch.randn(128, WIDTH)
        expected = torch.where(features[:, :1] > 0, features.flip(1), -features)
        loss = (made(features) - expected).square().mean()
        balance = take_balance_loss(made)
        assert balance is not None
        optimizer.zero_grad()
        (loss + 0.01 * balance).backward()
        optimizer.step()
    features = torch.randn(1000, WIDTH)
    outputs = made.outputs(features)
    gaps = [(outputs[:, a] - outputs[:, b]).abs().mean() for a in range(4) for b in range(a)]
    assert min(gaps) > 0.05
    load = made.eval().load(features)
    assert load.sum() == pytest.approx(2.0, abs=1e-4)
    assert load.min() > 0.1


def test_the_balance_loss_is_lowest_when_all_experts_are_equally_busy() -> None:
    torch.manual_seed(0)
    even = ExpertMixture(WIDTH, Experts(count=4)).train()
    skewed = copy.deepcopy(even)
    with torch.no_grad():
        skewed.gate[:, 0] = 3.0
    features = torch.rand(2000, WIDTH)
    losses = []
    for made in (even, skewed):
        made(features)
        loss = made.take_balance()
        assert loss is not None
        losses.append(float(loss.detach()))
    assert losses[0] < 0.01 and losses[1] > 0.5


def test_the_balance_loss_pulls_the_gate_towards_idle_experts() -> None:
    torch.manual_seed(0)
    made = ExpertMixture(WIDTH, Experts(count=4)).train()
    with torch.no_grad():
        made.gate[:, 0] = 1.0
    made(torch.rand(500, WIDTH))
    loss = made.take_balance()
    assert loss is not None
    loss.backward()
    assert made.gate.grad is not None
    down, up = made.gate.grad[:, 0].sum(), made.gate.grad[:, 1:].sum(0)
    assert down > 0 and bool((up < 0).all())  # a step against the gradient lowers the first and raises the others


def test_only_training_with_gradients_stores_a_balance_loss_and_it_is_taken_once() -> None:
    made = mixture(count=4)
    assert take_balance_loss(made) is None
    with torch.no_grad():
        made.train()(torch.randn(4, WIDTH))
    made.eval()(torch.randn(4, WIDTH))
    assert take_balance_loss(made) is None
    made.train()(torch.randn(4, WIDTH))
    assert take_balance_loss(made) is not None
    assert take_balance_loss(made) is None


def test_a_shared_expert_is_used_in_every_position() -> None:
    made = mixture(count=4, top_k=1, shared=True).eval()
    features = torch.randn(5, WIDTH)
    assert made.outputs(features).shape == (5, 1, WIDTH)
    assert torch.allclose(made(features), made.outputs(features)[:, 0], atol=1e-5)


@pytest.mark.parametrize("settings", [{"count": 0}, {"top_k": 0}, {"count": 4, "top_k": 5}])
def test_wrong_mixtures_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="expected 1 <= top_k <= count"):
        Experts(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "architecture", [PLAIN, WITH_EXPERTS, Architecture(backbone="small", attention_maps=3)], ids=str
)
def test_a_loaded_model_equals_the_saved_one(architecture: Architecture, tmp_path: Path) -> None:
    model = build_static(architecture, 8, 32, seed=0).eval()
    save_static(tmp_path, model, architecture, EXPRESSION_CLASSES, ImageInput(32), {})
    loaded, spec = load_static(tmp_path)
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(loaded(images), model(images))
    assert read_architecture(spec.architecture) == architecture
    assert torch.equal(loaded.classify(loaded.features(images)), loaded(images))


def test_a_model_with_experts_starts_equal_to_the_plain_model_it_loads(tmp_path: Path) -> None:
    """Except for the features' length: a warm start without experts can be used by methods with experts."""
    plain = build_static(PLAIN, 8, 32, seed=1).eval()
    save_static(tmp_path, plain, PLAIN, EXPRESSION_CLASSES, ImageInput(32), {})
    model = build_static(WITH_EXPERTS, 8, 32, seed=2)
    initialise(model, WITH_EXPERTS, EXPRESSION_CLASSES, tmp_path)
    images = torch.rand(4, 3, 32, 32)
    features, own = plain.features(images), model.eval().features(images)
    length = model.feature_dim**0.5
    assert torch.allclose(own, features / features.norm(dim=1, keepdim=True) * length, atol=1e-4)
    assert torch.allclose(model.classify(features), plain.classify(features), atol=1e-5)


def test_starting_from_experts_needs_the_same_experts(tmp_path: Path) -> None:
    model = build_static(WITH_EXPERTS, 8, 32, seed=1)
    save_static(tmp_path, model, WITH_EXPERTS, EXPRESSION_CLASSES, ImageInput(32), {})
    with pytest.raises(CheckpointError, match="has experts .* which the model to train does not have"):
        initialise(build_static(PLAIN, 8, 32, seed=1), PLAIN, EXPRESSION_CLASSES, tmp_path)


def test_starting_from_a_bare_backbone_leaves_the_head_unchanged(tmp_path: Path) -> None:
    source = build_static(PLAIN, 1, 32, seed=1).eval()
    save_backbone(tmp_path, source.backbone, source.feature_dim, PLAIN, ImageInput(32), {})
    model = build_static(WITH_EXPERTS, 8, 32, seed=2)
    head = model.head.weight.clone()
    initialise(model, WITH_EXPERTS, EXPRESSION_CLASSES, tmp_path)
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(model.eval().backbone(images), source.backbone(images))
    assert torch.equal(model.head.weight, head)
    again, spec = load_features(tmp_path)
    assert torch.equal(again.features(images), source.features(images)) and spec.kind == "backbone"
    with pytest.raises(CheckpointError, match="expected a static checkpoint, found a backbone one"):
        load_static(tmp_path)
