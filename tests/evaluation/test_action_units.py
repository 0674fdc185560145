"""Thresholds of the action units: exact, compared with brute force, and scored without the optimism of their choice."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.evaluation.action_units import (
    ON,
    THRESHOLDS,
    best_steps,
    choose_thresholds,
    counts_by_threshold,
    mean_unit_f1_of,
    unit_counts,
    unit_f1_of,
    unit_histogram,
)

Video = tuple[NDArray[np.int64], NDArray[np.float32]]


def _video(rng: np.random.Generator, num_frames: int, *, skill: float, num_units: int = 12) -> Video:
    """Labels and probabilities; some values lie exactly on the grid."""
    labels = rng.integers(-1, 2, (num_frames, num_units))
    probs = np.clip(0.3 * rng.random(labels.shape) + skill * labels + 0.2, 0, 1).astype(np.float32)
    probs[::5] = np.round(probs[::5], 2)
    return labels, probs


def test_counts_of_every_threshold_equal_those_of_the_frames() -> None:
    labels, probs = _video(np.random.default_rng(0), 300, skill=0.2)
    found = counts_by_threshold(unit_histogram(labels, probs))
    assert found.shape == (12, len(THRESHOLDS), 3)
    for index, threshold in enumerate(THRESHOLDS):
        assert np.array_equal(found[:, index], unit_counts(labels, probs, float(threshold)))
    assert ON in THRESHOLDS


def test_histograms_of_videos_add_up() -> None:
    rng = np.random.default_rng(1)
    first, second = _video(rng, 40, skill=0.1), _video(rng, 70, skill=0.1)
    both = [np.concatenate(parts) for parts in zip(first, second, strict=True)]
    assert np.array_equal(unit_histogram(*both), unit_histogram(*first) + unit_histogram(*second))


def _brute_force(videos: list[Video], unit: int) -> float:
    """The best threshold of the grid, the one nearest to .5 of equally good ones."""
    scores = {
        float(threshold): float(
            unit_f1_of(sum(unit_counts(labels, probs, float(threshold)) for labels, probs in videos)[unit])  # type: ignore[index]
        )
        for threshold in THRESHOLDS
    }
    best = max(scores.values())
    return min((each for each, score in scores.items() if score == best), key=lambda each: abs(each - 0.5))


def test_nested_thresholds_equal_brute_force() -> None:
    rng = np.random.default_rng(2)
    videos = [_video(rng, 30, skill=0.05 + 0.02 * index, num_units=3) for index in range(6)]
    folds = np.array([0, 0, 2, 2, 5, 5])
    groups = [f"v{index}" for index in range(6)]
    histograms = np.stack([unit_histogram(*video) for video in videos])
    found = choose_thresholds([histograms], ["none"], folds, groups, 100)
    assert found.values == pytest.approx([_brute_force(videos, unit) for unit in range(3)])
    nested = np.zeros((3, 3))
    for fold in (0, 2, 5):
        outside = [video for video, own in zip(videos, folds, strict=True) if own != fold]
        thresholds = np.array([_brute_force(outside, unit) for unit in range(3)])
        for (labels, probs), own in zip(videos, folds, strict=True):
            if own == fold:
                nested += unit_counts(labels, probs, thresholds)
    assert found.nested is not None
    assert found.nested.value == pytest.approx(float(mean_unit_f1_of(nested)))
    everywhere = sum(unit_counts(labels, probs, np.array(found.values)) for labels, probs in videos)
    assert found.mean.value == pytest.approx(float(mean_unit_f1_of(np.asarray(everywhere))))
    assert [each.value for each in found.action_units] == pytest.approx(unit_f1_of(np.asarray(everywhere)).tolist())


def test_thresholds_on_random_data_are_optimistic_and_the_nested_score_is_not() -> None:
    """Probabilities say nothing: any threshold that beats the rest does so by luck with these videos."""
    rng = np.random.default_rng(3)
    gains, nested_gains = [], []
    for _ in range(20):
        videos = [
            ((rng.random((25, 12)) < rng.beta(0.6, 2.4, 12)).astype(int), rng.random((25, 12), dtype=np.float32))
            for _ in range(10)
        ]
        histograms = np.stack([unit_histogram(*video) for video in videos])
        found = choose_thresholds([histograms], ["none"], np.arange(10) // 2, [f"v{k}" for k in range(10)], 100)
        fixed = float(mean_unit_f1_of(np.asarray(sum(unit_counts(*video, THRESHOLDS[0]) for video in videos))))
        assert found.nested is not None
        gains.append(found.mean.value - fixed)
        nested_gains.append(found.nested.value - fixed)
    assert min(gains) >= 0 and np.mean(gains) > 0.01
    assert np.mean(nested_gains) <= 0.002


def test_the_best_of_several_options_is_chosen_in_every_fold() -> None:
    rng = np.random.default_rng(4)
    skills = (0.0, 0.4)
    histograms = [np.stack([unit_histogram(*_video(rng, 50, skill=skill)) for _ in range(6)]) for skill in skills]
    groups = [f"v{index}" for index in range(6)]
    found = choose_thresholds(histograms, ["none", "box:5"], np.arange(6) // 2, groups, 100)
    alone = choose_thresholds(histograms[1:], ["box:5"], np.arange(6) // 2, groups, 100)
    assert found.smoothing == "box:5" and found.nested == alone.nested and found.mean == alone.mean
    single = choose_thresholds(histograms, ["none", "box:5"], np.zeros(6, int), groups, 100)
    assert single.nested is None and "too few videos" in single.summary()


@pytest.mark.parametrize("on", [0, 1])
def test_a_unit_whose_threshold_makes_no_difference_keeps_one_half(on: int) -> None:
    """Never annotated on: every F1 is 0. Always on and certain: every F1 is 1."""
    labels, probs = np.full((20, 12), on), np.full((20, 12), float(on), np.float32)
    assert THRESHOLDS[best_steps(unit_histogram(labels, probs))].tolist() == [0.5] * 12


def test_without_annotations_there_is_nothing_to_fit() -> None:
    histograms = np.zeros((2, 12, 2, len(THRESHOLDS) + 1), np.int64)
    with pytest.raises(DataError, match="no frame is annotated with action units"):
        choose_thresholds([histograms], ["none"], np.arange(2), ["a", "b"], 100)
