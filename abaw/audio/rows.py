"""Vectors at times -> one row per video frame: the mean over the time for which the frame is shown.

Shapes: T frames, V vectors, D feature.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SHORTEST_S = 1e-3
_BACK_S = 0.5
"""A frame that is so much earlier than one before it belongs to another part of a joined file."""
_ROWS = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """When the frames of a video are shown. begin_s, end_s: (T,) in order; known: (T,) False where the time is not."""

    begin_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    known: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.begin_s)


def shown(time_s: NDArray[np.float64]) -> Shown:
    """Each frame is shown until the next one is, the last one as long as is usual in the video.

    time_s: (T,), NaN where the time is not known.
    """
    begin = np.fmax.accumulate(np.nan_to_num(time_s, nan=-np.inf))
    steps = np.diff(begin[np.isfinite(begin)])
    usual = float(np.median(steps)) if len(steps) else 0.0
    end = np.maximum(np.append(begin[1:], begin[-1:] + usual), begin + _SHORTEST_S)
    return Shown(begin, np.maximum.accumulate(end), time_s > begin - _BACK_S)


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Vectors that follow one another. edges_s: (V + 1,) where each begins and the last one ends; values: (V, D)."""

    edges_s: NDArray[np.float64]
    values: NDArray[np.float32]

    def integral(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """The integral of the values over time, from the first edge to each time within the edges, (T, D)."""
        sums = np.cumsum(self.values * np.diff(self.edges_s)[:, None], axis=0, dtype=np.float64)
        before = np.concatenate([np.zeros((1, sums.shape[1])), sums])
        index = np.clip(np.searchsorted(self.edges_s, time_s, side="right") - 1, 0, len(self.values) - 1)
        return np.asarray(before[index] + (time_s - self.edges_s[index])[:, None] * self.values[index])


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Consecutive frames. values: (T, D), 0 where not valid; valid: (T,) True where at least half of a frame's time
    has sound."""

    values: NDArray[np.float32]
    valid: NDArray[np.bool_]


def rows_of(frames: Shown, pieces: Iterable[Piece], dim: int) -> Iterator[Rows]:
    """All rows in order, as soon as they are complete. pieces: in order of time."""
    sums, weights = np.zeros((0, dim)), np.zeros(0)
    first = 0
    for piece in pieces:
        low, high = piece.edges_s[0], piece.edges_s[-1]
        done = max(first, int(np.searchsorted(frames.end_s, low, side="right")))
        yield from _complete(frames, range(first, done), sums, weights)
        reached = max(done, int(np.searchsorted(frames.begin_s, high)))
        sums = _lengthened(sums[done - first :], reached - done)
        weights = _lengthened(weights[done - first :], reached - done)
        first = done
        begin = np.clip(frames.begin_s[first:reached], low, high)
        end = np.clip(frames.end_s[first:reached], low, high)
        sums += piece.integral(end) - piece.integral(begin)
        weights += end - begin
    yield from _complete(frames, range(first, len(frames)), sums, weights)


def _complete(frames: Shown, rows: range, sums: NDArray[np.float64], weights: NDArray[np.float64]) -> Iterator[Rows]:
    """The rows of these frames, a limited number at a time. sums (T', D), weights (T',): of the first of them."""
    for start in range(0, len(rows), _ROWS):
        part = rows[start : start + _ROWS]
        seconds = _lengthened(weights[start : start + len(part)], len(part))
        total = _lengthened(sums[start : start + len(part)], len(part))
        at = slice(part.start, part.stop)
        valid = (seconds >= 0.5 * (frames.end_s[at] - frames.begin_s[at])) & (seconds > 0) & frames.known[at]
        values = np.where(valid[:, None], total / np.where(valid, seconds, 1.0)[:, None], 0.0)
        yield Rows(values.astype(np.float32), valid)


def _lengthened(values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """(T', …) with zeros added at the end, (length, …)."""
    return np.concatenate([values, np.zeros((max(0, length - len(values)), *values.shape[1:]))])
