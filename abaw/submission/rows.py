"""What can be wrong with a single row `<video>/00001.jpg,k`, whatever stands around it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from abaw.protocol.template import parse_location
from abaw.submission.fault import FaultList

_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Row:
    """A row as far as it can be read. location: None when there is none; label: None when it is no class."""

    location: str | None
    label: int | None


def read_row(line: str, number: int, num_classes: int, faults: FaultList) -> Row | None:
    """Read one line without its line feed and note its faults; None for a blank line."""
    _check_text(line, number, faults)
    text = line.strip()
    if not text:
        faults.add(number, "blank", "blank line")
        return None
    fields = [part.strip() for part in text.split(",")]
    location: str | None = fields[0]
    if parse_location(fields[0]) is None:
        faults.add(number, "location", f"expected '<video>/00001.jpg' before the comma, found '{fields[0][:_SHOWN]}'")
        location = None
    if len(fields) != 2:
        message = f"expected 2 fields '<video>/00001.jpg,k', found {len(fields)}: '{text[:_SHOWN]}'"
        faults.add(number, "fields", message)
        return Row(location, None)
    return Row(location, _read_label(fields[1], number, num_classes, faults))


def _check_text(line: str, number: int, faults: FaultList) -> None:
    if not line.isascii() and any("\udc80" <= character <= "\udcff" for character in line):
        faults.add(number, "encoding", "bytes that are no UTF-8; save the file as UTF-8")
    body = line.removesuffix("\r")
    if body != line:
        faults.add(number, "line-end", "ends with CR LF; expected LF alone")
    if body.strip() and any(part != part.strip() for part in body.split(",")):
        faults.add(number, "spaces", f"spaces around a field: '{body[:_SHOWN]}'")


def _read_label(text: str, number: int, num_classes: int, faults: FaultList) -> int | None:
    """The class, or None with the reason noted."""
    expected = f"expected an integer from 0 to {num_classes - 1}"
    value = _as_number(text)
    if value is None:
        faults.add(number, "label", f"{expected} behind the comma, found {repr(text[:_SHOWN]) if text else 'nothing'}")
        return None
    if not text.lstrip("+-").isdecimal():
        faults.add(number, "float", f"{expected}, found a number that is not written as an integer: '{text[:_SHOWN]}'")
        return None
    if not 0 <= value < num_classes:
        faults.add(number, "label", f"{expected}, found {text[:_SHOWN]}")
        return None
    label = int(value)
    if text != str(label):
        faults.add(number, "label", f"{expected} written as '{label}', found '{text[:_SHOWN]}'")
    return label


def _as_number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
