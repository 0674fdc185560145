from __future__ import annotations

import math

import numpy as np
import pytest

from abaw.evaluation.calibration import calibration_of, no_frames


def test_calibrated_probabilities() -> None:
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(4), 60_000)
    labels = np.array([rng.choice(4, p=row) for row in probs], np.int8)
    found = calibration_of(probs, labels)
    assert found.ece < 0.01
    assert found.mean_confidence == pytest.approx(found.accuracy, abs=0.01)
    sharper = probs**3 / (probs**3).sum(axis=1, keepdims=True)
    worse = calibration_of(sharper, labels)
    assert worse.ece > 0.1 and worse.mean_confidence > worse.accuracy + 0.1
    assert worse.nll > found.nll and worse.brier_score > found.brier_score


def test_the_scores_by_hand() -> None:
    probs = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.0, 0.0, 1.0]])
    found = calibration_of(probs, np.array([0, 2, 2], np.int8), num_bins=10)
    assert found.num_frames == 3
    assert found.nll == pytest.approx(-(math.log(0.7) + math.log(0.3)) / 3)
    assert found.brier_score == pytest.approx((0.09 + 0.04 + 0.01 + 0.01 + 0.36 + 0.49) / 3)
    assert found.ece == pytest.approx((abs(0.7 - 1) + abs(0.6 - 0) + 0) / 3)
    assert found.frames[-1] == 1  # a confidence of 1 is in the last bin
    assert found.accuracy == pytest.approx(2 / 3)


def test_uniform_guessing() -> None:
    found = calibration_of(np.full((800, 8), 1 / 8), np.tile(np.arange(8), 100).astype(np.int8))
    assert found.nll == pytest.approx(math.log(8))
    assert found.brier_score == pytest.approx(0.875)
    assert found.ece == pytest.approx(0, abs=1e-9)


def test_sums_over_videos_leave_out_unlabelled_frames() -> None:
    rng = np.random.default_rng(1)
    probs, labels = rng.dirichlet(np.ones(8), 90), rng.integers(-1, 8, 90).astype(np.int8)
    whole = calibration_of(probs, labels)
    parts = no_frames() + calibration_of(probs[:40], labels[:40]) + calibration_of(probs[40:], labels[40:])
    assert whole.num_frames == (labels >= 0).sum()
    assert np.allclose(whole.confidence, parts.confidence) and np.array_equal(whole.frames, parts.frames)
    assert (whole.nll, whole.brier_score, whole.ece) == pytest.approx((parts.nll, parts.brier_score, parts.ece))


def test_no_annotated_frames_and_a_confident_error() -> None:
    nothing = calibration_of(np.ones((3, 8)) / 8, np.full(3, -1, np.int8))
    assert nothing.num_frames == 0 and math.isnan(nothing.ece) and math.isnan(nothing.nll)
    wrong = calibration_of(np.array([[1.0, 0.0]]), np.array([1], np.int8))
    assert math.isfinite(wrong.nll) and wrong.nll > 10
