"""Finds every fault of a submission by comparing it with its template, with line numbers.

A row in its expected place is compared as text, which takes a fraction of a second for a million rows; only other rows
are parsed.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from itertools import chain, groupby
from pathlib import Path

import numpy as np

from abaw.core.errors import DataError
from abaw.core.reading import read_errors
from abaw.protocol.editions import Edition
from abaw.protocol.layout import frame_name
from abaw.protocol.template import Template, parse_location
from abaw.submission.fault import Fault, FaultList
from abaw.submission.row_checks import row_check
from abaw.submission.structure import check_structure
from abaw.submission.text import check_header, check_line, open_text, without_mark

_SHOWN = 60
_MAX_KNOWN = 40_000


def check_submission(path: Path, template: Template, edition: Edition) -> list[Fault]:
    """All faults of a file with one row per frame, by line; an empty list means that it can be submitted.

    Kinds: empty, encoding, bom, line-end, header, edition, blank, spaces, fields, location, digits, label, float,
    value, extra, duplicate, order, missing, and the warnings one-class, constant and last-line.
    Raises DataError when the file cannot be read or the template lists a row twice.
    """
    if path.is_dir():
        return [Fault(0, "edition", "error", f"is a folder; {edition.name} expects one file with one row per frame")]
    with read_errors(path, "not readable"):
        data = path.read_bytes()
    faults = FaultList()
    lines = open_text(data, faults)
    del data
    if lines is not None:
        _Pass(template, edition, faults).run(lines)
    return faults.sorted()


class _Pass:
    """One pass over the lines: finds the template row of each line, and the line's own faults."""

    def __init__(self, template: Template, edition: Edition, faults: FaultList) -> None:
        self.locations = template.locations
        self.places = _Places(template)
        self.edition = edition
        self._row_check = row_check(edition)
        self.faults = faults
        # Key of a row (from its check) -> its kinds of fault, and whether it could be read. Of rows with equal faults,
        # only those that are listed one by one are parsed, even if there are a million.
        self.known: dict[str, tuple[tuple[str, ...], bool]] = {}
        self.num_unread = 0
        self.positions = array("q")
        self.numbers = array("q")

    def run(self, lines: Iterable[str]) -> None:
        rows = iter(lines)
        first = without_mark(next(rows), self.faults)
        is_row = parse_location(first.partition(",")[0].strip()) is not None
        check_header(first, self.edition, is_row, self.faults)
        first_line = 1 if is_row else 2
        self._rows(chain([first + "\n"], rows) if is_row else rows, first_line)
        positions = np.frombuffer(self.positions, dtype=np.int64)
        numbers = np.frombuffer(self.numbers, dtype=np.int64)
        check_structure(positions, numbers, self.locations, first_line, self.faults)
        self._row_check.finish(first_line, len(positions) - self.num_unread, self.faults)

    def _rows(self, lines: Iterable[str], first_line: int) -> None:
        locations, total = self.locations, len(self.locations)
        accept = self._row_check.accept
        expected = 0
        for number, line in enumerate(lines, first_line):
            location = locations[expected] if expected < total else ""
            if location and line.startswith(location) and accept(line[len(location) :]):
                position: int | None = expected
            else:
                position = self._parse_row(line, number, expected)
            if position is not None:
                self.positions.append(position)
                self.numbers.append(number)
                expected = position + 1

    def _parse_row(self, line: str, number: int, expected: int) -> int | None:
        """Parse a row and note its faults. Returns its row in the template, or None.

        expected: the template row after that of the previous line.
        """
        location, comma, rest = line.partition(",")
        key = ""
        place = self._find(location, expected)
        if place is not None:
            rest = comma + rest
            if place != expected and self._row_check.accept(rest):
                return place
            key = self._row_check.key(rest)
            known = self.known.get(key)
            if known is not None and self.faults.extend_ranges(number, known[0]):
                self.num_unread += not known[1]
                return place
        text = check_line(line, number, self.faults)
        if text is None:
            return None
        location, *values = text.split(",")
        readable = self._read_values(values, text, number)
        if place is None:
            place = self._place(location.strip(), number, expected)
        elif key and len(self.known) < _MAX_KNOWN:
            self.known[key] = self.faults.kinds_on(number), readable
        self.num_unread += place is not None and not readable
        return place

    def _read_values(self, values: Sequence[str], text: str, number: int) -> bool:
        if len(values) == self._row_check.num_values:
            return self._row_check.read([value.strip() for value in values], number, self.faults)
        if not self.faults.extend_range(number, "fields"):
            expected = f"{self._row_check.num_values + 1} fields '{self._row_check.shape}'"
            self.faults.add(number, "fields", f"expected {expected}, found {len(values) + 1}: '{text[:_SHOWN]}'")
        return False

    def _find(self, location: str, expected: int) -> int | None:
        if expected < len(self.locations) and location == self.locations[expected]:
            return expected
        return self.places.find(location)

    def _place(self, location: str, number: int, expected: int) -> int | None:
        """The template row of a location, or None. Notes its faults; a frame with wrong digits is still found."""
        parsed = parse_location(location)
        if parsed is None:
            message = f"expected '<video>/00001.jpg' before the comma, found '{location[:_SHOWN]}'"
            self.faults.add(number, "location", message)
            return None
        place = self._find(location, expected)
        if place is not None:
            return place
        named = frame_name(*parsed)
        place = self._find(named, expected)
        if place is None:
            self.faults.add(number, "extra", f"extra row: {location} is not in the template")
        else:
            self.faults.add(number, "digits", f"wrong digits in the frame name: expected {named}, found {location}")
        return place


class _Places:
    """Finds the template row of a location. A video is indexed on its first lookup."""

    def __init__(self, template: Template) -> None:
        self._template = template
        self._ranges: dict[str, list[range]] = {}
        self._rows: dict[str, dict[str, int]] = {}

    def find(self, location: str) -> int | None:
        video = _video_of(location)
        rows = self._rows.get(video)
        if rows is None:
            ranges = self._ranges_of_videos().get(video, ())
            for block in ranges:
                if self._template.locations[block.start] == location:
                    return block.start
            if not ranges:
                return None
            rows = self._rows[video] = self._index(video)
        return rows.get(location)

    def _ranges_of_videos(self) -> dict[str, list[range]]:
        if not self._ranges:
            start = 0
            for name, group in groupby(self._template.locations, key=_video_of):
                stop = start + sum(1 for _ in group)
                self._ranges.setdefault(name, []).append(range(start, stop))
                start = stop
        return self._ranges

    def _index(self, video: str) -> dict[str, int]:
        locations = self._template.locations
        rows: dict[str, int] = {}
        for position in chain.from_iterable(self._ranges_of_videos()[video]):
            if rows.setdefault(locations[position], position) != position:
                raise DataError(
                    f"{self._template.path}: lists {locations[position]} twice; download the template again"
                )
        return rows


def _video_of(location: str) -> str:
    return location.rpartition("/")[0]
