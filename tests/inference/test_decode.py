from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from abaw.core.errors import ConfigError, DataError
from abaw.inference.decode import decode
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.sequence.hmm import count_transitions
from abaw.sequence.smooth import Smoothing, parse_smoothing
from abaw.stores.predictions import Predictions


def predictions(classes_by_frame: list[int | None], **changes: object) -> Predictions:
    """One-hot probabilities; None for a frame without a prediction."""
    num = len(classes_by_frame)
    probs = np.zeros((num, 8), np.float32)
    for row, label in enumerate(classes_by_frame):
        if label is not None:
            probs[row, label] = 1
    predicted = np.array([label is not None for label in classes_by_frame], dtype=bool)
    values: dict[str, object] = {
        "name": "v",
        "classes": EXPRESSION_CLASSES,
        "frames": np.arange(1, num + 1, dtype=np.int32),
        "valid": predicted,
        "predicted": predicted,
        "probs": probs,
        "meta": {},
    }
    return Predictions(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        pytest.param([3, 5, 7], [3, 5, 7], id="nothing to fill"),
        pytest.param([None, 3, None], [3, 3, 3], id="edges take the nearest"),
        pytest.param(
            [2, None, None, None, 6], [2, 2, 2, 6, 6], id="a gap takes the nearer side, the first class on a tie"
        ),
        pytest.param([None, None], [0, 0], id="nothing predicted"),
        pytest.param([], [], id="no frame"),
    ],
)
def test_gaps_are_filled(frames: list[int | None], expected: list[int]) -> None:
    decoded = decode(predictions(frames), Smoothing())
    assert decoded.labels.dtype == np.int8
    assert decoded.labels.tolist() == expected
    assert np.allclose(decoded.probs.sum(axis=1), 1)


def test_smoothing_comes_after_filling_and_before_the_arg_max() -> None:
    frames: list[int | None] = [1, 1, 4, 1, 1, None, 1]
    assert decode(predictions(frames), Smoothing()).labels.tolist() == [1, 1, 4, 1, 1, 1, 1]
    assert decode(predictions(frames), parse_smoothing("box:3")).labels.tolist() == [1] * 7


@pytest.mark.parametrize("text", ["none", "median:3", "viterbi:0.5", "forward_backward:0.5"])
@pytest.mark.parametrize("bias", [None, [0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0]])
def test_a_video_without_any_prediction_has_the_first_class_whatever_is_applied(
    text: str, bias: list[float] | None
) -> None:
    smoothing = parse_smoothing(text, count_transitions([np.full(50, 5)], 8))
    decoded = decode(predictions([None] * 6), smoothing if bias is None else smoothing.biased(bias))
    assert decoded.labels.tolist() == [0] * 6
    np.testing.assert_array_equal(decoded.probs, np.full((6, 8), 1 / 8, np.float32))


def test_the_stored_predictions_are_unchanged() -> None:
    given = predictions([1, None, 4])
    before = given.probs.copy()
    decode(given, parse_smoothing("box:3"))
    assert np.array_equal(given.probs, before)


def test_another_class_order_is_refused() -> None:
    with pytest.raises(DataError, match="v: expected the classes Neutral, Anger"):
        decode(predictions([0], classes=tuple(reversed(EXPRESSION_CLASSES))), Smoothing())


@pytest.mark.parametrize("frames", [[0, 1], [1, 3], [2, 1]])
def test_frames_that_do_not_run_from_one_are_refused(frames: list[int]) -> None:
    with pytest.raises(DataError, match="v: expected one row per frame"):
        decode(predictions([0, 0], frames=np.array(frames, np.int32)), Smoothing())


def test_a_class_bias_is_added_to_the_log_of_smoothed_probabilities() -> None:
    given = predictions([1, 1, 4, None])
    bias = np.zeros(8)
    bias[4] = np.log(3)
    decoded = decode(given, parse_smoothing("box:3"), bias)
    smooth = decode(given, parse_smoothing("box:3")).probs
    expected = smooth * np.exp(bias)
    np.testing.assert_allclose(decoded.probs, expected / expected.sum(axis=1, keepdims=True), rtol=1e-5)
    # At frame 2 one of three frames has class 4: 1/3 against 2/3 becomes 1 against 2/3.
    assert decoded.labels.tolist() == [1, 4, 4, 4]


@pytest.mark.parametrize("bias", [np.zeros(7), np.full(8, np.nan)])
def test_an_invalid_bias_is_refused(bias: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="expected (8 )?finite numbers"):
        decode(predictions([1]), Smoothing(), bias)


