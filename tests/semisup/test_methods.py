"""Properties of all methods, and of each one."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from abaw.core.errors import ConfigError
from abaw.learning.ema import Ema
from abaw.semisup.registry import method_class, method_names, settings_class
from abaw.semisup.settings import LabelledLearning
from tests.semisup.batches import CLASSES, Fixed, faces, make, setup, train_images, views

NAMES = method_names()
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in NAMES),
    ("spatial", {"feedback": False}),
    ("spatial", {"feedback": False, "teacher": "model"}),
    ("spatial", {"feedback": "centred"}),
    ("spatial", {"feedback": "face2exp"}),
    ("spatial", {"threshold": "self_adaptive"}),
    ("spatial", {"threshold": "fixed", "debias": 0.0, "finetune": 0.0}),
    ("fixmatch", {"teacher": "model", "threshold": 0.0}),
]


def test_every_file_of_the_folder_is_a_method() -> None:
    assert {"supervised", "fixmatch", "freematch", "debiaspl", "ada_cm", "spatial"} <= set(NAMES)


@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_a_step_has_a_finite_loss_with_a_gradient_for_every_weight(name: str, settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    method = make(name, **settings)
    batch = views(method)
    result = method(batch)
    result.loss.backward()
    assert torch.isfinite(result.loss)
    if method.has_follow_up:
        second = method.follow_up(batch)
        assert second is not None and torch.isfinite(second.loss)
        second.loss.backward()
    without = [n for n, weight in method.named_parameters() if weight.grad is None]
    assert without == []
    assert all(torch.isfinite(value) for value in result.logs.values())
    assert all(value.numel() == 1 for value in result.logs.values())


@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_a_resumed_method_continues_unchanged(name: str, settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    first = make(name, **settings)
    for seed in range(3):
        batch = views(first, train_images(seed=seed))
        first(batch)
        first.update(batch)
    second = make(name, **settings)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    batch = views(first, train_images(seed=9))
    assert torch.equal(first(batch).loss, second(batch).loss)


@pytest.mark.parametrize("name", NAMES)
def test_views_depend_on_the_generator(name: str) -> None:
    method = make(name)
    one, same, other = views(method, seed=1), views(method, seed=1), views(method, seed=2)
    assert torch.equal(one.labelled, same.labelled)
    assert not torch.equal(one.labelled, other.labelled)
    assert (one.strong is not None) == method.takes_unlabelled


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_supervised_loss_is_cross_entropy(smoothing: float) -> None:
    logits = torch.randn(CLASSES)
    method = make("supervised", Fixed(logits), label_smoothing=smoothing)
    batch = views(method)
    expected = F.cross_entropy(logits.expand(8, -1), batch.labels, label_smoothing=smoothing)
    assert float(method(batch).loss) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_labelled_images_are_mixed_with_their_targets_on_request(name: str) -> None:
    plain, mixed = (views(make(name, label_smoothing=0.0, mixup=share)) for share in (0.0, 1.0))
    assert torch.equal(plain.labels, mixed.labels)
    assert torch.equal(mixed.targets.argmax(1), mixed.labels)
    assert bool((mixed.targets.max(1).values < 1).all()) and bool((plain.targets.max(1).values == 1).all())
    assert not torch.equal(plain.labelled, mixed.labelled)


def test_more_than_every_image_cannot_be_mixed() -> None:
    with pytest.raises(ConfigError, match=r"mixup 0.6 \+ cutmix 0.5 > 1"):
        LabelledLearning(mixup=0.6, cutmix=0.5)


def test_votes_are_targets_on_request() -> None:
    votes = torch.rand(8, CLASSES).softmax(1)
    batch = train_images()._replace(labelled=faces(list(range(8)), votes=votes))
    assert torch.equal(views(make("supervised", votes=True, label_smoothing=0.0), batch).targets, votes)
    one_hot = views(make("supervised", label_smoothing=0.0), batch).targets
    assert one_hot.argmax(1).tolist() == list(range(8)) and one_hot.max() == 1


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("drawn", [[0.25, 0.75], [0.5, 0.5]], ids=["natural", "uniform"])
def test_predictions_have_the_class_shares_to_the_requested_power(power: float, drawn: list[float]) -> None:
    """A model that sees nothing learns the prior π^κ, normalised, however the faces are drawn."""
    shares = torch.zeros(CLASSES)
    shares[:2] = torch.tensor([0.25, 0.75])
    rates = torch.zeros(CLASSES)
    rates[:2] = torch.tensor(drawn)
    model = Fixed(torch.zeros(CLASSES))
    settings = LabelledLearning(label_smoothing=0.0, prior_power=power)
    method = method_class("supervised")(setup(model, shares=shares, drawn=rates), settings)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    for _ in range(3000):
        optimizer.zero_grad()
        method.labelled_loss(model.logits[None], rates[None]).backward()
        optimizer.step()
    expected = shares[:2] ** power / (shares[:2] ** power).sum()
    found = model.logits.detach().softmax(0)
    assert found[:2].tolist() == pytest.approx(expected.tolist(), abs=2e-3)
    assert found[2:].max() < 1e-3  # a class without faces stays the least likely


def sure(probability: float, of: int = 0) -> torch.Tensor:
    """Logits (C,) with this probability for class `of` and equal ones for the others."""
    logits = torch.zeros(CLASSES)
    logits[of] = math.log(probability * (CLASSES - 1) / (1 - probability))
    return logits


@pytest.mark.parametrize(("probability", "mask"), [(0.96, 1.0), (0.94, 0.0)])
def test_fixmatch_uses_only_labels_above_its_threshold(probability: float, mask: float) -> None:
    method = make("fixmatch", Fixed(sure(probability)))
    logs = method(views(method)).logs
    assert float(logs["mask"]) == mask
    assert float(logs["loss/unlabelled"]) == pytest.approx(-math.log(probability) * mask, rel=1e-4)


@pytest.mark.parametrize("name", ["fixmatch", "freematch", "debiaspl", "spatial"])
def test_with_weight_0_unlabelled_faces_do_not_change_the_loss(name: str) -> None:
    alone = {"feedback": False} if name == "spatial" else {}  # with feedback the teacher has a loss, too
    method = make(name, Fixed(sure(0.99)), unlabelled_weight=0.0, **alone)
    result = method(views(method))
    assert float(result.loss) == pytest.approx(float(result.logs["loss/labelled"]))


def test_the_teacher_is_the_average_or_the_model() -> None:
    for teacher, expected in (("average", 3), ("model", 5)):
        model = Fixed(sure(0.9, of=5))
        method = make("fixmatch", model, teacher=teacher)
        ema = Ema(model, 0.9)
        with torch.no_grad():
            ema.model.get_parameter("logits").copy_(sure(0.9, of=3))
        method.use_average(ema.model)
        assert method.teacher_logits(torch.zeros(1, 3, 16, 16)).argmax() == expected  # type: ignore[attr-defined]


def test_the_average_is_neither_trained_nor_saved_with_the_method() -> None:
    method = make("fixmatch")
    before = set(method.state_dict())
    method.use_average(Ema(method.model, 0.9).model)
    assert set(method.state_dict()) == before
    assert len(list(method.parameters())) == len(list(method.model.parameters()))


def test_debiasing_removes_the_teachers_preference() -> None:
    """The teacher predicts .6 for class 0 and .4 for class 1 for every face. With λ = 1 neither is preferred."""
    logits = torch.full((CLASSES,), -9.0)
    logits[0], logits[1] = math.log(0.6), math.log(0.4)
    method = make("debiaspl", Fixed(logits), strength=1.0, momentum=0.5)
    for _ in range(50):
        method(views(method))
    shifted = logits - method.marginal.log  # type: ignore[attr-defined]
    assert float(shifted[0] - shifted[1]) == pytest.approx(0, abs=1e-3)


def test_debiaspl_trains_with_the_margin_that_it_subtracted() -> None:
    method = make("debiaspl", Fixed(sure(0.99)), strength=0.5)
    shift = 0.5 * method.marginal.log.clone()  # type: ignore[attr-defined]
    result = method(views(method))
    expected = F.cross_entropy((sure(0.99) + shift)[None], torch.tensor([0]))
    assert float(result.logs["loss/unlabelled"]) == pytest.approx(float(expected), rel=1e-4)


def test_freematch_s_fairness_follows_its_formula() -> None:
    method = make("freematch", Fixed(sure(0.9)), momentum=0.5)
    loss = float(method(views(method)).logs["loss/fairness"])
    histogram = torch.full((CLASSES,), 0.1 / CLASSES)
    histogram[0] += 0.9
    marginal = 0.1 / CLASSES + 0.9 * sure(0.9).softmax(0)
    aimed = marginal / histogram / (marginal / histogram).sum()
    # All strong views are of class 0: the ratio of the others is 0, and its logarithm is clamped.
    expected = float(aimed[1:].sum()) * math.log(1e-6)
    assert loss == pytest.approx(expected, rel=1e-3)


def test_ada_cm_contrasts_only_faces_below_the_margin() -> None:
    torch.manual_seed(0)
    method = make("ada_cm")
    assert float(method(views(method)).logs["loss/contrast"]) > 0
    with torch.no_grad():
        method.model.head.bias[0] = 100.0
    logs = method(views(method)).logs
    assert float(logs["mask"]) == 1 and float(logs["loss/contrast"]) == 0


@pytest.mark.parametrize(
    ("make_settings", "message"),
    [
        (lambda: LabelledLearning(label_smoothing=1.0), "label_smoothing is 1.0"),
        (lambda: LabelledLearning(prior_power=-0.5), "prior_power is -0.5"),
        (lambda: settings_class("fixmatch")(threshold=1.2), "threshold is 1.2"),
        (lambda: settings_class("fixmatch")(unlabelled_weight=-1), "unlabelled_weight is -1"),
        (lambda: settings_class("debiaspl")(momentum=1.0), "momentum is 1.0"),
        (lambda: settings_class("spatial")(finetune=1.5), "finetune is 1.5"),
        (lambda: settings_class("spatial")(teacher="model"), "teacher model applies without feedback only"),
    ],
)
def test_wrong_settings_are_refused(make_settings: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_settings()
