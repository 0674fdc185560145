"""The values that may follow the location of a row, by the task of the edition.

A row in the usual spelling is accepted quickly; only others are parsed. Values that are the same in all rows are noted
at the end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from abaw.protocol.classes import ACTION_UNITS, VALENCE_AROUSAL
from abaw.protocol.editions import Edition
from abaw.submission.fault import FaultList
from abaw.submission.numbers import as_number, integer_fault, shape_of

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
        """Note the faults of a line's values. Returns whether the row could be read: its integers, if it has any.

        values: stripped, the expected number of them; number: of the line.
        """
        ...

    def finish(self, first_line: int, num_read: int, faults: FaultList) -> None:
        """Note values that are the same in all rows. num_read: number of rows that could be read."""
        ...


def row_check(edition: Edition) -> RowCheck:
    """The check of an edition's rows."""
    units = dict.fromkeys(ACTION_UNITS, range(2))
    if edition.task == "valence_arousal":
        return ValuesCheck(VALENCE_AROUSAL, {}, "valence,arousal")
    if edition.task == "action_units":
        return ValuesCheck((), units, "au1,…,au12")
    if edition.task == "mtl":
        integers = {_CLASS: range(edition.num_classes), **units}
        return ValuesCheck(VALENCE_AROUSAL, integers, "valence,arousal,k,au1,…,au12")
    return ClassCheck(edition.num_classes)


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
        return shape_of(rest)

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


_CLASS = "expression"
_NUMBER = r"-?(?:0(?:\.[0-9]+)?|1(?:\.0+)?)"
_PLAIN_NUMBER = re.compile(_NUMBER)


class ValuesCheck:
    """Rows of numbers in [-1, 1], then integers of one digit: valence and arousal; action units; or all tasks.

    numbers: names of the numbers; integers: allowed values of each integer, by name; shape: of the values.
    """

    def __init__(self, numbers: Sequence[str], integers: Mapping[str, range], shape: str) -> None:
        self.shape = f"<video>/00001.jpg,{shape}"
        self.num_values = len(numbers) + len(integers)
        self._numbers = numbers
        self._integers = integers
        self._plain_numbers = re.compile(rf",{_NUMBER}" * len(numbers))
        self._tail_length = len(",k") * len(integers) + len("\n")
        self._good_tail = re.compile("".join(f",[{each[0]}-{each[-1]}]" for each in integers.values()) + "\n")
        self._tails: set[str] = set()
        self._seen: tuple[set[float], ...] = tuple(set() for _ in numbers)
        self._varied = not numbers
        # Shape of a row -> whether one of its numbers is wrong.
        self._value_faults: dict[str, bool] = {}

    def accept(self, rest: str) -> bool:
        tail = rest[-self._tail_length :]
        known = tail in self._tails
        if not known and not self._good_tail.fullmatch(tail):
            return False
        if not self._plain_numbers.fullmatch(rest, 0, len(rest) - self._tail_length):
            return False
        if not known:
            self._tails.add(tail)
        if not self._varied:
            self._note_numbers(rest)
        return True

    def key(self, rest: str) -> str:
        """Empty while a row with correct numbers may be the one that shows that these vary: it has to be read."""
        shape = shape_of(rest)
        return shape if self._varied or self._has_value_fault(shape, rest) else ""

    def _has_value_fault(self, shape: str, rest: str) -> bool:
        found = self._value_faults.get(shape)
        if found is None:
            texts = rest.split(",", len(self._numbers) + 1)[1 : len(self._numbers) + 1]
            found = any(map(_range_fault, map(str.strip, texts)))
            if shape:
                self._value_faults[shape] = found
        return found

    def _note_numbers(self, rest: str) -> None:
        texts = rest.split(",", len(self._numbers) + 1)[1 : len(self._numbers) + 1]
        for seen, text in zip(self._seen, texts, strict=True):
            if len(seen) < 2:
                seen.add(float(text))
        self._varied = all(len(seen) > 1 for seen in self._seen)

    def read(self, values: Sequence[str], number: int, faults: FaultList) -> bool:
        """Notes at most one fault of each kind per line, so the faults of equal lines can be joined to a range."""
        found: dict[str, list[str]] = {}
        numbers, integers = values[: len(self._numbers)], values[len(self._numbers) :]
        for name, text in zip(self._numbers, numbers, strict=True):
            problem = _range_fault(text)
            if problem:
                found.setdefault("value", []).append(f"{name}: {problem}")
        if "value" not in found and not self._varied:
            self._note_numbers("," + ",".join(numbers))
        tail = "".join(f",{text}" for text in integers) + "\n"
        readable = self._good_tail.fullmatch(tail) is not None
        if readable:
            self._tails.add(tail)
        else:
            self._read_integers(integers, found)
        for kind, problems in found.items():
            if not faults.extend_range(number, kind):
                faults.add(number, kind, "; ".join(problems))
        return readable if self._integers else not found

    def _read_integers(self, values: Sequence[str], found: dict[str, list[str]]) -> None:
        for (name, allowed), text in zip(self._integers.items(), values, strict=True):
            if len(text) == 1 and text in "01":
                continue
            kind, problem = integer_fault(text, allowed)
            if kind:
                found.setdefault(kind, []).append(f"{name}: {problem}")

    def finish(self, first_line: int, num_read: int, faults: FaultList) -> None:
        if num_read < 2:
            return
        rows = [tail[1:-1].split(",") for tail in self._tails]
        columns = dict(zip(self._integers, map(set, zip(*rows, strict=True)), strict=False))
        classes = columns.pop(_CLASS, set())
        if len(classes) == 1:
            faults.add(first_line, "one-class", f"all rows have the same class, {classes.pop()}", "warning")
        constant = [
            f"{name} ({seen.pop():g})" for name, seen in zip(self._numbers, self._seen, strict=True) if len(seen) == 1
        ]
        constant += [f"{name} ({seen.pop()})" for name, seen in columns.items() if len(seen) == 1]
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
