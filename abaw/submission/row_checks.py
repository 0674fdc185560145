"""The values that may follow the location of a row, by the task of the edition.

A row in the usual spelling is accepted quickly; only others are parsed. Values that are the same in all rows are noted
at the end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from abaw.protocol.classes import ACTION_UNITS, NUM_ACTION_UNITS, VALENCE_AROUSAL
from abaw.protocol.editions import Edition
from abaw.submission.fault import FaultList
from abaw.submission.numbers import as_number, integer_fault

_SHOWN = 60


class RowCheck(Protocol):
    """How rows are checked. shape: a description of a row, for messages; num_values: fields after the location."""

    shape: str
    num_values: int

    def accept(self, rest: str) -> bool:
        """Whether `,<values>\\n` is correct in the usual spelling."""
        ...

    def key(self, rest: str) -> str:
        """A key that is equal for rows with the same faults after the location; empty when that is not known."""
        ...

    def read(self, values: Sequence[str], number: int, faults: FaultList) -> bool:
        """Note the faults of a line's values. Returns whether the class could be read.

        values: stripped, the expected number of them; number: of the line.
        """
        ...

    def finish(self, first_line: int, num_read: int, faults: FaultList) -> None:
        """Note values that are the same in all rows. num_read: number of rows that could be read."""
        ...


def row_check(edition: Edition) -> RowCheck:
    """The check of an edition's rows."""
    return MultitaskCheck(edition.num_classes) if edition.task == "mtl" else ClassCheck(edition.num_classes)


class ClassCheck:
    """Rows `,k` with a class k."""

    shape = "<video>/00001.jpg,k"
    num_values = 1

    def __init__(self, num_classes: int) -> None:
        self._num_classes = num_classes
        self._good = {f",{label}\n" for label in range(num_classes)}
        self._seen: set[str] = set()

    def accept(self, rest: str) -> bool:
        if rest in self._seen:
            return True
        if rest in self._good:
            self._seen.add(rest)
            return True
        return False

    def key(self, rest: str) -> str:
        return rest

    def read(self, values: Sequence[str], number: int, faults: FaultList) -> bool:
        kind, problem = integer_fault(values[0], range(self._num_classes))
        if kind:
            faults.add(number, kind, problem)
        else:
            self._seen.add(f",{values[0]}\n")
        return not kind

    def finish(self, first_line: int, num_read: int, faults: FaultList) -> None:
        if len(self._seen) == 1 and num_read > 1:
            (only,) = self._seen
            faults.add(first_line, "one-class", f"all rows have the same class, {only[1:-1]}", "warning")


_NUMBER = r"-?(?:0(?:\.[0-9]+)?|1(?:\.0+)?)"
_PLAIN_NUMBER = re.compile(_NUMBER)
_PLAIN_PAIR = re.compile(rf",{_NUMBER},{_NUMBER}")
_FIRST_PAIR = re.compile(_PLAIN_PAIR.pattern + "(?=,)")
_INTEGERS = ("expression", *ACTION_UNITS)
_TAIL_LENGTH = len(",k") * (1 + NUM_ACTION_UNITS) + len("\n")


class MultitaskCheck:
    """Rows `,valence,arousal,k,au1,…,au12`: two numbers in [-1, 1], a class, 0 or 1 per action unit."""

    shape = "<video>/00001.jpg,valence,arousal,k,au1,…,au12"
    num_values = 3 + NUM_ACTION_UNITS

    def __init__(self, num_classes: int) -> None:
        self._allowed = [range(num_classes), *[range(2)] * NUM_ACTION_UNITS]
        self._good_tail = re.compile(rf",[0-{num_classes - 1}](?:,[01]){{{NUM_ACTION_UNITS}}}\n")
        self._tails: set[str] = set()
        self._pairs: tuple[set[float], set[float]] = (set(), set())
        self._varied = False

    def accept(self, rest: str) -> bool:
        tail = rest[-_TAIL_LENGTH:]
        known = tail in self._tails
        if not known and not self._good_tail.fullmatch(tail):
            return False
        if not _PLAIN_PAIR.fullmatch(rest, 0, len(rest) - _TAIL_LENGTH):
            return False
        if not known:
            self._tails.add(tail)
        if not self._varied:
            self._note_pair(rest)
        return True

    def key(self, rest: str) -> str:
        """The text after a correct valence and arousal, once these are known to vary between rows."""
        pair = _FIRST_PAIR.match(rest)
        if pair is None:
            return ""
        if not self._varied:
            self._note_pair(rest)
            return ""
        return rest[pair.end() :]

    def _note_pair(self, rest: str) -> None:
        for seen, text in zip(self._pairs, rest.split(",", 3)[1:3], strict=True):
            if len(seen) < 2:
                seen.add(float(text))
        self._varied = all(len(seen) > 1 for seen in self._pairs)

    def read(self, values: Sequence[str], number: int, faults: FaultList) -> bool:
        """Notes at most one fault of each kind per line, so the faults of equal lines can be joined to a range."""
        found: dict[str, list[str]] = {}
        for name, text in zip(VALENCE_AROUSAL, values[:2], strict=True):
            problem = _range_fault(text)
            if problem:
                found.setdefault("value", []).append(f"{name}: {problem}")
        if "value" not in found and not self._varied:
            self._note_pair("," + ",".join(values[:2]))
        tail = "," + ",".join(values[2:]) + "\n"
        readable = self._good_tail.fullmatch(tail) is not None
        if readable:
            self._tails.add(tail)
        else:
            self._read_integers(values[2:], found)
        for kind, problems in found.items():
            if not faults.extend_range(number, kind):
                faults.add(number, kind, "; ".join(problems))
        return readable

    def _read_integers(self, values: Sequence[str], found: dict[str, list[str]]) -> None:
        for name, allowed, text in zip(_INTEGERS, self._allowed, values, strict=True):
            if len(text) == 1 and text in "01":
                continue
            kind, problem = integer_fault(text, allowed)
            if kind:
                found.setdefault(kind, []).append(f"{name}: {problem}")

    def finish(self, first_line: int, num_read: int, faults: FaultList) -> None:
        if num_read < 2:
            return
        rows = [tail[1:-1].split(",") for tail in self._tails]
        columns = [set(column) for column in zip(*rows, strict=True)]
        if columns and len(columns[0]) == 1:
            faults.add(first_line, "one-class", f"all rows have the same class, {columns[0].pop()}", "warning")
        constant = [
            f"{name} ({seen.pop():g})"
            for name, seen in zip(VALENCE_AROUSAL, self._pairs, strict=True)
            if len(seen) == 1
        ]
        constant += [
            f"{name} ({seen.pop()})" for name, seen in zip(ACTION_UNITS, columns[1:], strict=False) if len(seen) == 1
        ]
        if constant:
            faults.add(first_line, "constant", f"the same in all rows: {', '.join(constant)}", "warning")


def _range_fault(text: str) -> str:
    """The fault of a valence or arousal value; empty when it is correct."""
    if _PLAIN_NUMBER.fullmatch(text):
        return ""
    expected = "expected a number from -1 to 1"
    value = as_number(text)
    if value is None:
        return f"{expected}, found {repr(text[:_SHOWN]) if text else 'nothing'}"
    if not -1 <= value <= 1:
        hint = " (which annotations use for a frame without a value)" if value == -5 else ""
        return f"{expected}, found {text[:_SHOWN]}{hint}"
    return ""