@pytest.mark.parametrize("text", ["viterbi:3", "forward_backward:0.5"])
def test_a_pass_can_use_the_class_shares_that_the_model_expects(text: str) -> None:
    """The bias turns the model's shares into those of the transitions; equal shares need none."""
    transitions = count_transitions([np.repeat(np.arange(8), np.arange(10, 90, 10))], 8)
    smoothing, plain = parse_smoothing(f"{text}+shares", transitions), parse_smoothing(text, transitions)
    probs = np.random.default_rng(0).dirichlet(np.ones(8), 40).astype(np.float32)
    given = predictions([0] * 40, probs=probs)
    expecting = replace(given, meta={"class_shares": [0.125] * 8})
    bias = np.log(transitions.initial) - np.log(0.125)
    np.testing.assert_allclose(decode(expecting, smoothing).probs, plain.biased(bias)(probs), atol=1e-6)
    assert not np.array_equal(decode(expecting, smoothing).probs, decode(given, plain).probs)
    same = replace(given, meta={"class_shares": transitions.initial.tolist()})
    np.testing.assert_allclose(decode(same, smoothing).probs, decode(given, plain).probs, atol=1e-6)
    np.testing.assert_array_equal(decode(expecting, smoothing, np.zeros(8)).probs, decode(given, plain).probs)


@pytest.mark.parametrize("shares", [None, [0.5] * 7, ["a"] * 8, "x", [float("nan")] * 8, [-1.0] * 8])
def test_class_shares_that_cannot_be_used_are_missing_ones(shares: object) -> None:
    transitions = count_transitions([np.arange(8)], 8)
    given = predictions([1, 2], meta={"class_shares": shares})
    assert decode(given, parse_smoothing("viterbi", transitions)).labels.tolist() == [1, 2]
    with pytest.raises(ConfigError, match="do not record the class shares"):
        decode(given, parse_smoothing("viterbi+shares", transitions))


def test_seconds_are_converted_at_the_frame_rate_of_the_predictions() -> None:
    given = predictions([1, 1, 4, 1, 1, 1, 1], meta={"fps": 25.0})
    np.testing.assert_array_equal(
        decode(given, parse_smoothing("box:0.2s")).probs, decode(given, parse_smoothing("box:5")).probs
    )
    with pytest.raises(ConfigError, match="frame rate is unknown"):
        decode(predictions([1]), parse_smoothing("box:0.2s"))


def test_other_tasks_are_filled_and_filtered() -> None:
    valence_arousal = np.array([[0, 1], [0, 0], [1, -1]], np.float32)
    action_units = np.tile(valence_arousal[:, :1], (1, 12))
    given = predictions([1, None, 1], valence_arousal=valence_arousal, action_units=action_units)
    plain = decode(given, Smoothing())
    assert plain.valence_arousal is not None and plain.action_units is not None
    np.testing.assert_allclose(plain.valence_arousal, [[0, 1], [0.5, 0], [1, -1]])
    np.testing.assert_allclose(plain.action_units[:, 5], [0, 0.5, 1])
    smooth = decode(given, parse_smoothing("box:3")).valence_arousal
    assert smooth is not None
    np.testing.assert_allclose(smooth, [[0.25, 0.5], [0.5, 0], [0.75, -0.5]])


def test_tasks_that_are_not_predicted_are_none() -> None:
    decoded = decode(predictions([1]), Smoothing())
    assert decoded.valence_arousal is None and decoded.action_units is None


@pytest.mark.parametrize("smoothing", ["none", "box:3", "median:3", "gaussian:2", "viterbi", "forward_backward"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_refused_with_its_frame_and_never_spread(smoothing: str, value: float) -> None:
    given = predictions([3] * 6 + [None])
    given.probs[4, 2] = value
    transitions = count_transitions([np.array([0, 1, 2])], 8)
    with pytest.raises(DataError, match="v: the prediction of frame 5 is not a finite number"):
        decode(given, parse_smoothing(smoothing, transitions))
    unpredicted = predictions([3] * 6 + [None])
    unpredicted.probs[6] = value  # of a frame without a prediction, which is filled
    assert decode(unpredicted, parse_smoothing(smoothing, transitions)).labels.tolist() == [3] * 7
    columns = predictions([3] * 6, valence_arousal=np.full((6, 2), [0.5, value], np.float32))
    with pytest.raises(DataError, match="frame 1 is not a finite number"):
        decode(columns, parse_smoothing(smoothing, transitions))
