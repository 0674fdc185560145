from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abaw.importing.features.resample import Resample, pairs_by_time


def weights(rows: list[float], frames: list[float], method: Resample) -> list[dict[int, float]]:
    """Row -> weight, per frame."""
    found: list[dict[int, float]] = [{} for _ in frames]
    pairs = pairs_by_time(np.array(rows, dtype=float), np.array(frames, dtype=float), method)
    each = pairs[2] if pairs[2] is not None else np.ones(len(pairs[0]))
    for frame, row, weight in zip(pairs[0], pairs[1], each, strict=True):
        found[frame][int(row)] = round(float(weight), 6)
    return found


@pytest.mark.parametrize(
    ("method", "rows", "frames", "expected"),
    [
        pytest.param("nearest", [0, 1, 2], [0, 1, 2], [{0: 1}, {1: 1}, {2: 1}], id="the same times"),
        pytest.param("nearest", [0.1, 1.1, 2.1], [0, 1, 2], [{0: 1}, {1: 1}, {2: 1}], id="an offset"),
        pytest.param("nearest", [0, 1], [0, 0.5, 0.6, 1], [{0: 1}, {0: 1}, {1: 1}, {1: 1}], id="fewer rows"),
        pytest.param("linear", [0, 1], [0, 0.25, 0.5, 1], [{0: 1}, {0: 0.75, 1: 0.25}, {0: 0.5, 1: 0.5}, {1: 1}],
                     id="between"),
        pytest.param("linear", [0.5, 1.5], [0, 1, 2], [{0: 1}, {0: 0.5, 1: 0.5}, {1: 1}], id="no row outside"),
        pytest.param("mean", [0, 0.4, 0.6, 1, 1.4], [0, 1], [{0: 0.5, 1: 0.5}, {2: 1 / 3, 3: 1 / 3, 4: 1 / 3}],
                     id="rows nearer to this frame"),
        pytest.param("mean", [0, 1], [0, 0.4, 0.6, 1], [{0: 1}, {0: 1}, {1: 1}, {1: 1}], id="fewer rows, mean"),
        pytest.param("nearest", [0, 1, 5, 6], [0, 1, 2, 3, 4, 5], [{0: 1}, {1: 1}, {}, {}, {}, {2: 1}],
                     id="a gap"),
        pytest.param("linear", [0, 1, 5, 6], [1, 1.5, 2, 4.5], [{1: 1}, {1: 1}, {}, {2: 1}], id="no line over a gap"),
        pytest.param("mean", [0, 1, 2, 20], [0, 1, 2, 3, 4], [{0: 1}, {1: 1}, {2: 1}, {}, {}], id="rows after the end"),
        pytest.param("nearest", [7], [0, 1], [{}, {}], id="one row, elsewhere"),
        pytest.param("linear", [1], [0, 1], [{}, {0: 1}], id="one row"),
        pytest.param("mean", [0.3, 0.4, 0.5], [0.3], [{0: 1}], id="one frame"),
        pytest.param("mean", [], [0, 1], [{}, {}], id="no row"),
        pytest.param("mean", [0], [], [], id="no frame"),
        pytest.param("mean", [0, 1], [0, 0, 1], [{0: 1}, {0: 1}, {1: 1}], id="two frames at one time"),
    ],
)  # fmt: skip
def test_rows_of_a_frame(
    method: Resample, rows: list[float], frames: list[float], expected: list[dict[int, float]]
) -> None:
    assert weights(rows, frames, method) == [{row: round(w, 6) for row, w in each.items()} for each in expected]


TIMES = st.lists(st.floats(0, 20), min_size=1, max_size=30, unique=True).map(sorted)


@given(TIMES, TIMES, st.sampled_from(["nearest", "linear", "mean"]))
def test_weights_sum_to_1_and_frames_rise(rows: list[float], frames: list[float], method: Resample) -> None:
    found, used, each = pairs_by_time(np.array(rows), np.array(frames), method)
    assert (np.diff(found) >= 0).all() and len(found) == len(used)
    assert not len(used) or (used.min() >= 0 and used.max() < len(rows))
    totals = np.bincount(found, each if each is not None else np.ones(len(found)), minlength=len(frames))
    assert np.allclose(totals[np.unique(found)], 1)


@given(
    st.integers(2, 40), st.integers(2, 40), st.sampled_from([10, 24, 25, 30, 100]), st.sampled_from([23.976, 25, 30])
)
def test_a_straight_line_stays_one(num_rows: int, num_frames: int, rate: float, fps: float) -> None:
    """Linear interpolation of the times themselves gives the times of the frames, between the first and last row."""
    rows, frames = np.arange(num_rows) / rate, np.arange(num_frames) / fps
    found, used, each = pairs_by_time(rows, frames, "linear")
    assert each is not None
    values = np.bincount(found, each * rows[used], minlength=num_frames)
    inside = frames <= rows[-1]
    assert np.isin(np.flatnonzero(inside), found).all()
    assert np.allclose(values[inside], frames[inside])
