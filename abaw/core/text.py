"""Parts of messages, and text that is safe in a terminal or a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence


def listed(names: Sequence[str], shown: int = 8, separator: str = ", ") -> str:
    """`a, b, c and 7 more`: the first `shown` names, then the number of the others."""
    text = separator.join(names[:shown])
    return f"{text} and {len(names) - shown} more" if len(names) > shown else text


def one_line(error: BaseException, shown: int = 200) -> str:
    """The start of an error's text without line breaks, or its type when it has none."""
    return " ".join(str(error).split())[:shown] or type(error).__name__


_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal obeys or cannot show, except tabs and line feeds: control characters, changes of the direction of
writing, and bytes of file names that are not UTF-8."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet runs text that begins with one of these."""


def visible(text: str) -> str:
    """The text with every hidden character written as an escape, such as `\\x1b`; a terminal prints it and no more."""
    return _HIDDEN.sub(lambda match: _escape(match[0]), text)


def in_line(text: str) -> str:
    """The same for text that belongs into one line, such as a file name: line feeds and tabs are escaped, too."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as Python keeps it in file names
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Rows as CSV. Text that a spreadsheet would run as a formula begins with an apostrophe; numbers are unchanged."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def csv_records(records: Sequence[Mapping[str, object]]) -> str:
    """The same for records with the same keys, which become the header."""
    header = list(records[0])
    return csv_text([header, *([record[key] for key in header] for record in records)])


def plain_cell(text: str) -> str:
    """The text of a cell that `csv_text` made and `write_text` wrote: without the apostrophe, with the bytes that are
    not UTF-8."""
    text = re.sub(r"\\u(dc[89a-f][0-9a-f])", lambda match: chr(int(match[1], 16)), text)
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA) and not _is_number(value):
        return f"'{value}"
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
