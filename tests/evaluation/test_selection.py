"""Nested selection among options of known quality, and the class bias compared with brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.evaluation.folds import folds_by_name, video_folds
from abaw.evaluation.metrics import Counts, macro_f1_of
from abaw.evaluation.selection import (
    GRID,
    Selection,
    biased_confusion,
    fit_class_bias,
    log_probs,
    nested_selection,
)
from tests.evaluation.made import options, videos


def names(num: int) -> list[str]:
    return [f"video{number:03d}" for number in range(num)]


def select(confusions: Counts) -> Selection:
    """Nested selection among options without a fitted part."""
    folds = video_folds(confusions[0].sum(axis=-1), names(confusions.shape[1]))
    return nested_selection(confusions, [confusions] * (int(folds.max()) + 1), folds)


def test_the_best_of_noise_looks_good_but_its_nested_score_does_not() -> None:
    rng = np.random.default_rng(0)
    optimism, bias = [], []
    for _ in range(80):
        labels = videos(rng, 0.4, 40).sum(axis=2)
        made = options(rng, [0.4] * 20, labels)
        found = select(made)
        fair = float(macro_f1_of(made.sum(axis=1)).mean())
        optimism.append(found.optimistic_f1 - fair)
        bias.append(found.nested_f1 - fair)
    assert np.mean(optimism) > 0.02
    assert abs(np.mean(bias)) < np.mean(optimism) / 4


def test_a_clearly_better_option_is_chosen_in_every_fold_at_no_loss() -> None:
    rng = np.random.default_rng(1)
    labels = videos(rng, 0.4, 40).sum(axis=2)
    made = options(rng, [0.3, 0.6, 0.3], labels)
    found = select(made)
    assert found.best == 1
    assert found.chosen == (1, 1, 1, 1, 1)
    assert found.nested_f1 == found.optimistic_f1 == pytest.approx(float(macro_f1_of(made[1].sum(axis=0))))
    assert np.array_equal(found.confusions, made[1])


def test_each_video_is_scored_with_the_best_option_of_the_other_folds() -> None:
    rng = np.random.default_rng(2)
    labels = videos(rng, 0.4, 9).sum(axis=2)
    made = options(rng, [0.4] * 6, labels)
    folds = np.array([0, 1, 2] * 3)
    found = nested_selection(made, [made] * 3, folds)
    for fold in range(3):
        inside = folds == fold
        best = macro_f1_of(made[:, ~inside].sum(axis=1)).argmax()
        assert found.chosen[fold] == best
        assert np.array_equal(found.confusions[inside], made[best, inside])


def test_a_fitted_part_is_scored_as_fitted_without_the_fold() -> None:
    """An option that is perfect on all videos, but only because it was fitted on them."""
    rng = np.random.default_rng(3)
    labels = videos(rng, 0.4, 10).sum(axis=2)
    plain, poor = options(rng, [0.5, 0.2], labels)
    perfect = labels[:, :, None] * np.eye(4, dtype=np.int64)
    folds = np.arange(10) % 5
    by_fold = []
    for fold in range(5):
        fitted = np.where((folds == fold)[:, None, None], poor, perfect)
        by_fold.append(np.stack([plain, fitted]))
    found = nested_selection(np.stack([plain, perfect]), by_fold, folds)
    assert (found.best, found.optimistic_f1) == (1, 1.0)
    assert found.nested_f1 == pytest.approx(float(macro_f1_of(poor.sum(axis=0))))


def test_folds_keep_groups_together_and_spread_rare_classes() -> None:
    rng = np.random.default_rng(4)
    counts = np.zeros((40, 8), np.int64)
    counts[:, 0] = rng.integers(500, 3000, 40)
    counts[np.arange(0, 40, 8), 3] = 200  # five videos contain the whole rare class
    groups = [f"pair{number // 2}" if number < 4 else f"video{number}" for number in range(40)]
    folds = video_folds(counts, groups)
    assert folds[0] == folds[1] and folds[2] == folds[3]
    assert set(folds) == set(range(5))
    assert len({folds[number] for number in range(0, 40, 8)}) == 5
    assert np.array_equal(folds, video_folds(counts, groups))


@pytest.mark.parametrize("ends", [("_left", "_right"), ("_person1", "_person2"), ("_track4", "")])
def test_people_of_one_video_are_in_one_fold(ends: tuple[str, str]) -> None:
    counts = {f"v{number}{end}": np.array([10, number % 3]) for number in range(12) for end in ends}
    for seed in range(3):
        folds = folds_by_name(counts, 4, seed)
        assert set(folds) == set(counts) and set(folds.values()) == set(range(4))
        assert all(folds[f"v{number}{ends[0]}"] == folds[f"v{number}{ends[1]}"] for number in range(12))


def test_the_seed_decides_between_similar_videos() -> None:
    counts = np.full((20, 8), 50)
    first, second = (video_folds(counts, names(20), seed=seed) for seed in (0, 1))
    assert np.array_equal(np.bincount(first), [4] * 5) and np.array_equal(np.bincount(second), [4] * 5)
    assert not np.array_equal(first, second)


def test_large_sets_are_split_evenly() -> None:
    """Each class of a large set is spread as evenly as possible."""
    rng = np.random.default_rng(7)
    prior = np.array([0.29, 0.02, 0.02, 0.03, 0.12, 0.09, 0.04, 0.39])
    counts = np.stack([rng.multinomial(rng.integers(2000, 20_000), rng.dirichlet(3 * prior)) for _ in range(300)])
    folds = video_folds(counts, names(300))
    shares = np.stack([counts[folds == fold].sum(axis=0) for fold in range(5)]) / counts.sum(axis=0)
    assert shares == pytest.approx(0.2, abs=0.06)


@pytest.mark.parametrize(
    ("counts", "groups", "expected"),
    [
        pytest.param([[5, 0], [0, 1]], ["a", "b"], 2, id="fewer videos than folds, a class with one frame"),
        pytest.param([[5, 1], [3, 0], [0, 0]], ["a", "b", "c"], 2, id="a video without a label"),
        pytest.param([[1, 1]] * 6, ["a", "a", "b", "b", "c", "c"], 3, id="three groups"),
    ],
)
def test_few_videos(counts: list[list[int]], groups: list[str], expected: int) -> None:
    folds = video_folds(np.array(counts), groups)
    assert len(folds) == len(groups)
    assert len(set(folds)) == expected


@pytest.mark.parametrize("groups", [["a", "a"], ["a"]])
def test_one_group_cannot_be_split(groups: list[str]) -> None:
    with pytest.raises(DataError, match="at least two different videos; found 1"):
        video_folds(np.ones((len(groups), 3), np.int64), groups)


def skewed(
    rng: np.random.Generator, num: int, prior: list[float], skill: float = 2.0
) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Probabilities of a model that has learned the class frequencies."""
    labels = rng.choice(len(prior), num, p=prior)
    logits = rng.normal(size=(num, len(prior))) + skill * np.eye(len(prior))[labels] + np.log(prior)
    odds = np.exp(logits)
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32), labels.astype(np.int8)


