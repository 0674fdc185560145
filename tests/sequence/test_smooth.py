"""The text form of smoothings, and their effect on probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from abaw.core.errors import ConfigError
from abaw.sequence.filters import box, gaussian
from abaw.sequence.hmm import Transitions, count_transitions, forward_backward, viterbi
from abaw.sequence.smooth import Smoothing, needs_transitions, parse_smoothing

FORMS = ["none", "box:7", "median:7", "gaussian:2.5", "viterbi:0.25", "forward_backward:0.25"]


def _probs(num_frames: int, seed: int = 0, classes: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(classes), num_frames).astype(np.float32)


@pytest.fixture
def transitions() -> Transitions:
    return count_transitions([np.repeat(np.arange(8), 30)], 8)


@pytest.mark.parametrize(
    ("text", "name", "value", "written"),
    [
        ("none", "none", 1, "none"),
        ("box:101", "box", 101, "box:101"),
        ("median:3", "median", 3, "median:3"),
        ("gaussian:12.5", "gaussian", 12.5, "gaussian:12.5"),
        ("gaussian:10", "gaussian", 10, "gaussian:10"),
        ("viterbi", "viterbi", 1, "viterbi:1"),
        ("viterbi:0.05", "viterbi", 0.05, "viterbi:0.05"),
        ("forward_backward:2", "forward_backward", 2, "forward_backward:2"),
    ],
)
def test_parse_and_write(text: str, name: str, value: float, written: str, transitions: Transitions) -> None:
    smoothing = parse_smoothing(text, transitions)
    assert (smoothing.name, smoothing.value) == (name, value)
    assert str(smoothing) == written
    assert parse_smoothing(written, transitions) == smoothing
    assert needs_transitions(text) == smoothing.needs_transitions == (name in ("viterbi", "forward_backward"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("box", "'box:WIDTH'"),
        ("gaussian", "'gaussian:SIGMA'"),
        ("none:3", "not understood"),
        ("box:100", "odd"),
        ("box:1.5", "odd"),
        ("median:4", "odd"),
        ("gaussian:0", "above 0"),
        ("forward_backward:0", "above 0"),
        ("bax:5", "Did you mean 'box'"),
        ("viterby", "Did you mean 'viterbi'"),
        ("box:-1", "not understood"),
        ("", "not understood"),
    ],
)
def test_an_invalid_text_is_refused_with_the_valid_forms(text: str, message: str, transitions: Transitions) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_smoothing(text, transitions)


@pytest.mark.parametrize("text", ["viterbi", "forward_backward:0.1"])
def test_a_pass_without_transitions_says_how_to_give_them(text: str) -> None:
    with pytest.raises(ConfigError, match="--transitions DIR"):
        parse_smoothing(text)


@pytest.mark.parametrize("text", FORMS)
@pytest.mark.parametrize("num_frames", [0, 1, 40])
def test_probabilities_stay_a_distribution(text: str, num_frames: int, transitions: Transitions) -> None:
    probs = _probs(num_frames)
    before = probs.copy()
    smoothed = parse_smoothing(text, transitions)(probs)
    assert smoothed.shape == probs.shape
    assert smoothed.dtype == np.float32
    np.testing.assert_allclose(smoothed.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(probs, before)


@pytest.mark.parametrize("text", FORMS)
def test_one_hot_probabilities_stay_a_distribution(text: str, transitions: Transitions) -> None:
    """With eight alternating classes, none has half of a window: all medians are 0."""
    smoothed = parse_smoothing(text, transitions)(np.eye(8, dtype=np.float32)[np.arange(60) % 8])
    np.testing.assert_allclose(smoothed.sum(axis=1), 1, atol=1e-5)


def test_a_smoothing_filters(transitions: Transitions) -> None:
    probs = _probs(30)
    evidence = 0.25 * np.log(probs.astype(np.float64))
    np.testing.assert_array_equal(parse_smoothing("none")(probs), probs)
    np.testing.assert_array_equal(parse_smoothing("box:7")(probs), box(probs, 7))
    np.testing.assert_array_equal(parse_smoothing("gaussian:2.5")(probs), gaussian(probs, 2.5))
    path = parse_smoothing("viterbi:0.25", transitions)(probs)
    np.testing.assert_array_equal(path, np.eye(8)[viterbi(evidence, transitions)])
    posterior = parse_smoothing("forward_backward:0.25", transitions)(probs)
    np.testing.assert_allclose(posterior, forward_backward(evidence, transitions), atol=1e-6)


def test_other_columns_are_filtered_but_not_normalised(transitions: Transitions) -> None:
    values = np.random.default_rng(0).uniform(-1, 1, (30, 2)).astype(np.float32)
    np.testing.assert_array_equal(parse_smoothing("box:5").columns(values), box(values, 5))
    assert (parse_smoothing("median:5").columns(values) < 0).any()
    for text in ("none", "viterbi", "forward_backward"):
        np.testing.assert_array_equal(parse_smoothing(text, transitions).columns(values), values)


def test_transitions_are_kept_only_when_needed(transitions: Transitions) -> None:
    assert parse_smoothing("box:3", transitions) == Smoothing("box", 3)
