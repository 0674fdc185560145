"""Fitted weights compared with a fine grid of all weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from abaw.evaluation.fusion_fit import FusionEvidence, fit_concordance, fit_mixture, gram_of
from abaw.evaluation.multitask import ccc
from abaw.protocol.classes import EXPRESSION_CLASSES, TASKS
from abaw.protocol.labels import FrameLabels
from abaw.stores.predictions import Predictions

GRID = np.array([[a, b, 100 - a - b] for a in range(101) for b in range(101 - a)]) / 100


def best_of_grid(
    score: Callable[[NDArray[np.float64]], float], grid: NDArray[np.float64] = GRID
) -> tuple[NDArray[np.float64], float]:
    scores = [score(weights) for weights in grid]
    return grid[int(np.argmax(scores))], max(scores)


@pytest.mark.parametrize("seed", range(4))
def test_the_mixture_has_the_highest_balanced_likelihood(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kinds = np.minimum(rng.geometric(0.6, 300), 4) - 1
    skills = rng.uniform(0.5, 3, 3)[:, None]
    odds = np.exp(skills * np.eye(4)[kinds][:, None] + rng.normal(size=(300, 3, 4)))
    probs = odds / odds.sum(axis=-1, keepdims=True)
    fitted = fit_mixture(probs, kinds)

    def score(weights: NDArray[np.float64]) -> float:
        """The highest of many powers."""
        powers = np.exp(np.linspace(-2, 2, 81))[:, None, None]
        logs = powers * np.log(np.tensordot(probs, weights, (1, 0)))
        right = logs[:, np.arange(300), kinds] - np.log(np.exp(logs).sum(axis=-1))
        return float(max(np.mean([right[:, kinds == kind].mean(axis=1) for kind in range(4)], axis=0)))

    best, highest = best_of_grid(score, GRID[::7])
    assert np.abs(fitted - best).max() < 0.1 and score(fitted) >= highest - 1e-3
    assert fitted.sum() == pytest.approx(1) and fitted.min() >= 0
    assert fit_mixture(probs[:, ::-1], kinds) == pytest.approx(fitted[::-1], abs=2e-3)


def test_how_sure_the_members_are_does_not_matter() -> None:
    """Two members are right equally often, and the best is their mean, also where all probabilities are near 1 / 8."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 8, 4000)
    odds = np.exp(2 * np.eye(8)[kinds][:, None] + rng.normal(size=(4000, 2, 8)))
    probs = odds / odds.sum(axis=-1, keepdims=True)
    assert fit_mixture(probs, kinds) == pytest.approx([0.5, 0.5], abs=0.1)
    flat = probs**0.1
    assert fit_mixture(flat / flat.sum(axis=-1, keepdims=True), kinds) == pytest.approx([0.5, 0.5], abs=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_the_mean_has_the_highest_concordance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.clip(rng.normal(0, 0.4, (400, 2)), -1, 1)
    labels[::7] = np.nan
    noise = rng.uniform(0.1, 1, 3)[:, None, None]
    predicted = np.nan_to_num(labels) + noise * rng.normal(size=(3, 400, 2)) + rng.normal(0, 0.2, (3, 1, 2))
    fitted = fit_concordance(gram_of(labels, predicted.swapaxes(0, 1)))

    def score(weights: NDArray[np.float64]) -> float:
        mean = np.tensordot(weights, predicted, 1)
        return float(np.mean([ccc(labels[:, column], mean[:, column]) for column in range(2)]))

    best, highest = best_of_grid(score)
    assert np.abs(fitted - best).max() < 0.03 and score(fitted) >= highest - 1e-6
    assert fitted.sum() == pytest.approx(1) and fitted.min() >= 0


def test_without_annotated_frames_all_weights_are_equal() -> None:
    assert fit_mixture(np.ones((0, 4, 8)), np.empty(0, np.int64)) == pytest.approx([0.25] * 4)
    assert fit_concordance(gram_of(np.full((5, 2), np.nan), np.zeros((5, 2, 2)))) == pytest.approx([0.5, 0.5])


def video(rng: np.random.Generator, noises: list[float]) -> tuple[list[Predictions], FrameLabels]:
    """One member per noise, each right up to its noise."""
    num = 200
    labels, va, units = rng.integers(0, 8, num), rng.uniform(-1, 1, (num, 2)), rng.integers(0, 2, (num, 12))
    members = []
    for noise in noises:
        odds = np.exp(3 * np.eye(8)[labels] + noise * rng.normal(size=(num, 8)))
        members.append(
            Predictions(
                "v", EXPRESSION_CLASSES, np.arange(1, num + 1, dtype=np.int32), np.ones(num, bool), np.ones(num, bool),
                (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32), {},
                np.clip(va + noise * rng.normal(size=va.shape), -1, 1).astype(np.float32),
                (1 / (1 + np.exp(-2 * (2 * units - 1) - noise * rng.normal(size=units.shape)))).astype(np.float32),
            )
        )  # fmt: skip
    return members, FrameLabels("v", labels.astype(np.int8), va.astype(np.float32), units.astype(np.int8))


def test_the_better_member_of_each_task_gets_more_weight_also_without_a_fold() -> None:
    rng = np.random.default_rng(0)
    evidence = FusionEvidence(TASKS, 2)
    for fold in range(2):
        # In the second fold the members change places.
        evidence.add(*video(rng, [0.3, 3.0][:: 1 - 2 * fold]), fold)
    for without, better in ((1, 0), (0, 1)):
        weights = evidence.fit(without_fold=without)
        assert tuple(weights) == TASKS
        assert all(each[better] > 0.7 for each in weights.values()), weights
    assert all(each == pytest.approx((0.5, 0.5), abs=0.15) for each in evidence.fit().values())


def test_frames_that_a_member_does_not_predict_take_no_part() -> None:
    rng = np.random.default_rng(1)
    members, labels = video(rng, [0.5, 0.5])
    evidence, spoiled = FusionEvidence(TASKS, 2), FusionEvidence(TASKS, 2)
    members[1].predicted[50:] = False
    evidence.add(members, labels, 0)
    members[0].probs[50:] = 1 / 8
    spoiled.add(members, labels, 0)
    assert evidence.fit() == spoiled.fit()
