"""Which rows of a file describe which frame: by their order, by frame number, or by time.

Shapes: N rows, T frames, D numbers per row, M pairs of a frame and a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import ConfigError, DataError
from abaw.importing.features.resample import Resample, pairs_by_time
from abaw.importing.features.rows import VideoRows
from abaw.protocol.lengths import TOLERANCE, length_difference

MatchBy = Literal["auto", "frame", "time"]
Missing = Literal["none", "nan", "zero"]
_WRONG_VIDEO = "they may belong to another version of the video; allow more with --tolerance"


@dataclass(frozen=True, slots=True)
class MatchRules:
    """How rows are matched to frames.

    first_frame: the number that the files give to the first frame, 0 or 1; None where they number nothing. by: frame
    numbers or time stamps, auto for numbers where there are any. resample: how rows at other times than the frames are
    combined; tolerance: frames by which the rows may end after the video, or differ from its length; missing: rows of
    nothing but NaN, or of nothing but zeros, stand for frames without a feature.
    """

    first_frame: int | None = None
    by: MatchBy = "auto"
    resample: Resample = "nearest"
    tolerance: int = TOLERANCE
    missing: Missing = "none"


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """The frames that have a feature and the rows that it is made of.

    frames, rows: (M,), in the order of the frames; weights: (M,) they sum to 1 per frame; None for one row per frame.
    notes: differences to report.
    """

    frames: NDArray[np.int64]
    rows: NDArray[np.int64]
    weights: NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()

    def within(self, kept: NDArray[np.bool_]) -> Match:
        """Without the frames that are False in `kept`, (T,)."""
        used = kept[self.frames]
        weights = None if self.weights is None else self.weights[used]
        return Match(self.frames[used], self.rows[used], weights, self.notes)


def way_of(rows: VideoRows, rules: MatchRules) -> Literal["order", "frame", "time"]:
    """How these rows are matched. Raises ConfigError where the user must say more, DataError where they cannot be."""
    if rules.by == "time" or (rules.by == "auto" and rows.numbers is None and rows.times is not None):
        if rows.times is None:
            raise DataError(f"{rows.where}: has no time stamps; expected a column such as 'timestamp', in seconds")
        return "time"
    if rows.numbers is None and rows.unread:
        raise DataError(
            f"{rows.where}: has '{rows.unread[0]}', a value per row that is not read; name it frame (frame numbers) or "
            "time_s (seconds), or remove it"
        )
    if rows.numbers is None:
        return "order"
    if rules.first_frame is None and not rows.from_one:
        raise ConfigError(
            f"{rows.where}: its frames are numbered {int(rows.numbers.min())} to {int(rows.numbers.max())}; say with "
            "--first_frame 0 or --first_frame 1 which number the first frame of a video has"
        )
    return "frame"


def match_rows(rows: VideoRows, num_frames: int, times: NDArray[np.float64] | None, rules: MatchRules) -> Match:
    """Match the rows of one video to its frames.

    times: (T,) of the frames, None where they are not known. Rows that are not valid are left out. Raises DataError for
    duplicates, numbers before the first frame, and lengths that differ by more than the tolerance.
    """
    way = way_of(rows, rules)
    if way == "order":
        return _by_order(rows, num_frames, rules)
    if way == "frame":
        return _by_number(rows, num_frames, rules)
    if times is None:
        raise DataError(f"{rows.where}: its faces store has no times, as after import-crops; match by frame number")
    assert rows.times is not None
    return _by_time(rows, rows.times, times, rules)


def _usable(rows: VideoRows, missing: Missing) -> NDArray[np.bool_]:
    """(N,) the rows that hold a feature."""
    usable = np.ones(len(rows), dtype=np.bool_) if rows.valid is None else rows.valid
    if missing == "none":
        return usable
    empty = np.isnan(rows.values) if missing == "nan" else rows.values == 0
    return np.asarray(usable & ~empty.all(axis=1))


def _by_order(rows: VideoRows, num_frames: int, rules: MatchRules) -> Match:
    notes: tuple[str, ...] = ()
    if len(rows) != num_frames:
        message, too_large = length_difference((len(rows), "rows"), (num_frames, "frames"), rules.tolerance)
        if too_large:
            raise DataError(f"{rows.where}: {message}; {_WRONG_VIDEO}")
        notes = (message,)
    used = np.flatnonzero(_usable(rows, rules.missing)[:num_frames])
    return Match(used, used, notes=notes)


def _by_number(rows: VideoRows, num_frames: int, rules: MatchRules) -> Match:
    assert rows.numbers is not None
    first = 1 if rules.first_frame is None else rules.first_frame
    index = rows.numbers - first
    if len(index) and index.min() < 0:
        row = int(index.argmin())
        raise DataError(
            f"{rows.where}: {rows.place(row)}: is frame {rows.numbers[row]}, but frames count from {first}; give "
            "--first_frame 0 if the file counts from 0"
        )
    order = np.argsort(index, kind="stable")
    twice = np.flatnonzero(np.diff(index[order]) == 0)
    if len(twice):
        one, other = (int(order[twice[0] + step]) for step in (0, 1))
        raise DataError(
            f"{rows.where}: {rows.place(other)}: frame {rows.numbers[other]} occurs twice, first in {rows.place(one)}; "
            "keep one row per frame, that of one person"
        )
    notes = _number_notes(rows, index, num_frames, first, rules.tolerance)
    order = order[_usable(rows, rules.missing)[order] & (index[order] < num_frames)]
    return Match(index[order], order, notes=notes)


def _number_notes(
    rows: VideoRows, index: NDArray[np.int64], num_frames: int, first: int, tolerance: int
) -> tuple[str, ...]:
    """What the numbers say of the length. Raises DataError for numbers far after the end of the video."""
    end = int(index.max(initial=-1)) + 1
    if end == num_frames:
        return ()
    message, too_large = length_difference((end, "frames in the file"), (num_frames, "frames"), tolerance)
    if end > num_frames and too_large:
        raise DataError(f"{rows.where}: {message}; {_WRONG_VIDEO}")
    if first == 0 and end == num_frames + 1 and index.min() == 1:
        message += " and none for the first frame: does the file count from 1 (--first_frame 1)?"
    return (message.removesuffix(f", more than {tolerance}"),)


def _by_time(rows: VideoRows, row_times: NDArray[np.float64], times: NDArray[np.float64], rules: MatchRules) -> Match:
    wrong = np.flatnonzero(~np.isfinite(row_times))
    if len(wrong):
        raise DataError(f"{rows.where}: {rows.place(int(wrong[0]))}: has no time")
    order = np.argsort(row_times, kind="stable")
    twice = np.flatnonzero(np.diff(row_times[order]) <= 0)
    if len(twice):
        one, other = (int(order[twice[0] + step]) for step in (0, 1))
        raise DataError(
            f"{rows.where}: {rows.place(other)}: the time {row_times[other]:g} s occurs twice, first in "
            f"{rows.place(one)}; keep one row per time"
        )
    notes = _time_notes(rows, row_times, times, rules.tolerance)
    order = order[_usable(rows, rules.missing)[order]]
    frames, positions, weights = pairs_by_time(row_times[order], times, rules.resample)
    return Match(frames, order[positions], weights, notes)


def _time_notes(
    rows: VideoRows, row_times: NDArray[np.float64], times: NDArray[np.float64], tolerance: int
) -> tuple[str, ...]:
    """How much longer or shorter than the video the rows are. Raises DataError for rows far after its end."""
    if not len(times) or not len(row_times):
        return ()
    step = float(times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 1.0
    seconds = float(row_times.max() - times[-1])
    beyond = round(seconds / step) if step > 0 else 0
    if abs(beyond) <= 1:
        return ()
    message = f"its rows end at {row_times.max():.3f} s, the frames at {times[-1]:.3f} s: {beyond:+d} frames"
    if beyond > tolerance:
        raise DataError(
            f"{rows.where}: {message}, more than {tolerance}; times are in seconds; if the file is longer than the "
            "video, allow more with --tolerance"
        )
    return (message,)


def matched_features(
    rows: VideoRows, match: Match, start: int, stop: int, dim: int
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Features of the frames from `start` to before `stop`: (n, D) float16, 0 where not valid, and valid, (n,).

    Raises DataError, naming the row, for a value that is not finite or does not fit 16 bits.
    """
    low, high = np.searchsorted(match.frames, [start, stop])
    frames, used = match.frames[low:high] - start, match.rows[low:high]
    features, valid = np.zeros((stop - start, dim), dtype=np.float16), np.zeros(stop - start, dtype=np.bool_)
    valid[frames] = True
    picked = _picked(rows.values, used)
    with np.errstate(over="ignore"):
        half = picked.astype(np.float16)
    if not np.isfinite(half).all():
        _refuse(rows, picked, half, used)
    if match.weights is None:
        features[frames] = half
        return features, valid
    if len(frames):
        weighted = picked.astype(np.float64) * match.weights[low:high, None]
        begins = np.flatnonzero(np.diff(frames, prepend=-1))
        features[frames[begins]] = np.add.reduceat(weighted, begins, axis=0)
    return features, valid


def _picked(values: NDArray[Any], used: NDArray[np.int64]) -> NDArray[Any]:
    """The rows: a view where they follow one another, which a memory-mapped file reads fastest."""
    if len(used) and used[-1] - used[0] == len(used) - 1 and (np.diff(used) == 1).all():
        return values[used[0] : used[-1] + 1]
    return values[used]


def _refuse(rows: VideoRows, picked: NDArray[Any], half: NDArray[np.float16], used: NDArray[np.int64]) -> None:
    row, column = (int(each[0]) for each in np.nonzero(~np.isfinite(half)))
    name = f"column '{rows.columns[column]}'" if rows.columns else f"number {column + 1}"
    value = float(picked[row, column])
    where = f"{rows.where}: {rows.place(int(used[row]))}: {name}"
    if np.isfinite(value):
        raise DataError(f"{where} is {value:g}, which does not fit 16 bits (at most ±65504); scale the features first")
    raise DataError(f"{where} is {value:g}, not a finite number; mark such rows as not valid, or see --missing")