def f1(probs: NDArray[np.float32], labels: NDArray[np.int8], bias: NDArray[np.float64]) -> float:
    return float(macro_f1_of(biased_confusion(log_probs(probs), labels, bias)))


def test_a_class_bias_also_helps_rare_classes_of_new_frames() -> None:
    rng = np.random.default_rng(5)
    prior = [0.4, 0.02, 0.02, 0.03, 0.1, 0.08, 0.05, 0.3]
    probs, labels = skewed(rng, 40_000, prior)
    bias = fit_class_bias(probs, labels)
    new_probs, new_labels = skewed(rng, 40_000, prior)
    assert bias[0] == 0 and (bias[1:4] > 0.5).all()
    assert f1(new_probs, new_labels, bias) > f1(new_probs, new_labels, np.zeros(8)) + 0.05


@pytest.mark.parametrize("seed", range(8))
def test_two_classes_equal_brute_force(seed: int) -> None:
    """With one free bias, coordinate ascent must find the best value of the grid."""
    probs, labels = skewed(np.random.default_rng(seed), 200, [0.85, 0.15])
    grid = np.round(np.arange(-20, 21) * 0.2, 1)
    best = max(f1(probs, labels, np.array([0.0, value])) for value in grid)
    assert f1(probs, labels, fit_class_bias(probs, labels, grid)) == pytest.approx(best)


@pytest.mark.parametrize("seed", range(6))
def test_three_classes_come_close_to_brute_force(seed: int) -> None:
    probs, labels = skewed(np.random.default_rng(seed), 400, [0.7, 0.2, 0.1])
    grid = np.round(np.arange(-8, 9) * 0.5, 1)
    best = max(f1(probs, labels, np.array([0.0, *pair])) for pair in itertools.product(grid, grid))
    found = f1(probs, labels, fit_class_bias(probs, labels, grid))
    assert best - 0.01 <= found <= best + 1e-9


def test_a_bias_never_lowers_the_score_it_was_fitted_on() -> None:
    rng = np.random.default_rng(6)
    for _ in range(10):
        num = int(rng.integers(1, 60))
        probs = rng.dirichlet(np.ones(8), num).astype(np.float32)
        labels = rng.integers(-1, 8, num).astype(np.int8)
        labels[0] = 3
        bias = fit_class_bias(probs, labels)
        assert f1(probs, labels, bias) >= f1(probs, labels, np.zeros(8))
        assert bias[0] == 0 and np.isfinite(bias).all() and GRID[0] <= bias.min() and bias.max() <= GRID[-1]


def test_probabilities_of_zero_and_ties_are_accepted() -> None:
    probs = np.array([[1, 0, 0], [0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3], [0, 0, 1]], np.float32)
    labels = np.array([0, 1, 2, 2], np.int8)
    bias = fit_class_bias(probs, labels)
    assert f1(probs, labels, bias) >= f1(probs, labels, np.zeros(3))


def test_no_labels_to_fit() -> None:
    with pytest.raises(DataError, match="no class bias to fit"):
        fit_class_bias(np.ones((3, 8), np.float32) / 8, np.full(3, -1, np.int8))
