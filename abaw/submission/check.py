"""Every fault of a submission file against its template, with line numbers.

A row that stands where it is due is compared as text, which takes a fraction of a second for a million of them; only
the others are taken apart.
"""

from __future__ import annotations

import io
from array import array
from collections.abc import Iterable
from itertools import chain, groupby
from pathlib import Path

import numpy as np

from abaw.core.errors import DataError
from abaw.protocol.editions import Edition
from abaw.protocol.layout import frame_name
from abaw.protocol.manifests import load_manifest
from abaw.protocol.template import Template, parse_location
from abaw.submission.fault import Fault, FaultList
from abaw.submission.rows import read_row
from abaw.submission.structure import check_structure

_BOM = "\ufeff"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_SHOWN = 120


def check_submission(path: Path, template: Template, edition: Edition) -> list[Fault]:
    """All faults of the file, by line; an empty list means that it can be handed in.

    Kinds: empty, encoding, bom, line-end, header, edition, blank, spaces, fields, location, digits, label, float,
    extra, duplicate, order, missing, one-class and last-line (the last two are warnings).
    Raises DataError when the file cannot be read or the template lists a row twice.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: not readable ({error.strerror})") from error
    faults = FaultList()
    if not data.strip():
        faults.add(1, "empty", f"the file is empty; expected a header and {len(template.locations)} rows")
    elif data.startswith(_UTF16_MARKS):
        faults.add(1, "encoding", "the file is UTF-16; save it as UTF-8")
    else:
        text = io.TextIOWrapper(
            io.BytesIO(_same_line_ends(data, faults)), encoding="utf-8", errors="surrogateescape", newline="\n"
        )
        _Pass(template, edition, faults).run(text)
    return faults.sorted()


def _same_line_ends(data: bytes, faults: FaultList) -> bytes:
    """Lines that all end in CR LF, or in CR alone, are one fault of the file, not one a line."""
    feeds = data.count(b"\n")
    if feeds and data.count(b"\r\n") == feeds:
        faults.add(1, "line-end", f"all {feeds} lines end with CR LF; expected LF alone")
        return data.replace(b"\r\n", b"\n")
    if not feeds and b"\r" in data:
        faults.add(1, "line-end", "the lines end with CR alone; expected LF")
        return data.replace(b"\r", b"\n")
    return data


class _Pass:
    """One pass over the lines: which template row each one is, and what is wrong with it by itself."""

    def __init__(self, template: Template, edition: Edition, faults: FaultList) -> None:
        self.locations = template.locations
        self.places = _Places(template)
        self.edition = edition
        self.faults = faults
        self.positions = array("q")
        self.numbers = array("q")
        self.labels: set[str] = set()

    def run(self, lines: Iterable[str]) -> None:
        rows = iter(lines)
        first_row = self._header(next(rows))
        first_line = 1 if first_row is not None else 2
        self._rows(chain([first_row], rows) if first_row is not None else rows, first_line)
        positions = np.frombuffer(self.positions, dtype=np.int64)
        numbers = np.frombuffer(self.numbers, dtype=np.int64)
        check_structure(positions, numbers, self.locations, first_line, self.faults)
        if len(self.labels) == 1 and len(positions) > 1:
            self.faults.add(first_line, "one-class", f"all rows have the same class, {self.labels.pop()}", "warning")

    def _header(self, line: str) -> str | None:
        """Check line 1; returns it back when it is a row already, because then the header is missing."""
        if line.startswith(_BOM):
            self.faults.add(1, "bom", "the file starts with a byte order mark; save it as UTF-8 without one")
            line = line[1:]
        text = line.removesuffix("\n")
        if text.endswith("\r"):
            self.faults.add(1, "line-end", "ends with CR LF; expected LF alone")
            text = text[:-1]
        expected = self.edition.header
        if text == expected:
            return None
        if parse_location(text.partition(",")[0].strip()):
            self.faults.add(1, "header", f"header missing: expected '{expected}', found a row")
            return line
        others = {header: name for name, header in load_manifest("other_headers").items()}
        squeezed = ",".join(part.strip() for part in text.split(","))
        if squeezed in others:
            message = f"wrong edition: this is the header of {others[squeezed]}; {self.edition.name} wants '{expected}'"
            self.faults.add(1, "edition", message)
        elif squeezed == expected:
            self.faults.add(1, "spaces", f"spaces in the header: expected '{expected}', found '{text[:_SHOWN]}'")
        else:
            self.faults.add(1, "header", f"wrong header: expected '{expected}', found '{text[:_SHOWN]}'")
        return None

    def _rows(self, lines: Iterable[str], first_line: int) -> None:
        locations, total = self.locations, len(self.locations)
        good = {f",{label}\n" for label in range(min(self.edition.num_classes, 10))}
        due = 0
        for number, line in enumerate(lines, first_line):
            if due < total and line[:-3] == locations[due] and line[-3:] in good:
                self.labels.add(line[-2])
                position: int | None = due
            else:
                position = self._odd_row(line, number, due)
            if position is not None:
                self.positions.append(position)
                self.numbers.append(number)
                due = position + 1

    def _odd_row(self, line: str, number: int, due: int) -> int | None:
        """Take a row apart; returns its row in the template, None when it has none there."""
        if not line.endswith("\n"):
            self.faults.add(number, "last-line", "the last line has no line end", "warning")
        row = read_row(line.removesuffix("\n"), number, self.edition.num_classes, self.faults)
        if row is None or row.location is None:
            return None
        if row.label is not None:
            self.labels.add(str(row.label))
        if due < len(self.locations) and row.location == self.locations[due]:
            return due
        return self._place(row.location, number)

    def _place(self, location: str, number: int) -> int | None:
        """The row of a location in the template; frame names with wrong digits are noted and still found."""
        place = self.places.find(location)
        if place is not None:
            return place
        parsed = parse_location(location)
        due = frame_name(*parsed) if parsed else location
        place = self.places.find(due)
        if place is None:
            self.faults.add(number, "extra", f"extra row: {location} is not in the template")
        else:
            self.faults.add(number, "digits", f"wrong digits in the frame name: expected {due}, found {location}")
        return place


class _Places:
    """Row in the template of any location, indexed video by video when one is asked for."""

    def __init__(self, template: Template) -> None:
        self._template = template
        self._ranges: dict[str, list[range]] = {}
        self._rows: dict[str, dict[str, int]] = {}

    def find(self, location: str) -> int | None:
        video = _video_of(location)
        if video not in self._rows:
            self._rows[video] = self._index(video)
        return self._rows[video].get(location)

    def _index(self, video: str) -> dict[str, int]:
        locations = self._template.locations
        if not self._ranges:
            start = 0
            for name, group in groupby(locations, key=_video_of):
                stop = start + sum(1 for _ in group)
                self._ranges.setdefault(name, []).append(range(start, stop))
                start = stop
        rows: dict[str, int] = {}
        for position in chain.from_iterable(self._ranges.get(video, ())):
            if rows.setdefault(locations[position], position) != position:
                raise DataError(f"{self._template.path}: lists {locations[position]} twice; get the template again")
        return rows


def _video_of(location: str) -> str:
    return location.rpartition("/")[0]
