from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from abaw.semisup.running import ClassMarginal, RunningMean


@given(st.lists(st.lists(st.floats(-10, 10), min_size=8, max_size=8), min_size=1, max_size=20))
def test_the_marginal_is_a_vector_that_sums_to_one(logits: list[list[float]]) -> None:
    marginal = ClassMarginal(8, 0.999)
    for row in logits:
        marginal.update(torch.tensor([row, row[::-1]]).softmax(1))
        assert marginal.value.shape == (8,)
        assert float(marginal.value.sum()) == pytest.approx(1, abs=1e-5)
        assert torch.isfinite(marginal.log).all()


def test_the_marginal_distinguishes_classes() -> None:
    """A widely used port of DebiasPL keeps a single scalar, which changes no prediction."""
    marginal = ClassMarginal(3, 0.9)
    for _ in range(200):
        marginal.update(torch.tensor([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1]]))
    assert marginal.value.tolist() == pytest.approx([0.6, 0.3, 0.1], abs=1e-4)


def test_the_start_is_soon_forgotten_and_the_momentum_reached() -> None:
    mean = RunningMean(torch.tensor(1.0), 0.5)
    mean.update(torch.tensor(0.0))
    assert float(mean.value) == pytest.approx(0.1)
    mean.update(torch.tensor(0.0))
    assert float(mean.value) == pytest.approx(0.1 * 2 / 11)
    for _ in range(20):
        mean.update(torch.tensor(0.0))
    before = float(mean.value)
    mean.update(torch.tensor(1.0))
    assert float(mean.value) == pytest.approx(0.5 * before + 0.5)


def test_a_running_mean_survives_a_resume() -> None:
    first, second = ClassMarginal(4, 0.9), ClassMarginal(4, 0.9)
    probs = torch.tensor([[0.4, 0.3, 0.2, 0.1]])
    first.update(probs)
    second.load_state_dict(first.state_dict())
    first.update(probs)
    second.update(probs)
    assert torch.equal(first.value, second.value) and torch.equal(first.updates, second.updates)
