"""Filters compared with scipy and plain loops."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import interp1d
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from abaw.core.errors import ConfigError, DataError
from abaw.sequence.filters import box, fill_gaps, gaussian, median

Filter = Callable[[np.ndarray], np.ndarray]

FILTERS = [
    pytest.param(lambda values: box(values, 7), id="box"),
    pytest.param(lambda values: box(values, 1001), id="box wider than the video"),
    pytest.param(lambda values: gaussian(values, 2.5), id="gaussian"),
    pytest.param(lambda values: gaussian(values, 400.0), id="gaussian wider than the video"),
    pytest.param(lambda values: median(values, 7), id="median"),
    pytest.param(lambda values: median(values, 1001), id="median wider than the video"),
]


def _values(num_frames: int, seed: int = 0, columns: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(columns), num_frames).astype(np.float32)


@given(num_frames=st.integers(1, 80), half=st.integers(0, 60), seed=st.integers(0, 5))
def test_box_is_the_mean_over_existing_frames(num_frames: int, half: int, seed: int) -> None:
    values, width = _values(num_frames, seed), 2 * half + 1
    sums = uniform_filter1d(values.astype(np.float64), width, axis=0, mode="constant")
    frames = uniform_filter1d(np.ones((num_frames, 1)), width, axis=0, mode="constant")
    np.testing.assert_allclose(box(values, width), sums / frames, atol=1e-6)


def test_box_of_a_long_video_stays_exact_at_its_end() -> None:
    values = np.full((300_000, 2), 0.1, dtype=np.float32)
    np.testing.assert_allclose(box(values, 101)[-1], 0.1, rtol=1e-6)


@settings(max_examples=50)
@given(num_frames=st.integers(1, 60), sigma=st.floats(0.1, 40), seed=st.integers(0, 5))
def test_gaussian_weights_existing_frames(num_frames: int, sigma: float, seed: int) -> None:
    values = _values(num_frames, seed)
    radius = int(4 * sigma + 0.5)
    distance = np.abs(np.arange(num_frames)[:, None] - np.arange(num_frames))
    weights = np.where(distance <= radius, np.exp(-(distance**2) / (2 * sigma**2)), 0)
    expected = (weights / weights.sum(axis=1, keepdims=True)) @ values.astype(np.float64)
    np.testing.assert_allclose(gaussian(values, sigma), expected, atol=1e-6)


def test_gaussian_equals_scipy_away_from_the_edges() -> None:
    values = _values(200)
    expected = gaussian_filter1d(values.astype(np.float64), 5.0, axis=0)
    np.testing.assert_allclose(gaussian(values, 5.0)[20:-20], expected[20:-20], atol=1e-6)


@settings(max_examples=60)
@given(num_frames=st.integers(1, 40), half=st.integers(0, 50), seed=st.integers(0, 5), ties=st.booleans())
def test_median_equals_numpy_over_existing_frames(num_frames: int, half: int, seed: int, ties: bool) -> None:
    values = _values(num_frames, seed)
    if ties:
        values = np.round(values, 1)
    windows = [values[max(0, frame - half) : frame + half + 1] for frame in range(num_frames)]
    expected = np.stack([np.median(window, axis=0) for window in windows])
    np.testing.assert_allclose(median(values, 2 * half + 1), expected, atol=1e-6)


@pytest.mark.parametrize("smooth", FILTERS)
@pytest.mark.parametrize("num_frames", [0, 1, 2, 50])
def test_constants_shape_type_and_input_do_not_change(smooth: Filter, num_frames: int) -> None:
    values = np.tile(np.array([0.1, 0.7, 0.2], np.float32), (num_frames, 1))
    before = values.copy()
    smoothed = smooth(values)
    assert smoothed.shape == values.shape
    assert smoothed.dtype == np.float32
    np.testing.assert_allclose(smoothed, values, rtol=1e-6)
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("smooth", FILTERS)
def test_filters_commute_with_time_reversal(smooth: Filter) -> None:
    values = _values(30)
    np.testing.assert_allclose(smooth(values[::-1])[::-1], smooth(values), atol=1e-6)


@pytest.mark.parametrize("smooth", [box, median])
@pytest.mark.parametrize("width", [2, 0, -3])
def test_an_even_width_is_refused(smooth: Callable[[np.ndarray, int], np.ndarray], width: int) -> None:
    with pytest.raises(ConfigError, match="odd number of frames"):
        smooth(_values(4), width)


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("inf"), float("nan")])
def test_an_invalid_sigma_is_refused(sigma: float) -> None:
    with pytest.raises(ConfigError, match="a number above 0"):
        gaussian(_values(4), sigma)


@given(mask=st.lists(st.booleans(), min_size=2, max_size=60).filter(lambda mask: sum(mask) >= 2))
def test_gaps_are_filled_linearly_and_edges_with_the_nearest_value(mask: list[bool]) -> None:
    predicted = np.array(mask)
    values = _values(len(mask))
    values[~predicted] = 0
    known = np.flatnonzero(predicted)
    edges = (values[known[0]], values[known[-1]])
    expected = interp1d(known, values[known], axis=0, bounds_error=False, fill_value=edges)(np.arange(len(mask)))
    filled = fill_gaps(values, predicted, 0.5)
    np.testing.assert_allclose(filled, expected, atol=1e-6)
    np.testing.assert_array_equal(filled[predicted], values[predicted])


def test_a_gap_is_closer_to_its_nearer_neighbour() -> None:
    values = np.array([[1, 0], [0, 0], [0, 0], [0, 0], [0, 1]], dtype=np.float32)
    filled = fill_gaps(values, np.array([True, False, False, False, True]), 0.5)
    np.testing.assert_allclose(filled[:, 0], [1, 0.75, 0.5, 0.25, 0])


def test_without_any_prediction_the_default_is_used() -> None:
    filled = fill_gaps(np.zeros((3, 8), dtype=np.float32), np.zeros(3, dtype=bool), 0.125)
    np.testing.assert_array_equal(filled, np.full((3, 8), 0.125, dtype=np.float32))


@pytest.mark.parametrize("smooth", [lambda v: box(v, 3), lambda v: gaussian(v, 2.0), lambda v: median(v, 3)])
def test_filters_refuse_what_they_would_spread(smooth: Filter) -> None:
    values = np.zeros((9, 2), np.float32)
    values[6, 1] = np.nan
    with pytest.raises(DataError, match="frame 7 has a value that is not a finite number"):
        smooth(values)
