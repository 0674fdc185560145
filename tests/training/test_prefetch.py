from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abaw.training.prefetch import prefetched


@given(st.integers(0, 5), st.integers(0, 12), st.integers(0, 4))
def test_every_step_is_made_once_and_in_order(first: int, count: int, ahead: int) -> None:
    steps = range(first, first + count)
    assert list(prefetched(lambda step: step * step, steps, ahead)) == [(step, step * step) for step in steps]


def test_the_number_made_ahead_is_limited() -> None:
    made: list[int] = []
    for step, _ in prefetched(made.append, range(10), 2):
        time.sleep(0.01)
        assert max(made) <= step + 2


@pytest.mark.parametrize("ahead", [0, 2])
def test_an_error_is_raised_at_its_step(ahead: int) -> None:
    seen: list[int] = []
    with pytest.raises(ZeroDivisionError):
        for step, _ in prefetched(lambda step: 1 / (step - 3), range(10), ahead):
            seen.append(step)
    assert seen == [0, 1, 2]


def test_closing_early_ends_the_threads() -> None:
    batches = prefetched(lambda step: step, range(1000), 3)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batch")]
