"""Faults of a submission file, and a list of them that stays short when every line has the same one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Severity = Literal["error", "warning"]

_SINGLY = 100


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """line: in the file, from 1 (for a missing row the line where it is due); kind: one word that groups equal faults.

    last_line: behind `line` when the lines from `line` to it all have a fault of this kind; otherwise 0.
    An `error` costs the submission or part of its score; a `warning` is worth a look.
    """

    line: int
    kind: str
    severity: Severity
    message: str
    last_line: int = 0

    @property
    def num_lines(self) -> int:
        return max(1, self.last_line - self.line + 1)


class FaultList:
    """Collects faults by ascending line. Of adjacent lines with one kind the first 100 are kept one by one, the rest
    as one fault over a range of lines, so that a million equal faults take no memory."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._runs: dict[str, tuple[int, int, int]] = {}

    def add(self, line: int, kind: str, message: str, severity: Severity = "error") -> None:
        length, last_line, place = self._runs.get(kind, (0, 0, 0))
        length = length + 1 if line == last_line + 1 else 1
        if length > _SINGLY + 1:
            self._faults[place] = replace(self._faults[place], last_line=line)
        else:
            place = len(self._faults)
            self._faults.append(Fault(line, kind, severity, message))
        self._runs[kind] = (length, line, place)

    def sorted(self) -> list[Fault]:
        return sorted(self._faults)
