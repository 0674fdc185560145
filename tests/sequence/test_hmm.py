"""The two passes compared with enumerating all paths and with plain loops over frames."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abaw.core.errors import ConfigError, DataError
from abaw.sequence.hmm import Transitions, count_transitions, forward_backward, viterbi


def _transitions(num: int, seed: int = 0, stay: float = 0.0) -> Transitions:
    rng = np.random.default_rng(seed)
    matrix = (1 - stay) * rng.dirichlet(np.ones(num), num) + stay * np.eye(num)
    return Transitions(rng.dirichlet(np.ones(num)), matrix)


def _evidence(num_frames: int, num: int, seed: int = 0, spread: float = 2.0) -> np.ndarray:
    return spread * np.random.default_rng(seed + 100).standard_normal((num_frames, num))


def _score(path: np.ndarray, evidence: np.ndarray, transitions: Transitions) -> float:
    steps = np.log(transitions.matrix)[path[:-1], path[1:]].sum()
    return float(np.log(transitions.initial)[path[0]] + steps + evidence[np.arange(len(path)), path].sum())


def _loop_viterbi(evidence: np.ndarray, transitions: Transitions) -> np.ndarray:
    score, pointers = np.log(transitions.initial) + evidence[0], []
    for row in evidence[1:]:
        scores = score[:, None] + np.log(transitions.matrix)
        pointers.append(scores.argmax(axis=0))
        score = scores.max(axis=0) + row
    path = [int(score.argmax())]
    for pointer in reversed(pointers):
        path.append(int(pointer[path[-1]]))
    return np.array(path[::-1])


def _loop_forward_backward(evidence: np.ndarray, transitions: Transitions) -> np.ndarray:
    seen = np.exp(evidence - evidence.max(axis=1, keepdims=True))
    alphas, betas = [transitions.initial * seen[0]], [np.ones(evidence.shape[1])]
    for row in seen[1:]:
        alpha = (alphas[-1] / alphas[-1].sum()) @ transitions.matrix * row
        alphas.append(alpha)
    for row in seen[:0:-1]:
        beta = transitions.matrix @ (row * betas[-1])
        betas.append(beta / beta.sum())
    both = np.stack(alphas) * np.stack(betas[::-1])
    return np.asarray(both / both.sum(axis=1, keepdims=True))


SMALL = {"num_frames": st.integers(1, 6), "num": st.integers(2, 3), "seed": st.integers(0, 1000)}


@settings(max_examples=60)
@given(**SMALL)
def test_viterbi_finds_the_best_path(num_frames: int, num: int, seed: int) -> None:
    evidence, transitions = _evidence(num_frames, num, seed), _transitions(num, seed)
    paths = map(np.array, itertools.product(range(num), repeat=num_frames))
    best = max(paths, key=lambda path: _score(path, evidence, transitions))
    path = viterbi(evidence, transitions)
    assert path.dtype == np.int8
    assert path.tolist() == best.tolist()


@settings(max_examples=60)
@given(**SMALL)
def test_forward_backward_sums_over_all_paths(num_frames: int, num: int, seed: int) -> None:
    evidence, transitions = _evidence(num_frames, num, seed), _transitions(num, seed)
    expected = np.zeros((num_frames, num))
    for path in map(np.array, itertools.product(range(num), repeat=num_frames)):
        expected[np.arange(num_frames), path] += np.exp(_score(path, evidence, transitions))
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(forward_backward(evidence, transitions), expected, atol=1e-10)


@settings(max_examples=40)
@given(num_frames=st.integers(1, 400), seed=st.integers(0, 1000), stay=st.sampled_from([0.0, 0.9, 0.999]))
def test_long_videos_equal_a_loop_over_frames(num_frames: int, seed: int, stay: float) -> None:
    evidence, transitions = _evidence(num_frames, 8, seed), _transitions(8, seed, stay)
    path = viterbi(evidence, transitions)
    assert path.tolist() == _loop_viterbi(evidence, transitions).tolist()
    posterior = forward_backward(evidence, transitions)
    np.testing.assert_allclose(posterior, _loop_forward_backward(evidence, transitions), atol=1e-9)


@pytest.mark.parametrize("spread", [0.0, 1.0, 2000.0], ids=["no evidence", "some", "extreme"])
@pytest.mark.parametrize("num_frames", [1, 2, 3, 5000])
def test_posteriors_are_distributions(num_frames: int, spread: float) -> None:
    posterior = forward_backward(_evidence(num_frames, 8, spread=spread), _transitions(8, stay=0.99))
    assert posterior.shape == (num_frames, 8)
    assert (posterior >= 0).all()
    np.testing.assert_allclose(posterior.sum(axis=1), 1)


def test_no_frames() -> None:
    empty = np.zeros((0, 3))
    assert viterbi(empty, _transitions(3)).shape == (0,)
    assert forward_backward(empty, _transitions(3)).shape == (0, 3)


def test_a_short_slip_is_corrected_and_a_long_segment_kept() -> None:
    labels = np.array([0] * 20 + [1] * 2 + [0] * 20 + [2] * 20)
    evidence = np.log(np.where(np.eye(3, dtype=bool)[labels], 0.8, 0.1))
    transitions = count_transitions([np.repeat([0, 2, 1, 0], 50)], 3)
    expected = [0] * 42 + [2] * 20
    assert viterbi(evidence, transitions).tolist() == expected
    assert forward_backward(evidence, transitions).argmax(axis=1).tolist() == expected


def test_both_passes_are_fast() -> None:
    evidence, transitions = _evidence(100_000, 8), _transitions(8, stay=0.99)
    begun = time.process_time()
    viterbi(evidence, transitions)
    forward_backward(evidence, transitions)
    # A Python loop over frames takes longer than this; measured 0.3 s.
    assert time.process_time() - begun < 5


def test_transitions_are_counted_between_labelled_neighbours_of_a_video() -> None:
    videos = [np.array([0, 0, 1, -1, 1, 1], np.int8), np.array([2], np.int8), np.array([], np.int8)]
    counted = count_transitions(videos, 3, smoothing=0.5)
    pairs = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 0]]) + 0.5
    np.testing.assert_allclose(counted.matrix, pairs / pairs.sum(axis=1, keepdims=True))
    frames = np.array([2, 3, 1]) + 0.5
    np.testing.assert_allclose(counted.initial, frames / frames.sum())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: count_transitions([np.array([1, -1, 1])], 3), "no two neighbouring frames"),
        (lambda: Transitions(np.array([0.5, 0.5]), np.eye(2)), "matrix must hold probabilities above 0"),
        (lambda: Transitions(np.array([0.5, 0.6]), np.full((2, 2), 0.5)), "initial must hold"),
        (lambda: Transitions(np.array([0.5, 0.5]), np.full((2, 3), 1 / 3)), r"expected \(2, 2\)"),
        (lambda: viterbi(np.zeros((4, 5)), _transitions(3)), "3 classes do not fit evidence"),
        (lambda: forward_backward(np.full((4, 3), -np.inf), _transitions(3)), "evidence of frame 1 is not finite"),
    ],
)
def test_invalid_arguments_are_refused(call: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        call()  # type: ignore[operator]


@pytest.mark.parametrize("fps", [1.0, 12.5, 25.0, 50.0, 240.0])
def test_a_chain_lasts_as_long_at_another_frame_rate(fps: float) -> None:
    """At 25 and at 50 frames per second, a class is left within a given time with the same probability."""
    chain = _chain_at_25()
    other = chain.at(fps)
    assert other.fps == fps
    seconds = np.arange(1, 6)[:, None]
    np.testing.assert_allclose(
        np.diag(other.matrix) ** (seconds * fps), np.diag(chain.matrix) ** (seconds * 25), rtol=1e-9
    )
    for matrix in (other.matrix, chain.matrix):
        np.fill_diagonal(matrix, 0)
    followed_by = [matrix / matrix.sum(axis=1, keepdims=True) for matrix in (other.matrix, chain.matrix)]
    np.testing.assert_allclose(*followed_by)
    np.testing.assert_array_equal(other.initial, chain.initial)


def test_drawn_segments_have_the_same_mean_length_in_seconds() -> None:
    chain = _chain_at_25()
    lengths = {}
    for fps in (25.0, 50.0):
        matrix, rng = chain.at(fps).matrix, np.random.default_rng(1)
        states = [0]
        for draw in rng.random(int(4000 * fps)):
            states.append(int(np.searchsorted(np.cumsum(matrix[states[-1]]), draw)))
        lengths[fps] = len(states) / fps / np.count_nonzero(np.diff(states))
    assert lengths[25.0] == pytest.approx(lengths[50.0], rel=0.1)


def test_a_converted_chain_can_be_converted_back() -> None:
    chain = _chain_at_25()
    np.testing.assert_allclose(chain.at(60).at(25).matrix, chain.matrix, rtol=1e-9)
    np.testing.assert_allclose(chain.at(60).at(10).matrix, chain.at(10).matrix, rtol=1e-9)


def test_an_unknown_rate_converts_nothing() -> None:
    chain = _chain_at_25()
    assert chain.at(None) is chain
    unknown = Transitions(chain.initial, chain.matrix)
    assert unknown.at(50) is unknown
    with pytest.raises(DataError, match="per second"):
        Transitions(chain.initial, chain.matrix, 0.0)


def _chain_at_25() -> Transitions:
    return count_transitions([np.repeat([0, 2, 1, 0, 1], [90, 40, 160, 70, 35])], 3, fps=25.0)


def test_counts_need_smoothing() -> None:
    with pytest.raises(ConfigError, match="more than 0"):
        count_transitions([np.array([0, 1])], 2, smoothing=0)
