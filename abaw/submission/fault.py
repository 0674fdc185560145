"""Faults of a submission, and a list of them that stays short when every line has the same one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Severity = Literal["error", "warning"]

_SINGLY = 100
# Length, last line, and place in the list of the last fault of its own.
_NO_RUN = (0, 0, 0)


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """line: in the file, from 1 (for a missing row the line where it is due; 0 for the file or folder as a whole);
    kind: one word that groups equal faults.

    last_line: behind `line` when the lines from `line` to it all have a fault of this kind; otherwise 0.
    file: its name, for an edition that wants a folder of files; empty for the submission itself.
    An `error` costs the submission or part of its score; a `warning` is worth a look.
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
    """Collects faults of one file by ascending line. Of adjacent lines with one kind the first 100 are kept one by one,
    the rest as one fault over a range of lines, so that a million equal faults take no memory."""

    def __init__(self, file: str = "") -> None:
        self._file = file
        self._faults: list[Fault] = []
        self._runs: dict[str, tuple[int, int, int]] = {}

    def add(self, line: int, kind: str, message: str, severity: Severity = "error") -> None:
        if self.add_to_run(line, kind):
            return
        length, last_line, _ = self._runs.get(kind, _NO_RUN)
        if line != last_line + 1:
            self._close(kind)
            length = 0
        self._runs[kind] = (length + 1, line, len(self._faults))
        self._faults.append(Fault(line, kind, severity, message, file=self._file))

    def add_to_run(self, line: int, kind: str) -> bool:
        """Note one more line of a long run of this kind, whose lines get no message; False when it is no such line."""
        length, last_line, place = self._runs.get(kind, _NO_RUN)
        if length <= _SINGLY or line != last_line + 1:
            return False
        self._runs[kind] = (length + 1, line, place)
        return True

    def add_all_to_runs(self, line: int, kinds: Sequence[str]) -> bool:
        """The same for several kinds at once: all of them, or none and False."""
        if len(kinds) == 1:
            return self.add_to_run(line, kinds[0])
        runs = [self._runs.get(kind, _NO_RUN) for kind in kinds]
        if not all(length > _SINGLY and line == last_line + 1 for length, last_line, _ in runs):
            return False
        for kind, (length, _, place) in zip(kinds, runs, strict=True):
            self._runs[kind] = (length + 1, line, place)
        return True

    def kinds_on(self, line: int) -> tuple[str, ...]:
        """Kinds of fault noted for the line that was added last."""
        return tuple(kind for kind, (_, last_line, _) in self._runs.items() if last_line == line)

    def sorted(self) -> list[Fault]:
        for kind in self._runs:
            self._close(kind)
        return sorted(self._faults)

    def _close(self, kind: str) -> None:
        length, last_line, place = self._runs.get(kind, _NO_RUN)
        if length > _SINGLY + 1:
            self._faults[place] = replace(self._faults[place], last_line=last_line)


def sort_by_file(faults: Iterable[Fault]) -> list[Fault]:
    return sorted(faults, key=lambda fault: (fault.file, fault))
