"""Filters against scipy and numpy, and the text form of a smoothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import interp1d
from scipy.ndimage import uniform_filter1d

from abaw.core.errors import ConfigError
from abaw.sequence.smooth import Smoothing, box, fill_gaps, parse_smoothing


def _probs(num_frames: int, seed: int = 0, classes: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(classes), num_frames).astype(np.float32)


@settings(deadline=None)
@given(num_frames=st.integers(1, 80), half=st.integers(0, 60), seed=st.integers(0, 5))
def test_box_is_the_mean_over_the_frames_that_are_there(num_frames: int, half: int, seed: int) -> None:
    probs, width = _probs(num_frames, seed), 2 * half + 1
    sums = uniform_filter1d(probs.astype(np.float64), width, axis=0, mode="constant")
    frames = uniform_filter1d(np.ones((num_frames, 1)), width, axis=0, mode="constant")
    np.testing.assert_allclose(box(probs, width), sums / frames, atol=1e-6)


def test_box_keeps_type_sums_and_input() -> None:
    probs = _probs(50)
    before = probs.copy()
    smooth = box(probs, 11)
    assert smooth.dtype == np.float32
    np.testing.assert_allclose(smooth.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(probs, before)


def test_box_of_a_long_video_stays_exact_at_its_end() -> None:
    probs = np.full((300_000, 2), 0.1, dtype=np.float32)
    np.testing.assert_allclose(box(probs, 101)[-1], 0.1, rtol=1e-6)


def test_box_of_no_frames_is_empty() -> None:
    assert box(np.zeros((0, 8), dtype=np.float32), 5).shape == (0, 8)


@pytest.mark.parametrize("width", [2, 0, -3])
def test_box_refuses_a_width_without_a_centre(width: int) -> None:
    with pytest.raises(ConfigError, match="odd number of frames"):
        box(_probs(4), width)


@settings(deadline=None)
@given(mask=st.lists(st.booleans(), min_size=2, max_size=60).filter(lambda mask: sum(mask) >= 2))
def test_gaps_are_filled_linearly_and_edges_copied(mask: list[bool]) -> None:
    predicted = np.array(mask)
    probs = _probs(len(mask))
    probs[~predicted] = 0
    known = np.flatnonzero(predicted)
    edges = (probs[known[0]], probs[known[-1]])
    expected = interp1d(known, probs[known], axis=0, bounds_error=False, fill_value=edges)(np.arange(len(mask)))
    filled = fill_gaps(probs, predicted)
    np.testing.assert_allclose(filled, expected, atol=1e-6)
    np.testing.assert_array_equal(filled[predicted], probs[predicted])


def test_a_gap_leans_to_its_nearer_neighbour() -> None:
    probs = np.array([[1, 0], [0, 0], [0, 0], [0, 0], [0, 1]], dtype=np.float32)
    filled = fill_gaps(probs, np.array([True, False, False, False, True]))
    np.testing.assert_allclose(filled[:, 0], [1, 0.75, 0.5, 0.25, 0])


def test_a_video_without_a_prediction_is_uniform() -> None:
    filled = fill_gaps(np.zeros((3, 8), dtype=np.float32), np.zeros(3, dtype=bool))
    np.testing.assert_array_equal(filled, np.full((3, 8), 0.125, dtype=np.float32))


@pytest.mark.parametrize(("text", "expected"), [("none", Smoothing()), ("box:101", Smoothing("box", 101))])
def test_parse_and_write(text: str, expected: Smoothing) -> None:
    assert parse_smoothing(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("box", "'box:WIDTH'"),
        ("box:100", "odd"),
        ("bax:5", "Did you mean 'box'"),
        ("box:-1", "not understood"),
        ("", "not understood"),
        ("box:1.5", "not understood"),
    ],
)
def test_what_is_not_understood_is_refused_with_the_allowed_forms(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_smoothing(text)


def test_a_smoothing_filters() -> None:
    probs = _probs(30)
    np.testing.assert_array_equal(parse_smoothing("none")(probs), probs)
    np.testing.assert_array_equal(parse_smoothing("box:7")(probs), box(probs, 7))
