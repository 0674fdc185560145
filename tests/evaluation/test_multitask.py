from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from abaw.evaluation.action_units import unit_counts, unit_f1_of
from abaw.evaluation.bootstrap import bootstrap
from abaw.evaluation.metrics import macro_f1_of
from abaw.evaluation.multitask import (
    TaskTally,
    ccc,
    ccc_of,
    moments_of,
    no_tasks,
    score_tasks,
)
from tests.evaluation.made import videos


def test_concordance_equals_its_definition() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=500)
    y = 0.5 * x + rng.normal(0, 0.3, 500) + 0.1
    expected = 2 * np.cov(x, y, bias=True)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    assert ccc(x, y) == pytest.approx(expected)
    x[::7] = np.nan
    known = ~np.isnan(x)
    assert ccc(x, y) == pytest.approx(ccc(x[known], y[known]))


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        pytest.param([0.1, 0.5, -0.3], [0.1, 0.5, -0.3], 1.0, id="the same"),
        pytest.param([0.5, -0.5], [-0.5, 0.5], -1.0, id="opposite"),
        pytest.param([0.5, -0.5], [0.0, 0.0], 0.0, id="a constant says nothing"),
        pytest.param([0.2, 0.2], [0.2, 0.2], 0.0, id="nothing varies"),
        pytest.param([np.nan], [0.3], 0.0, id="nothing annotated"),
    ],
)
def test_concordance_in_edge_cases(x: list[float], y: list[float], expected: float) -> None:
    assert ccc(np.array(x), np.array(y)) == pytest.approx(expected)


def test_sums_of_videos_are_the_sums_of_their_frames() -> None:
    rng = np.random.default_rng(1)
    target, predicted = rng.uniform(-1, 1, (90, 2)), rng.uniform(-1, 1, (90, 2))
    parts = moments_of(target[:30], predicted[:30]) + moments_of(target[30:], predicted[30:])
    assert np.allclose(parts, moments_of(target, predicted))
    assert ccc_of(parts)[1] == pytest.approx(ccc(target[:, 1], predicted[:, 1]))


def test_action_units_equal_scikit_learn() -> None:
    rng = np.random.default_rng(2)
    target, probs = rng.integers(-1, 2, (300, 12)), rng.random((300, 12))
    target[:, 4], probs[:, 4] = 0, 0.1  # never on
    found = unit_f1_of(unit_counts(target, probs))
    for unit in range(12):
        known = target[:, unit] >= 0
        expected = f1_score(target[known, unit], probs[known, unit] >= 0.5, zero_division=0)
        assert found[unit] == pytest.approx(expected)


def test_scores_with_intervals_and_their_sum() -> None:
    rng = np.random.default_rng(3)
    confusions = videos(rng, 0.5, 12)
    groups = [f"v{number:02d}" for number in range(12)]
    tallies = []
    for _ in range(12):
        target = rng.uniform(-1, 1, (80, 2))
        units = rng.integers(0, 2, (80, 12))
        tallies.append(
            TaskTally(
                moments_of(target, 0.6 * target + rng.normal(0, 0.2, (80, 2))),
                unit_counts(units, 0.6 * units + 0.5 * rng.random((80, 12))),
                80,
            )
        )
    found = score_tasks(tallies, confusions, groups, draws=200)
    assert found is not None and found.ccc is not None and found.action_units is not None
    assert found.mean_action_units is not None and found.total is not None
    valence, arousal, mean = found.ccc
    assert mean.value == pytest.approx((valence.value + arousal.value) / 2)
    assert mean.interval.low < mean.value < mean.interval.high
    assert (found.num_valence_arousal, found.num_action_units, len(found.action_units)) == (960, 960, 12)
    assert found.mean_action_units.value == pytest.approx(np.mean([unit.value for unit in found.action_units]))
    expression = float(macro_f1_of(confusions.sum(axis=0)))
    assert found.total.value == pytest.approx(expression + mean.value + found.mean_action_units.value)
    moments = np.stack([each.moments for each in tallies])
    assert mean.interval.low == pytest.approx(np.quantile(bootstrap(moments, ccc_of, groups, 200).mean(axis=1), 0.025))
    assert "CCC" in found.summary() and "action units" in found.summary() and "sum" in found.summary()


def test_tasks_without_annotations_have_no_score() -> None:
    confusions = videos(np.random.default_rng(4), 0.5, 3)
    only_va = TaskTally(moments_of(np.array([[0.1, 0.2], [0.4, -0.2]]), np.zeros((2, 2))), no_tasks().counts)
    found = score_tasks([only_va, no_tasks(), no_tasks()], confusions, ["a", "b", "c"], 100)
    assert found is not None and found.ccc is not None and found.num_valence_arousal == 2
    assert found.action_units is None and found.mean_action_units is None and found.total is None
    assert score_tasks([no_tasks()] * 3, confusions, ["a", "b", "c"], 100) is None
