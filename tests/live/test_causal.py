"""The causal filter: live steps equal the pass over a whole video, and depend on time, not on the number of frames."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abaw.core.errors import ConfigError
from abaw.sequence.causal import Exponential, exponential, parse_causal


def draw(seed: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed)
    times = np.cumsum(chance.uniform(0.01, 0.2, frames))
    return chance.dirichlet(np.ones(8), frames).astype(np.float32), times


@given(st.integers(0, 1000), st.integers(1, 40), st.sampled_from([0.0, 0.05, 0.5]))
def test_every_frame_depends_on_it_and_earlier_ones_alone(seed: int, frames: int, tau_s: float) -> None:
    probs, times = draw(seed, frames)
    whole = exponential(probs, times, tau_s)
    for end in (1, frames // 2 + 1, frames):
        np.testing.assert_array_equal(exponential(probs[:end], times[:end], tau_s), whole[:end])
    np.testing.assert_allclose(whole.sum(1), 1, atol=1e-5)


def test_half_the_frames_fade_as_fast_in_seconds() -> None:
    step = np.repeat(np.array([[1, 0], [0, 1]], np.float32), [1, 40], axis=0)
    times = np.concatenate([[0.0], 0.025 * np.arange(1, 41)])
    all_frames = exponential(step, times, 0.2)
    half = exponential(step[::2], times[::2], 0.2)
    np.testing.assert_allclose(half[1:], all_frames[2::2], atol=1e-6)
    assert all_frames[8, 0] == pytest.approx(np.exp(-1), abs=1e-6)  # 0.2 s after the change


def test_without_a_filter_and_with_times_that_do_not_advance() -> None:
    probs, times = draw(1, 5)
    np.testing.assert_array_equal(exponential(probs, times, 0.0), probs)
    level = Exponential(0.3)
    first = level.push(probs[0], 1.0)
    np.testing.assert_array_equal(level.push(probs[1], 1.0), first)
    np.testing.assert_array_equal(level.push(probs[1], 0.5), first)


@pytest.mark.parametrize("text", ["exponential", "exponential:0", "exponential:x", "box:3", "", "exponential:-1"])
def test_texts_that_are_not_understood(text: str) -> None:
    with pytest.raises(ConfigError, match="exponential:SECONDS"):
        parse_causal(text)
    assert parse_causal("none") == 0 and parse_causal("exponential:0.25") == 0.25
