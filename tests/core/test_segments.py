"""Segments of equal values."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from abaw.core.segments import segment_bounds


def test_no_values_have_no_segments() -> None:
    assert segment_bounds(np.zeros(0, np.int8)) == []


@given(st.lists(st.integers(-1, 2), min_size=1, max_size=60))
def test_segments_cover_the_values_and_differ_from_their_neighbours(values: list[int]) -> None:
    starts, stops = zip(*segment_bounds(np.array(values)), strict=True)
    assert starts[0] == 0 and stops[-1] == len(values)
    assert starts[1:] == stops[:-1]
    found = [values[start] for start in starts]
    assert all(len(set(values[start:stop])) == 1 for start, stop in zip(starts, stops, strict=True))
    assert all(a != b for a, b in zip(found, found[1:], strict=False))
