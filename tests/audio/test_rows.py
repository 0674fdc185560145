"""Blocks and rows: the result depends on the sound, not on how it is cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abaw.audio.blocks import blocks
from abaw.audio.decode import Chunk
from abaw.audio.models.logmel import LogMel
from abaw.audio.rows import Piece, Rows, rows_of, shown
from abaw.inference.sound import pieces

RATE = 16_000


def _chunks(sizes: list[int], begin: int = 0) -> list[Chunk]:
    """Chunks that follow one another; each sample is its own number."""
    found = []
    for size in sizes:
        found.append(Chunk(begin, np.arange(begin, begin + size, dtype=np.float32)))
        begin += size
    return found


def _joined(rows: list[Rows]) -> Rows:
    return Rows(np.concatenate([each.values for each in rows]), np.concatenate([each.valid for each in rows]))


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=12),
    st.integers(1, 50),
    st.integers(0, 20),
    st.integers(1, 60),
)
def test_cores_cover_each_stretch_once_with_context_around(
    sizes: list[int], length: int, context: int, gap: int
) -> None:
    first = _chunks(sizes, 5)
    second = _chunks(sizes, first[-1].end + gap)
    found = list(blocks([*first, *second], length, context))
    covered = np.concatenate([np.arange(each.core_begin, each.core_end) for each in found])
    stretches = [(5, first[-1].end), (second[0].begin, second[-1].end)]
    assert np.array_equal(covered, np.concatenate([np.arange(*each) for each in stretches]))
    for each in found:
        assert np.array_equal(each.samples, np.arange(each.begin, each.begin + len(each.samples)))
        low, high = next(part for part in stretches if part[0] <= each.core_begin < part[1])
        assert each.begin == max(low, each.core_begin - context)
        assert each.begin + len(each.samples) == min(high, each.core_end + context)
        assert each.core_end - each.core_begin <= length + context


@given(st.lists(st.floats(0.01, 0.5), min_size=2, max_size=30), st.integers(1, 20), st.integers(0, 10**6))
def test_a_row_is_the_mean_over_the_time_of_its_frame(steps: list[float], num_vectors: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    times = np.cumsum(steps) - steps[0]
    edges = np.concatenate([[0.0], np.cumsum(rng.uniform(0.01, 0.4, num_vectors))])
    values = rng.normal(size=(num_vectors, 2)).astype(np.float32)
    cuts = sorted({0, num_vectors, *rng.integers(0, num_vectors + 1, 3).tolist()})
    parts = [Piece(edges[a : b + 1], values[a:b]) for a, b in zip(cuts, cuts[1:], strict=False)]
    frames = shown(times)
    rows = _joined(list(rows_of(frames, parts, 2)))
    assert rows.values.shape == (len(times), 2)
    for index in range(len(times)):
        overlap = np.clip(
            np.minimum(edges[1:], frames.end_s[index]) - np.maximum(edges[:-1], frames.begin_s[index]), 0, None
        )
        share = overlap.sum() / (frames.end_s[index] - frames.begin_s[index])
        if abs(share - 0.5) > 1e-6:
            assert rows.valid[index] == (share > 0.5)
        if rows.valid[index]:
            np.testing.assert_allclose(rows.values[index], overlap @ values / overlap.sum(), atol=1e-4)


def test_times_that_run_backwards_belong_to_another_part_of_the_file() -> None:
    times = np.array([0.0, 0.04, 0.03, 0.12, 5.0, 0.0, 0.04, 5.04])
    frames = shown(times)
    assert frames.known.tolist() == [True, True, True, True, True, False, False, True]
    assert (np.diff(frames.begin_s) >= 0).all() and (frames.end_s > frames.begin_s).all()


def test_frames_without_a_time_have_no_sound() -> None:
    frames = shown(np.array([0.0, 0.04, 0.08, np.nan, np.nan]))
    assert frames.known.tolist() == [True, True, True, False, False]
    rows = _joined(list(rows_of(frames, [Piece(np.array([0.0, 9.0]), np.ones((1, 1), np.float32))], 1)))
    assert rows.valid.tolist() == [True, True, True, False, False]


def test_no_frames_and_no_sound() -> None:
    assert list(rows_of(shown(np.zeros(0)), [], 3)) == []
    rows = _joined(list(rows_of(shown(np.arange(5000) / 25), [], 3)))
    assert rows.values.shape == (5000, 3) and not rows.valid.any()


@pytest.mark.parametrize("size", [999, 16_000, 70_001])
def test_the_features_do_not_depend_on_the_chunks(size: int) -> None:
    sound = np.random.default_rng(0).normal(size=25 * RATE).astype(np.float32)
    frames = shown(np.arange(25 * 25) / 25)
    model = LogMel()
    cut = [Chunk(at, sound[at : at + size]) for at in range(0, len(sound), size)]
    found = _joined(list(rows_of(frames, pieces(cut, model), model.dim)))
    centres, values = model.vectors(sound)
    between = (centres[1:] + centres[:-1]) / 2
    edges = np.concatenate([[0.0], between, [len(sound)]]) / RATE
    expected = _joined(list(rows_of(frames, [Piece(edges, values)], model.dim)))
    assert found.valid.all()
    np.testing.assert_allclose(found.values, expected.values, atol=1e-2)


@pytest.mark.parametrize("length", [1, 399, 400, 1500])
def test_very_short_sound_has_features(length: int) -> None:
    centres, values = LogMel().vectors(np.ones(length, np.float32))
    assert values.shape == (len(centres), 128) and np.isfinite(values).all()
    (piece,) = pieces([Chunk(0, np.ones(length, np.float32))], LogMel())
    assert piece.edges_s[0] == 0 and piece.edges_s[-1] == length / RATE and (np.diff(piece.edges_s) > 0).all()
