"""Numbers in the spellings that a row may contain."""

from __future__ import annotations

import re
from functools import lru_cache

_SHOWN = 60
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"[+-]?[0-9]+")


_IN_RANGE = re.compile(r"(?:0\.[0-9]+|1\.0+)")
_DECIMAL = re.compile(r"[0-9]+\.[0-9]+")
_LARGE = re.compile(r"[1-9][0-9]+")
# Halves of pairs that no decoded text contains.
_SMALL_MARK, _MARK, _LARGE_MARK = "\ud800", "\ud801", "\ud802"
_EXPONENT = re.compile("[0-9.\ud800-\ud802][eE][+-]?[0-9\ud800-\ud802]")


def shape_of(text: str) -> str:
    """A short text that is equal for fields with the same faults, whatever their numbers; empty when that is not sure.

    Decimals up to 1, other decimals and integers of several digits become a mark each. Signs, single digits and
    everything that is no number stay.
    """
    text = _LARGE.sub(_LARGE_MARK, _DECIMAL.sub(_MARK, _IN_RANGE.sub(_SMALL_MARK, text)))
    return "" if ("e" in text or "E" in text) and _EXPONENT.search(text) else text


def as_number(text: str) -> float | None:
    """The value of a finite decimal number, or None for any other text."""
    return float(text) if _NUMBER.fullmatch(text) else None


@lru_cache(maxsize=4096)
def integer_fault(text: str, allowed: range) -> tuple[str, str]:
    """Kind and message of the fault of an integer; two empty strings when it is correct."""
    expected = f"expected an integer from {allowed[0]} to {allowed[-1]}"
    shown = text[:_SHOWN]
    value = as_number(text)
    if value is None:
        return "label", f"{expected}, found {repr(shown) if text else 'nothing'}"
    if not _INTEGER.fullmatch(text):
        return "float", f"{expected}, found a number that is not written as an integer: '{shown}'"
    number = int(text[:_SHOWN])
    if number not in allowed:
        return "label", f"{expected}, found {shown}"
    if text != str(number):
        return "label", f"{expected} written as '{number}', found '{shown}'"
    return "", ""
