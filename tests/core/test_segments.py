"""Runs of equal values."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from abaw.core.segments import runs


def test_nothing_has_no_runs() -> None:
    first, behind = runs(np.zeros(0, np.int8))
    assert (len(first), len(behind)) == (0, 0)


@given(st.lists(st.integers(-1, 2), min_size=1, max_size=60))
def test_runs_lie_side_by_side_and_differ_from_their_neighbours(values: list[int]) -> None:
    first, behind = (side.tolist() for side in runs(np.array(values)))
    assert first[0] == 0 and behind[-1] == len(values)
    assert first[1:] == behind[:-1]
    found = [values[start] for start in first]
    assert all(len(set(values[start:end])) == 1 for start, end in zip(first, behind, strict=True))
    assert all(a != b for a, b in zip(found, found[1:], strict=False))
