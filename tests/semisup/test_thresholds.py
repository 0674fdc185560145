from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from abaw.core.errors import ConfigError
from abaw.semisup.settings import MarginSettings
from abaw.semisup.thresholds import AdaptiveMargin, FixedThreshold, SelfAdaptive


def sure_of(classes: list[int], confidences: list[float], num_classes: int = 3) -> Tensor:
    """Probabilities (B, C) with these highest values."""
    probs = torch.stack([torch.full((num_classes,), (1 - c) / (num_classes - 1)) for c in confidences])
    probs[torch.arange(len(classes)), torch.tensor(classes)] = torch.tensor(confidences)
    return probs


def test_a_fixed_threshold_is_applied_per_sample() -> None:
    mask = FixedThreshold(3, 0.9).mask(sure_of([0, 1, 2, 2], [0.95, 0.89, 0.9, 0.5]))
    assert mask.tolist() == [True, False, True, False]


def margin(stage_steps: int = 2, lowest: float = 0.5) -> AdaptiveMargin:
    return AdaptiveMargin(3, MarginSettings(lowest=lowest, highest=0.97, stage_steps=stage_steps))


def test_the_margin_changes_at_the_end_of_a_stage_by_its_formula() -> None:
    threshold = margin()
    threshold.learn_labelled(sure_of([0, 1, 1], [0.9, 0.8, 0.99]), torch.tensor([0, 1, 2]))
    assert threshold.values().tolist() == pytest.approx([0.5] * 3)
    threshold.learn_labelled(sure_of([0, 1], [0.7, 0.6]), torch.tensor([0, 1]))
    # Class 0: correct at .9 and .7; class 1: correct at .8 and .6, wrong at .99; class 2: never correct.
    ceiling = 0.97 / (1 + math.exp(-1))
    assert threshold.values().tolist() == pytest.approx([max(0.5, ceiling * 0.8), max(0.5, ceiling * 0.7), 0.5])


def test_a_class_without_correct_predictions_keeps_its_mean_and_rises_with_the_stage() -> None:
    threshold = margin(stage_steps=1, lowest=0.1)
    threshold.learn_labelled(sure_of([0], [0.9]), torch.tensor([0]))
    threshold.learn_labelled(sure_of([1], [0.8]), torch.tensor([1]))
    ceiling = 0.97 / (1 + math.exp(-2))
    assert threshold.values().tolist() == pytest.approx([ceiling * 0.9, ceiling * 0.8, 0.1])


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0.34, 1), st.integers(0, 2)), min_size=1, max_size=30))
def test_margins_stay_within_their_bounds(history: list[tuple[int, float, int]]) -> None:
    threshold = AdaptiveMargin(3, MarginSettings(stage_steps=1))
    for predicted, confidence, label in history:
        threshold.learn_labelled(sure_of([predicted], [confidence]), torch.tensor([label]))
        assert (threshold.values() >= 0.8 - 1e-6).all()
        assert (threshold.values() <= 0.97 + 1e-6).all()


def test_margins_survive_a_resume() -> None:
    first, second = margin(stage_steps=3), margin(stage_steps=3)
    for step in range(5):
        first.learn_labelled(sure_of([step % 3], [0.9]), torch.tensor([step % 3]))
    second.load_state_dict(first.state_dict())
    for each in (first, second):
        each.learn_labelled(sure_of([2], [0.95]), torch.tensor([2]))
    assert torch.equal(first.values(), second.values())


def test_self_adaptive_thresholds_change_by_their_formula() -> None:
    threshold = SelfAdaptive(3, momentum=0.999)
    assert threshold.values().tolist() == pytest.approx([1 / 3] * 3)
    probs = torch.tensor([[0.8, 0.1, 0.1], [0.6, 0.4, 0.0]])
    threshold.learn_unlabelled(probs)
    # The first update has momentum 0.1.
    confidence = 0.1 / 3 + 0.9 * 0.7
    marginal = 0.1 / 3 + 0.9 * torch.tensor([0.7, 0.25, 0.05])
    assert threshold.values().tolist() == pytest.approx((confidence * marginal / marginal.max()).tolist())
    assert threshold.values().max() == pytest.approx(confidence)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lowest": 0.9, "highest": 0.8}, "lowest <= highest"),
        ({"highest": 1.2}, "highest <= 1"),
        ({"stage_steps": 0}, "stage_steps is 0"),
    ],
)
def test_wrong_margins_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MarginSettings(**settings)  # type: ignore[arg-type]
