"""Numbers in the spellings that a row may contain."""

from __future__ import annotations

import re
from functools import lru_cache

_SHOWN = 60
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"[+-]?[0-9]+")


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
