"""Faults of a submission, and a list of faults that stays short when every line has the same fault."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Severity = Literal["error", "warning"]

_SINGLY = 100
# Number of lines, last line, and index in the list of the last separate fault.
_NO_RANGE = (0, 0, 0)


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One fault, or the same fault on a range of lines.

    line: in the file, from 1; for a missing row the line where it is expected; 0 for the whole file or folder.
    kind: one word that groups equal faults. severity: an `error` costs the submission or part of its score; a `warning`
    is worth checking. last_line: greater than `line` when all lines of this range have a fault of this kind; otherwise
    0. file: a file's name when the submission is a folder; otherwise empty.
    """

    line: int
    kind: str
    severity: Severity
    message: str
    last_line: int = 0
    file: str = ""

    @property
    def num_lines(self) -> int:
        return max(1, self.last_line - self.line + 1)


class FaultList:
    """Collects the faults of one file, in order of lines.

    For adjacent lines with the same kind of fault, the first 100 are kept separately and the rest as one fault over a
    range of lines, so a million equal faults need no memory.
    """

    def __init__(self, file: str = "") -> None:
        self._file = file
        self._faults: list[Fault] = []
        self._ranges: dict[str, tuple[int, int, int]] = {}

    def add(self, line: int, kind: str, message: str, severity: Severity = "error") -> None:
        if self.extend_range(line, kind):
            return
        length, last_line, _ = self._ranges.get(kind, _NO_RANGE)
        if line != last_line + 1:
            self._close(kind)
            length = 0
        self._ranges[kind] = (length + 1, line, len(self._faults))
        self._faults.append(Fault(line, kind, severity, message, file=self._file))

    def extend_range(self, line: int, kind: str) -> bool:
        """Add a line to the long range of this kind that ends just before it. Returns False without such a range.

        Lines in a long range get no message of their own.
        """
        length, last_line, place = self._ranges.get(kind, _NO_RANGE)
        if length <= _SINGLY or line != last_line + 1:
            return False
        self._ranges[kind] = (length + 1, line, place)
        return True

    def extend_ranges(self, line: int, kinds: Sequence[str]) -> bool:
        """Same as `extend_range` for several kinds: adds the line to all their ranges, or returns False."""
        if len(kinds) == 1:
            return self.extend_range(line, kinds[0])
        ranges = [self._ranges.get(kind, _NO_RANGE) for kind in kinds]
        if not all(length > _SINGLY and line == last_line + 1 for length, last_line, _ in ranges):
            return False
        for kind, (length, _, place) in zip(kinds, ranges, strict=True):
            self._ranges[kind] = (length + 1, line, place)
        return True

    def kinds_on(self, line: int) -> tuple[str, ...]:
        """Kinds of fault noted for `line`, which must be the latest line."""
        return tuple(kind for kind, (_, last_line, _) in self._ranges.items() if last_line == line)

    def sorted(self) -> list[Fault]:
        """All faults, by line and kind."""
        for kind in self._ranges:
            self._close(kind)
        return sorted(self._faults)

    def _close(self, kind: str) -> None:
        length, last_line, place = self._ranges.get(kind, _NO_RANGE)
        if length > _SINGLY + 1:
            self._faults[place] = replace(self._faults[place], last_line=last_line)


def sort_by_file(faults: Iterable[Fault]) -> list[Fault]:
    """Faults by file, then by line and kind."""
    return sorted(faults, key=lambda fault: (fault.file, fault))
