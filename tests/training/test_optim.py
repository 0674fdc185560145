from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from abaw.training.optim import build_optimizer, schedule_factor, set_learning_rate


@pytest.mark.parametrize(("step", "factor"), [(0, 0.1), (4, 0.5), (9, 1.0), (10, 1.0), (60, 0.5), (109, 0.000246719)])
def test_the_rate_rises_linearly_and_falls_along_a_cosine(step: int, factor: float) -> None:
    assert schedule_factor(step, steps=110, warmup_steps=10) == pytest.approx(factor, abs=1e-6)


@given(st.integers(1, 300), st.integers(0, 300))
def test_the_factor_stays_in_its_range_and_peaks_after_the_warm_up(steps: int, warmup: int) -> None:
    warmup = min(warmup, steps - 1)
    factors = [schedule_factor(step, steps, warmup) for step in range(steps)]
    assert all(0 < factor <= 1 for factor in factors)
    assert factors[warmup] == 1
    assert factors[warmup:] == sorted(factors[warmup:], reverse=True)


def test_only_matrices_and_kernels_are_decayed() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    model[2].requires_grad_(False)
    groups = build_optimizer(model, lr=0.1, weight_decay=0.3).param_groups
    decay = {id(parameter): group["weight_decay"] for group in groups for parameter in group["params"]}
    assert decay == {id(p): 0.3 if p.ndim > 1 else 0.0 for p in [*model[0].parameters(), *model[1].parameters()]}


def test_setting_the_rate_twice_does_not_multiply() -> None:
    optimizer = build_optimizer(nn.Linear(2, 2), lr=0.1, weight_decay=0.0)
    set_learning_rate(optimizer, 0.5)
    set_learning_rate(optimizer, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.05]
