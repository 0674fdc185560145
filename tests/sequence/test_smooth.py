"""The text form of smoothings, and their effect on probabilities."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from abaw.core.errors import ConfigError
from abaw.sequence.filters import box, gaussian
from abaw.sequence.hmm import Transitions, count_transitions, forward_backward, viterbi
from abaw.sequence.smooth import Smoothing, expected_bias, needs_transitions, parse_smoothing

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
        ("gaussian:0.16s", "gaussian", 0.16, "gaussian:0.16s"),
        ("box:2s", "box", 2, "box:2s"),
        ("viterbi:0.05+shares", "viterbi", 0.05, "viterbi:0.05+shares"),
        ("forward_backward+shares", "forward_backward", 1, "forward_backward:1+shares"),
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
        ("box:0s", "above 0"),
        ("viterbi:0.1s", "takes no seconds"),
        ("none:1s", "not understood"),
        ("box:3+shares", "takes no '.shares'"),
        ("box:5 s", "not understood"),
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


PASSES = ["viterbi", "forward_backward"]


def _by_enumeration(name: str, probs: np.ndarray, bias: np.ndarray, weight: float, chain: Transitions) -> np.ndarray:
    """The result of a pass by summing over all paths, with evidence (probs · exp(bias)) ** weight."""
    num_frames, num = probs.shape
    evidence = (probs.astype(np.float64) * np.exp(bias)) ** weight
    best, total = np.zeros(num_frames, np.int64), np.zeros((num_frames, num))
    highest = -1.0
    for path in map(np.array, itertools.product(range(num), repeat=num_frames)):
        score = chain.initial[path[0]] * np.prod(chain.matrix[path[:-1], path[1:]])
        score *= np.prod(evidence[np.arange(num_frames), path])
        total[np.arange(num_frames), path] += score
        if score > highest:
            best, highest = path, score
    return np.eye(num)[best] if name == "viterbi" else total / total.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("name", PASSES)
@pytest.mark.parametrize("seed", range(20))
def test_a_bias_is_in_the_evidence_of_a_pass(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    num_frames, num = int(rng.integers(1, 7)), int(rng.integers(2, 4))
    chain = Transitions(rng.dirichlet(np.ones(num)), 0.3 * rng.dirichlet(np.ones(num), num) + 0.7 * np.eye(num))
    bias, weight = 2 * rng.standard_normal(num), float(rng.uniform(0.05, 1.5))
    probs = _probs(num_frames, seed, num)
    expected = _by_enumeration(name, probs, bias, weight, chain)
    found = Smoothing(name, weight, chain).biased(bias)(probs)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("text", FORMS)
def test_no_bias_equals_a_bias_of_zero_or_of_any_constant(text: str, transitions: Transitions) -> None:
    smoothing, probs = parse_smoothing(text, transitions), _probs(50)
    np.testing.assert_array_equal(smoothing.biased([0.0] * 8)(probs).argmax(axis=1), smoothing(probs).argmax(axis=1))
    for value in (0.0, 1.5):
        np.testing.assert_allclose(smoothing.biased([value] * 8)(probs), smoothing(probs), atol=1e-5)


def test_flat_class_shares_need_no_bias() -> None:
    np.testing.assert_array_equal(expected_bias([0.25] * 4, [0.25] * 4), np.zeros(4))
    np.testing.assert_allclose(expected_bias([0.5, 0.5], [0.8, 0.2]), np.log([1.6, 0.4]))
    assert np.isfinite(expected_bias([1.0, 0.0], [0.0, 1.0])).all()


@pytest.mark.parametrize("name", PASSES)
def test_a_temperature_changes_nothing_that_weight_and_bias_do_not(name: str, transitions: Transitions) -> None:
    """Probabilities of temperature T, with WEIGHT w and bias b, are those of temperature 1 with w / T and T b."""
    logits, bias, temperature = np.log(_probs(40)), np.linspace(-1, 1, 8), 2.5
    hot = np.exp(logits / temperature)
    hot /= hot.sum(axis=1, keepdims=True)
    found = Smoothing(name, 0.3, transitions).biased(bias)(hot)
    same = Smoothing(name, 0.3 / temperature, transitions).biased(temperature * bias)(np.exp(logits))
    np.testing.assert_allclose(found, same, atol=1e-4)


@pytest.mark.parametrize("text", [*FORMS, "gaussian:0.2s"])
@pytest.mark.parametrize("label", range(8))
def test_a_steady_face_keeps_its_class(text: str, label: int, transitions: Transitions) -> None:
    """Constant probabilities have one class from the first to the last frame."""
    frame = np.full(8, 0.05)
    frame[label] = 0.65
    smoothed = parse_smoothing(text, transitions).at(25)(np.tile(frame, (200, 1)).astype(np.float32))
    assert set(smoothed.argmax(axis=1).tolist()) == {label}


@pytest.mark.parametrize(
    ("text", "fps", "expected"),
    [
        ("gaussian:0.16s", 25.0, "gaussian:4"),
        ("gaussian:0.16s", 50.0, "gaussian:8"),
        ("box:0.5s", 25.0, "box:13"),
        ("box:0.5s", 30.0, "box:15"),
        ("median:0.01s", 25.0, "median:1"),
        ("box:7", 50.0, "box:7"),
        ("none", 50.0, "none"),
    ],
)
def test_seconds_become_frames(text: str, fps: float, expected: str) -> None:
    assert str(parse_smoothing(text).at(fps)) == expected


@pytest.mark.parametrize("name", PASSES)
def test_a_pass_is_the_same_in_seconds_at_twice_the_frame_rate(name: str) -> None:
    chain = count_transitions([np.repeat(np.arange(8), 200)], 8, fps=25.0)
    smoothing = Smoothing(name, 0.4, chain)
    probs = 0.5 * _probs(320) + 0.5 * np.eye(8, dtype=np.float32)[np.repeat(np.arange(8), 40)]
    at_25 = smoothing.at(25)(probs).argmax(axis=1)
    at_50 = smoothing.at(50)(np.repeat(probs, 2, axis=0)).argmax(axis=1)
    assert len(set(at_25.tolist())) == 8
    assert (at_50.reshape(-1, 2) == at_25[:, None]).mean() > 0.98
    assert smoothing.at(50).value == pytest.approx(0.2)
    assert smoothing.at(None) is smoothing
