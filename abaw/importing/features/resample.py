"""Rows at their own times -> the times of the frames.

Shapes: N rows, T frames, M pairs of a frame and a row.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Resample = Literal["nearest", "linear", "mean"]
Pairs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64] | None]

_REACH = 0.75
"""In steps: more than the half that rows of an even rate need, and less than to the row after the next."""
_TIE = 1e-6


def pairs_by_time(row_times: NDArray[np.float64], times: NDArray[np.float64], method: Resample) -> Pairs:
    """Which rows make up each frame: frames (M,), rows (M,) and weights (M,), in the order of the frames.

    row_times: (N,) rising; times: (T,) not falling, in seconds. nearest: the row nearest in time; linear: between the
    rows before and after; mean: the mean of the rows that are nearer to this frame than to any other, or the nearest
    row if there are none. A frame with no row within three quarters of a step (of the rows or of the frames, whichever
    is longer) has none: where a row is missing, no neighbour takes its place.
    """
    if not len(row_times) or not len(times):
        empty = np.empty(0, dtype=np.int64)
        return empty, empty, None
    reach = _REACH * max(_step(row_times), _step(times))
    near = nearest_index(row_times, times)
    reached = np.abs(row_times[near] - times) <= reach
    frames = np.flatnonzero(reached)
    if method == "nearest":
        return frames, near[frames], None
    if method == "linear":
        return _linear(row_times, times, frames, reach)
    return _mean(row_times, times, frames, near[frames], reach)


def nearest_index(points: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each time the index of the nearest of the rising points; of two equally near ones (to a microsecond) the
    earlier."""
    after = np.searchsorted(points, times).clip(0, len(points) - 1)
    before = (after - 1).clip(0)
    found: NDArray[np.int64] = np.where(times - points[before] <= points[after] - times + _TIE, before, after)
    return found


def _step(times: NDArray[np.float64]) -> float:
    """The usual distance in time."""
    return float(np.median(np.diff(times))) if len(times) > 1 else 0.0


def _linear(
    row_times: NDArray[np.float64], times: NDArray[np.float64], frames: NDArray[np.int64], reach: float
) -> Pairs:
    """Between the rows before and after; at the ends, and next to a gap, the nearest row alone."""
    at = times[frames]
    after = np.searchsorted(row_times, at, side="right").clip(0, len(row_times) - 1)
    before = (after - 1).clip(0)
    gap = row_times[after] - row_times[before]
    share = np.divide(at - row_times[before], gap, out=np.zeros(len(at)), where=gap > 0).clip(0, 1)
    share = np.where(gap > 2 * reach, np.rint(share), share)
    pairs = np.stack([before, after], axis=1).reshape(-1)
    weights = np.stack([1 - share, share], axis=1).reshape(-1)
    used = weights > 0
    return np.repeat(frames, 2)[used], pairs[used], weights[used]


def _mean(
    row_times: NDArray[np.float64],
    times: NDArray[np.float64],
    frames: NDArray[np.int64],
    near: NDArray[np.int64],
    reach: float,
) -> Pairs:
    owner = nearest_index(times, row_times)
    rows = np.flatnonzero(np.abs(times[owner] - row_times) <= reach)
    alone = ~np.isin(frames, owner[rows])
    all_frames = np.concatenate([owner[rows], frames[alone]])
    all_rows = np.concatenate([rows, near[alone]])
    order = np.argsort(all_frames, kind="stable")
    all_frames, all_rows = all_frames[order], all_rows[order]
    counts = np.bincount(all_frames, minlength=len(times))
    return all_frames, all_rows, 1.0 / counts[all_frames]
