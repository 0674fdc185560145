"""LEAF: the rule for K and the ambiguous loss by hand, its limits, its experts, and `release_compat`."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from abaw.models.architecture import Architecture, Experts
from abaw.models.experts import take_balance_loss
from abaw.models.static import build_static
from abaw.semisup.methods.leaf.method import Leaf, ambiguity, ambiguous_loss
from abaw.semisup.methods.leaf.settings import LeafSettings
from abaw.semisup.registry import method_class, settings_class
from abaw.training.static_recipe import StaticRecipe, architecture_of
from tests.semisup.batches import CLASSES, SIZE, Fixed, make, setup, views


def weight(probs: list[float], k: int) -> float:
    """The formula log(1 + 50 (c_K/(K+1) − p_K)) / log(1 + 50 c_K/(K+1)) with p and c of the sorted probabilities."""
    ranked = sorted(probs, reverse=True)
    mean = sum(ranked[:k]) / (k + 1)
    return math.log(1 + 50 * max(0.0, mean - ranked[k])) / math.log(1 + 50 * mean)


@pytest.mark.parametrize(
    ("probs", "positive"),
    [
        pytest.param([0.02, 0.93, 0.03, 0.02], [1], id="one class is enough"),
        pytest.param([0.50, 0.05, 0.42, 0.03], [0, 2], id="two are enough"),
        pytest.param([0.40, 0.10, 0.15, 0.35], [0, 2, 3], id="three are just enough"),
        pytest.param([0.31, 0.27, 0.24, 0.18], [0, 1, 2], id="three are not enough and the most"),
        pytest.param([0.90, 0.06, 0.03, 0.01], [0], id="exactly enough"),
    ],
)
def test_the_most_likely_classes_with_enough_probability_are_positive(probs: list[float], positive: list[int]) -> None:
    found = ambiguity(torch.tensor([probs], dtype=torch.float64), 0.9)
    assert found.positive[0].nonzero()[:, 0].tolist() == positive
    assert float(found.weight) == pytest.approx(weight(probs, len(positive)), abs=1e-6)


def test_a_clear_separation_has_weight_1_and_none_0() -> None:
    clear, none = torch.tensor([[1.0, 0, 0, 0]]), torch.full((1, 4), 0.25)
    assert float(ambiguity(clear, 0.9).weight) == pytest.approx(1)
    assert float(ambiguity(none, 0.9).weight) == 0


def test_with_one_positive_class_the_ambiguous_loss_is_cross_entropy() -> None:
    logits, labels = torch.randn(10, 8), torch.arange(10) % 8
    positive = F.one_hot(labels, 8).bool()
    assert torch.allclose(
        ambiguous_loss(logits, positive), F.cross_entropy(logits, labels, reduction="none"), atol=1e-5
    )


def test_the_ambiguous_loss_by_hand() -> None:
    """softplus(log(e^-2 + e^-1) + log(e^0 + e^0.5)) for positive logits 2 and 1 and other logits 0 and 0.5."""
    loss = ambiguous_loss(torch.tensor([[2.0, 0.0, 1.0, 0.5]]), torch.tensor([[True, False, True, False]]))
    inner = math.log(math.exp(-2) + math.exp(-1)) + math.log(1 + math.exp(0.5))
    assert float(loss) == pytest.approx(math.log(1 + math.exp(inner)), rel=1e-5)


def test_the_ambiguous_loss_is_0_when_positive_classes_are_far_above_others() -> None:
    positive = torch.tensor([[True, True, False]])
    assert float(ambiguous_loss(torch.tensor([[40.0, 40, -40]]), positive)) < 1e-6
    assert float(ambiguous_loss(torch.tensor([[40.0, -40, -40]]), positive)) > 0.5


def _sure(of: int) -> torch.Tensor:
    return F.one_hot(torch.tensor(of), CLASSES) * 9.0


def test_only_faces_above_the_margin_have_a_pseudo_label() -> None:
    probs = torch.stack([_sure(1).softmax(0), torch.full((CLASSES,), 1 / CLASSES)])
    mask = torch.tensor([True, False])
    strong = torch.randn(2, CLASSES)
    found = ambiguity(probs, 0.9)
    losses = found.weight * ambiguous_loss(strong, found.positive)
    method = make("leaf", Fixed(_sure(1)))
    assert float(method.unlabelled_loss(strong, probs, mask)) == pytest.approx(float(losses[0]) / 2, rel=1e-5)
    released = make("leaf", Fixed(_sure(1)), release_compat=True)
    expected = float(losses.mean()) * 0.5
    assert float(released.unlabelled_loss(strong, probs, mask)) == pytest.approx(expected, rel=1e-5)


def test_without_ambiguity_the_loss_is_that_of_ada_cm() -> None:
    plain, other = make("leaf", Fixed(_sure(2)), ambiguous=False), make("ada_cm", Fixed(_sure(2)))
    strong = torch.randn(5, CLASSES)
    probs, mask = torch.randn(5, CLASSES).mul(4).softmax(1), torch.tensor([1, 0, 1, 1, 0]).bool()
    expected = other.unlabelled_loss(strong, probs, mask)
    assert float(plain.unlabelled_loss(strong, probs, mask)) == pytest.approx(float(expected), rel=1e-5)


def test_the_prediction_is_of_the_mean_logits() -> None:
    method = make("leaf", Fixed(_sure(2)))
    first, second = torch.randn(3, CLASSES), torch.randn(3, CLASSES)
    assert torch.allclose(method.prediction(first, second), ((first + second) / 2).softmax(1))


def test_leaf_has_experts_unless_the_recipe_disables_them() -> None:
    assert architecture_of(StaticRecipe(method="leaf")).experts == Experts()
    assert architecture_of(StaticRecipe(method="leaf", aggregation="none")).experts is None
    released = StaticRecipe(method="leaf", leaf=LeafSettings(release_compat=True))
    assert architecture_of(released).experts == Experts(shared=True, top_k=1)


@pytest.mark.parametrize("name", ["supervised", "fixmatch", "spatial"])
def test_experts_fit_other_methods(name: str) -> None:
    assert architecture_of(StaticRecipe(method=name)).experts is None
    architecture = architecture_of(StaticRecipe(method=name, aggregation="experts", experts=Experts(count=4)))
    method = _with(name, architecture)
    result = method(views(method))
    assert float(result.logs["loss/load_balance"].detach()) >= 0
    result.loss.backward()
    idle = [n for n, weight in method.model.named_parameters() if weight.grad is None]
    assert idle == []
    # A new mixture is the identity: its gate learns only from the balance loss.
    assert method.model.semantic is not None and method.model.semantic.gate.grad.abs().sum() > 0  # type: ignore[union-attr]


def test_the_balance_loss_is_part_of_the_total() -> None:
    architecture = Architecture(backbone="small", experts=Experts())
    losses = []
    for share in (0.0, 1.0):
        torch.manual_seed(3)
        method = _with("leaf", architecture, load_balance=share)
        result = method(views(method))
        losses.append((float(result.loss), float(result.logs["loss/load_balance"])))
    assert losses[1][0] - losses[0][0] == pytest.approx(losses[1][1], rel=1e-3)


def test_release_compat_has_no_balance_loss_and_its_gate_does_not_learn() -> None:
    torch.manual_seed(0)
    method = _with("leaf", Architecture(backbone="small", experts=Experts(shared=True, top_k=1)), release_compat=True)
    assert isinstance(method, Leaf)
    result = method(views(method))
    result.loss.backward()
    assert method.model.semantic is not None
    gradient = method.model.semantic.gate.grad
    assert gradient is not None and float(gradient.abs().max()) == 0
    assert take_balance_loss(method) is None


def _with(name: str, architecture: Architecture, load_balance: float = 0.01, **settings: object) -> Leaf:
    """The method on a model of that architecture."""
    from dataclasses import replace

    model = build_static(architecture, CLASSES, SIZE, seed=0)
    made: Leaf = method_class(name)(replace(setup(model), load_balance=load_balance), settings_class(name)(**settings))  # type: ignore[assignment]
    return made.train()
