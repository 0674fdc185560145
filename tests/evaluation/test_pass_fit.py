"""The fit of WEIGHT and bias of a pass: what it finds, what it costs, what it leaves out."""

from __future__ import annotations

import numpy as np
import pytest

from abaw.core.errors import DataError
from abaw.evaluation.metrics import confusion_of, macro_f1_of
from abaw.evaluation.pass_fit import PooledVideos
from abaw.sequence.hmm import Transitions, count_transitions
from abaw.sequence.smooth import Smoothing, parse_smoothing

SHIFT = np.array([0.0, 1.5, -1.5])
PASSES = ["viterbi:0.3", "forward_backward:0.3"]


def made(num_videos: int, num_frames: int = 240, seed: int = 0) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Probabilities of a model that favours the second class, with errors that last eight frames; and labels."""
    rng = np.random.default_rng(seed)
    probs, labels = [], []
    for _ in range(num_videos):
        known = np.repeat(rng.integers(0, 3, num_frames // 30), 30)
        errors = np.repeat(rng.normal(0, 1.2, (num_frames // 8, 3)), 8, axis=0)
        chances = np.exp(1.5 * np.eye(3)[known] + errors + SHIFT)
        probs.append((chances / chances.sum(axis=1, keepdims=True)).astype(np.float32))
        labels.append(known.astype(np.int8))
    return probs, labels


def f1(smoothing: Smoothing, probs: list[np.ndarray], labels: list[np.ndarray]) -> float:
    return float(
        macro_f1_of(sum(confusion_of(y, smoothing(p).argmax(axis=1), 3) for p, y in zip(probs, labels, strict=True)))
    )


@pytest.fixture(scope="module")
def transitions() -> Transitions:
    return count_transitions(made(20, seed=9)[1], 3, fps=25.0)


@pytest.mark.parametrize("text", PASSES)
def test_the_fit_raises_macro_f1_on_other_videos(text: str, transitions: Transitions) -> None:
    pooled = PooledVideos()
    for number, (probs, labels) in enumerate(zip(*made(12), strict=True)):
        pooled.add(probs, labels, number % 3, 25.0)
    plain = parse_smoothing(text, transitions)
    fitted = pooled.fit(plain)
    assert fitted.name == plain.name and fitted.class_bias is not None and fitted.class_bias[0] == 0
    assert fitted.class_bias[1] < 0 < fitted.class_bias[2]
    others = made(12, seed=5)
    assert f1(fitted, *others) > f1(plain, *others) + 0.1


def test_a_fold_is_left_out_completely(transitions: Transitions) -> None:
    """Other labels in the fold change nothing; the same labels elsewhere do."""
    probs, labels = made(6)
    fits = []
    for changed in (None, 0, 1):
        pooled = PooledVideos()
        for number, (values, known) in enumerate(zip(probs, labels, strict=True)):
            pooled.add(values, (known + 1) % 3 if number % 2 == changed else known, number % 2, 25.0)
        fits.append(pooled.fit(parse_smoothing("forward_backward", transitions), without_fold=0))
    assert (fits[1].value, fits[1].class_bias) == (fits[0].value, fits[0].class_bias)
    assert fits[2].class_bias != fits[0].class_bias


def test_neighbouring_frames_are_pooled_when_there_are_too_many(transitions: Transitions) -> None:
    pooled = PooledVideos(max_blocks=800)
    for number, (probs, labels) in enumerate(zip(*made(12), strict=True)):
        pooled.add(probs, labels, number % 3, 25.0)
    assert pooled.frames == 4
    plain = parse_smoothing("viterbi:0.3", transitions)
    others = made(12, seed=5)
    assert f1(pooled.fit(plain), *others) > f1(plain, *others) + 0.1


def test_the_weight_is_that_at_the_rate_of_the_transitions(transitions: Transitions) -> None:
    """Videos of twice the rate show each frame twice: the fit is the same."""
    once, twice = PooledVideos(), PooledVideos()
    for number, (probs, labels) in enumerate(zip(*made(12), strict=True)):
        once.add(probs, labels, number % 3, 25.0)
        twice.add(np.repeat(probs, 2, axis=0), np.repeat(labels, 2), number % 3, 50.0)
    plain = parse_smoothing("forward_backward:0.3", transitions)
    fits = [pooled.fit(plain) for pooled in (once, twice)]
    others = made(12, seed=5)
    assert f1(fits[0], *others) == pytest.approx(f1(fits[1], *others), abs=0.03)


def test_without_labels_there_is_nothing_to_fit(transitions: Transitions) -> None:
    pooled = PooledVideos()
    pooled.add(np.ones((5, 3)) / 3, np.full(5, -1), 0, None)
    with pytest.raises(DataError, match="no class bias to fit"):
        pooled.fit(parse_smoothing("viterbi", transitions))
