"""DTA+SNL: negative labels by hand, the adaptive threshold, and each part's switch."""

from __future__ import annotations

import math

import pytest
import torch

from abaw.models.architecture import Architecture
from abaw.models.local_attention import attention_of
from abaw.models.static import build_static
from abaw.semisup.losses import selective_negative_loss
from abaw.semisup.methods.dta_snl.method import DtaSnl
from abaw.semisup.methods.dta_snl.settings import DtaSnlSettings
from abaw.semisup.thresholds import FixedThreshold, SelfAdaptive
from abaw.training.static_recipe import StaticRecipe, architecture_of, balance_of
from tests.semisup.batches import CLASSES, SIZE, Fixed, make, setup, views


def test_the_negative_loss_by_hand() -> None:
    """N, the teacher's classes below .05: {2, 3} for the first face, none for the second; the third is masked out."""
    teacher = torch.tensor([[0.50, 0.43, 0.04, 0.03], [0.25, 0.25, 0.25, 0.25], [0.97, 0.01, 0.01, 0.01]])
    student = torch.tensor([[0.4, 0.3, 0.2, 0.1], [0.7, 0.1, 0.1, 0.1], [0.25, 0.25, 0.25, 0.25]])
    found = selective_negative_loss(student.log(), teacher, torch.tensor([True, True, False]), 0.05)
    assert float(found) == pytest.approx(-(math.log(0.8) + math.log(0.9)) / 3, rel=1e-5)


def test_the_negative_loss_is_finite_for_a_confident_wrong_student() -> None:
    logits = torch.tensor([[200.0, 0, 0, 0]], requires_grad=True)
    loss = selective_negative_loss(logits, torch.tensor([[0.01, 0.33, 0.33, 0.33]]), torch.tensor([True]), 0.05)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(200 - math.log(3), rel=1e-4)
    assert logits.grad is not None and torch.isfinite(logits.grad).all() and logits.grad[0, 0] > 0


def unsure(first: float) -> torch.Tensor:
    """Logits with probability `first` for class 0 and nearly all of the rest for class 1."""
    rest = torch.full((CLASSES,), 0.01)
    rest[0], rest[1] = first, 1 - first - 0.01 * (CLASSES - 2)
    return rest.log()


@pytest.mark.parametrize(("first", "above"), [(0.93, True), (0.5, False)])
def test_faces_above_the_threshold_have_positive_labels_and_others_negative(first: float, above: bool) -> None:
    method = make("dta_snl", Fixed(unsure(first)), threshold="fixed", fixed_threshold=0.9)
    logs = method(views(method)).logs
    assert float(logs["mask"]) == float(above)
    negative = 0 if above else -(CLASSES - 2) * math.log(0.99)
    assert float(logs["loss/negative"].detach()) == pytest.approx(negative, rel=1e-4)
    expected = -math.log(first) if above else negative
    assert float(logs["loss/unlabelled"].detach()) == pytest.approx(expected, rel=1e-4)


def test_each_part_has_a_switch() -> None:
    for share in (0.0, 1.0):
        method = make("dta_snl", Fixed(unsure(0.5)), threshold="fixed", negative_weight=share)
        logs = method(views(method)).logs
        unlabelled, negative = (float(logs[f"loss/{name}"].detach()) for name in ("unlabelled", "negative"))
        assert unlabelled == pytest.approx(share * negative)
    assert isinstance(make("dta_snl").threshold, SelfAdaptive)
    assert isinstance(make("dta_snl", threshold="fixed").threshold, FixedThreshold)
    assert architecture_of(StaticRecipe(method="dta_snl")).attention_maps == 4
    assert architecture_of(StaticRecipe(method="dta_snl", dta_snl=DtaSnlSettings(attention_maps=0))).attention_maps == 0
    assert balance_of(StaticRecipe(method="dta_snl")) == "uniform"
    assert balance_of(StaticRecipe(method="dta_snl", balance="natural")) == "natural"


def test_the_threshold_rises_with_confidence() -> None:
    method = make("dta_snl", Fixed(unsure(0.9)), momentum=0.5)
    before = method.threshold.values().max().clone()
    for _ in range(10):
        method(views(method))
    after = method.threshold.values()
    assert float(before) == pytest.approx(1 / CLASSES)
    assert float(after[0]) == pytest.approx(0.9, abs=0.01)
    assert after[2] < after[0]  # a class that is rarely predicted has a lower threshold


@pytest.mark.parametrize("dropout", [True, False])
def test_map_dropout_has_a_switch_and_is_off_for_the_teacher(dropout: bool) -> None:
    model = build_static(Architecture(backbone="small", attention_maps=4), CLASSES, SIZE, seed=0)
    method = DtaSnl(setup(model), DtaSnlSettings(map_dropout=dropout))
    attention = attention_of(method.model)
    assert attention is not None and attention.drop == dropout
    with torch.no_grad():
        attention.score.weight.normal_(std=5.0)
    images = torch.rand(4, 3, SIZE, SIZE)
    teacher = method.model.eval()
    assert torch.equal(teacher(images), teacher(images))
    maps = torch.randn(1, 128, 3, 3).repeat(32, 1, 1, 1)
    seen = attention.train()(maps)
    assert (len(seen.unique(dim=0)) > 1) == dropout


def test_negatives_on_spatial_are_added_to_its_unlabelled_loss() -> None:
    plain, more = (
        method(views(method))
        for share in (0.0, 2.0)
        for method in [make("spatial", Fixed(unsure(0.5)), negative_weight=share, threshold="fixed")]
    )
    assert "loss/negative" not in plain.logs
    added = float((more.loss - plain.loss).detach())
    assert added == pytest.approx(2 * float(more.logs["loss/negative"]), rel=1e-4)
    assert added > 0
