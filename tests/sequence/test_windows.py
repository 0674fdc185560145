"""Windows cover every frame, and cutting followed by averaging is the identity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abaw.core.errors import ConfigError
from abaw.sequence.windows import Windows, cut, inside, overlap_average, overlap_weights

LENGTH_AND_HOP = st.integers(1, 40).flatmap(lambda length: st.tuples(st.just(length), st.integers(1, length)))


@pytest.mark.parametrize(
    ("length", "hop", "num_frames", "starts"),
    [
        (4, 2, 0, []),
        (4, 2, 1, [0]),
        (4, 2, 4, [0]),
        (4, 2, 5, [0, 1]),
        (4, 2, 8, [0, 2, 4]),
        (4, 4, 9, [0, 4, 5]),
        (300, 200, 301, [0, 1]),
        (1, 1, 3, [0, 1, 2]),
    ],
)
def test_starts(length: int, hop: int, num_frames: int, starts: list[int]) -> None:
    assert Windows(length, hop).starts(num_frames) == starts


@pytest.mark.parametrize(
    ("length", "hop", "message"), [(10, 11, "hop 11 > window 10"), (0, 0, "at least 1"), (5, 0, "at least 1")]
)
def test_invalid_sizes_are_refused(length: int, hop: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Windows(length, hop)


@settings(deadline=None)
@given(sizes=LENGTH_AND_HOP, num_frames=st.integers(1, 150))
def test_every_frame_is_covered_with_as_little_padding_as_possible(sizes: tuple[int, int], num_frames: int) -> None:
    windows = Windows(*sizes)
    starts = windows.starts(num_frames)
    covered = {frame for start in starts for frame in range(start, start + windows.length)}
    assert covered >= set(range(num_frames))
    assert max(covered) == max(num_frames, windows.length) - 1


@settings(deadline=None)
@given(sizes=LENGTH_AND_HOP, num_frames=st.integers(1, 150), seed=st.integers(0, 9), causal=st.booleans())
def test_cut_then_average_is_the_identity(sizes: tuple[int, int], num_frames: int, seed: int, causal: bool) -> None:
    windows = Windows(*sizes)
    values = np.random.default_rng(seed).normal(size=(num_frames, 3)).astype(np.float32)
    starts = windows.starts(num_frames)
    pieces = cut(values, starts, windows.length)
    assert pieces.shape == (len(starts), windows.length, 3)
    np.testing.assert_allclose(overlap_average(pieces, starts, num_frames, causal=causal), values, rtol=1e-5, atol=1e-6)


@settings(deadline=None)
@given(sizes=LENGTH_AND_HOP, num_frames=st.integers(1, 150))
def test_padding_is_zero_marked_and_never_averaged(sizes: tuple[int, int], num_frames: int) -> None:
    windows = Windows(*sizes)
    starts = windows.starts(num_frames)
    pieces = cut(np.ones((num_frames, 2), np.float32), starts, windows.length)
    real = inside(starts, windows.length, num_frames)
    assert np.array_equal(pieces[..., 0] == 1, real)
    pieces[~real] = np.nan
    np.testing.assert_allclose(overlap_average(pieces, starts, num_frames), 1, rtol=1e-6)


def test_cut_keeps_masks_boolean() -> None:
    pieces = cut(np.array([True, True]), [0], 4)
    assert pieces.tolist() == [[True, True, False, False]]


def test_weights_fall_towards_the_ends_and_are_symmetric() -> None:
    assert overlap_weights(5).tolist() == pytest.approx([1 / 3, 2 / 3, 1, 2 / 3, 1 / 3])
    assert overlap_weights(4).tolist() == pytest.approx([0.5, 1, 1, 0.5])
    assert overlap_weights(1).tolist() == [1]
    assert overlap_weights(4, causal=True).tolist() == [0.25, 0.5, 0.75, 1]


def test_centre_frames_have_the_largest_weight_in_overlaps() -> None:
    logits = np.stack([np.zeros((5, 1), np.float32), np.ones((5, 1), np.float32)])
    averaged = overlap_average(logits, [0, 3], 8)[:, 0].tolist()
    # Frame 3 is the fourth of the first window (weight 2/3) and the first of the second (1/3); frame 4 vice versa.
    assert averaged == pytest.approx([0, 0, 0, 1 / 3, 2 / 3, 1, 1, 1])


def test_a_frame_in_no_window_is_an_error() -> None:
    with pytest.raises(ValueError, match="frame 4 is in no window"):
        overlap_average(np.zeros((2, 4, 1), np.float32), [0, 6], 10)
    with pytest.raises(ValueError, match="one window per start"):
        overlap_average(np.zeros((2, 4, 1), np.float32), [0], 4)
