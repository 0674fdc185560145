"""Compares the rows of a submission with those of its template: missing, duplicate, out of order."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from abaw.submission.fault import FaultList

Positions = NDArray[np.int64]

_MAX_MOVES = 1000


def check_structure(
    positions: Positions, numbers: Positions, locations: Sequence[str], first_line: int, faults: FaultList
) -> None:
    """Note template rows that are missing, duplicate or in the wrong place.

    positions: (N,) the template row, from 0, of each known row of the file, in file order; numbers: (N,) its line;
    locations: the template's rows; first_line: the line where the first row is expected.
    """
    if len(positions) == len(locations) and (np.diff(positions) == 1).all():
        return
    unique, first = np.unique(positions, return_index=True)
    is_first = np.zeros(len(positions), dtype=bool)
    is_first[first] = True
    line_of = np.zeros(len(locations), dtype=np.int64)
    line_of[unique] = numbers[first]
    for index in np.flatnonzero(~is_first).tolist():
        position = int(positions[index])
        message = f"duplicate row: {locations[position]} is already on line {line_of[position]}"
        faults.add(int(numbers[index]), "duplicate", message)
    _check_order(positions[is_first], numbers[is_first], locations, faults)
    _check_missing(line_of, locations, first_line, faults)


def _check_order(positions: Positions, numbers: Positions, locations: Sequence[str], faults: FaultList) -> None:
    """Note each block of adjacent rows that must move: the fewest rows without which the rest is in order."""
    if (np.diff(positions) > 0).all():
        return
    moved = np.flatnonzero(~_longest_increasing(positions))
    breaks = np.flatnonzero((np.diff(moved) != 1) | (np.diff(positions[moved]) != 1)) + 1
    if len(breaks) > _MAX_MOVES:
        message = f"completely different order from the template: {len(moved)} rows are in the wrong place"
        faults.add(int(numbers[moved[0]]), "order", message)
        return
    for block in np.split(moved, breaks):
        start, end = int(positions[block[0]]), int(positions[block[-1]])
        where = f"after {locations[start - 1]}" if start else "first"
        what = locations[start] if start == end else f"{locations[start]} to {locations[end]} ({len(block)} rows)"
        message = f"out of order: {what}; expected {where} (row {start + 1} of the template)"
        faults.add(int(numbers[block[0]]), "order", message)


def _longest_increasing(values: Positions) -> NDArray[np.bool_]:
    """(N,) mask of a longest increasing subsequence (patience sorting)."""
    tails, tail_index = array("q"), array("q")
    previous = array("q", bytes(8 * len(values)))
    for index, value in enumerate(array("q", values.tobytes())):
        place = len(tails) if not tails or value > tails[-1] else bisect_left(tails, value)
        previous[index] = tail_index[place - 1] if place else -1
        if place == len(tails):
            tails.append(value)
            tail_index.append(index)
        else:
            tails[place] = value
            tail_index[place] = index
    mask = np.zeros(len(values), dtype=bool)
    index = tail_index[-1] if tail_index else -1
    while index >= 0:
        mask[index] = True
        index = previous[index]
    return mask


def _check_missing(line_of: Positions, locations: Sequence[str], first_line: int, faults: FaultList) -> None:
    """Note each block of adjacent missing rows of a video. line_of: (template rows,), 0 where a row is missing."""
    if line_of.all():
        return
    reached = np.maximum.accumulate(np.where(line_of > 0, np.arange(len(line_of)), -1))
    start = 0
    for video, group in groupby(locations, key=_video_of):
        count = sum(1 for _ in group)
        absent = np.flatnonzero(line_of[start : start + count] == 0) + start
        for block in np.split(absent, np.flatnonzero(np.diff(absent) != 1) + 1) if len(absent) else ():
            before = int(reached[block[0]])
            due = int(line_of[before]) + 1 if before >= 0 else first_line
            faults.add(due, "missing", _missing_message(video, locations, block, start, count))
        start += count


def _video_of(location: str) -> str:
    return location.rpartition("/")[0]


def _missing_message(video: str, locations: Sequence[str], block: Positions, start: int, count: int) -> str:
    first, last = locations[block[0]], locations[block[-1]]
    where = f"(from row {int(block[0]) + 1} of the template)"
    if len(block) == count:
        return f"video missing: {video}, all {count} rows {where}"
    if int(block[-1]) == start + count - 1:
        return f"video cut short: {video} lacks its last {len(block)} of {count} rows, {first} to {last} {where}"
    if len(block) == 1:
        return f"row missing: {first} {where}"
    return f"{len(block)} rows missing: {first} to {last} {where}"
