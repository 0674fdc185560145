"""Faults in the text of a file: bytes, line ends, header, and the characters of a single line."""

from __future__ import annotations

import io
import re
from typing import TextIO

from abaw.protocol.editions import Edition, owner_of_header, squeezed
from abaw.submission.fault import FaultList

_BOM = "\ufeff"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_ARCHIVES = {
    b"PK\x03\x04": "the file is a zip archive, as .xlsx files are; export the table as CSV, or unpack the archive",
    b"\x1f\x8b": "the file is compressed by gzip; unpack it",
    b"\xd0\xcf\x11\xe0": "the file is an Excel workbook; export the table as CSV",
}
"""What a file that is no text is, by its first bytes."""
_SHOWN = 120
_SPACE = re.compile(r"\s")
_SPACED = re.compile(r"\s,|,\s")


def open_text(data: bytes, faults: FaultList) -> TextIO | None:
    """The lines of a file, ended by line feeds; None when nothing in it could be read as rows.

    If all lines end with CR LF, or with CR only, this is one fault of the file, not one per line.
    """
    if not data.strip():
        faults.add(1, "empty", "the file is empty; expected a header and one row per frame")
        return None
    for mark, what in _ARCHIVES.items():
        if data.startswith(mark):
            faults.add(1, "encoding", f"{what}; expected a text file")
            return None
    if data.startswith(_UTF16_MARKS):
        faults.add(1, "encoding", "the file is UTF-16; save it as UTF-8")
        return None
    feeds, returns = data.count(b"\n"), data.count(b"\r")
    newline: str | None = "\n"
    if feeds and data.count(b"\r\n") == feeds:
        faults.add(1, "line-end", f"all {feeds} lines end with CR LF; expected LF only")
        if returns == feeds:
            newline = None
        else:
            data = data.replace(b"\r\n", b"\n")
    elif not feeds and returns:
        faults.add(1, "line-end", "the lines end with CR only; expected LF")
        newline = None
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", errors="surrogateescape", newline=newline)


def check_header(line: str, edition: Edition, is_row: bool, faults: FaultList) -> None:
    """Note the faults of line 1, given without line feed and byte order mark. is_row: it can be read as a row."""
    text = line.removesuffix("\r")
    if text != line:
        faults.add(1, "line-end", "ends with CR LF; expected LF only")
    expected = edition.header
    if text == expected:
        return
    if is_row:
        faults.add(1, "header", f"header missing: expected '{expected}', found a row")
        return
    owner = owner_of_header(text)
    if squeezed(text) == expected:
        faults.add(1, "spaces", f"spaces in the header: expected '{expected}', found '{text[:_SHOWN]}'")
    elif owner:
        faults.add(
            1, "edition", f"wrong edition: this is the header of {owner[0]}; {edition.name} expects '{expected}'"
        )
    else:
        faults.add(1, "header", f"wrong header: expected '{expected}', found '{text[:_SHOWN]}'")


def without_mark(line: str, faults: FaultList) -> str:
    """Line 1 without line feed and byte order mark; a byte order mark is noted as a fault."""
    if line.startswith(_BOM):
        faults.add(1, "bom", "the file starts with a byte order mark; save it as UTF-8 without one")
    return line.removeprefix(_BOM).removesuffix("\n")


def check_line(line: str, number: int, faults: FaultList) -> str | None:
    """Note faults in the characters of a line after the first. Returns the line stripped, or None when it is blank."""
    if not line.endswith("\n"):
        faults.add(number, "last-line", "the last line has no line end", "warning")
    body = line.removesuffix("\n")
    if not body.isascii() and any("\udc80" <= character <= "\udcff" for character in body):
        faults.add(number, "encoding", "bytes that are not UTF-8; save the file as UTF-8")
    if body and not _SPACE.search(body):
        return body
    if body.endswith("\r"):
        faults.add(number, "line-end", "ends with CR LF; expected LF only")
        body = body[:-1]
    text = body.strip()
    if not text:
        faults.add(number, "blank", "blank line")
        return None
    if (text != body or _SPACED.search(text)) and not faults.extend_range(number, "spaces"):
        faults.add(number, "spaces", f"spaces around a field: '{body[:60]}'")
    return text
