"""Text files of one header line and then one row of numbers per frame <-> arrays.

Files of various ages have CRLF line ends, a byte order mark, spaces and no last line end. A clean file is parsed at
once; any other is read line by line, to find the line number of its fault. T frames, K numbers per row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.core.reading import read_errors

Values = NDArray[np.float32]

NO_VALUE = -5.0
"""In the official files: no valence or no arousal for this frame."""

_AS_UTF_8 = "save it as UTF-8 text"
_SHOWN = 60
_TOO_LARGE = 1e30
"""No valid value is this large; float32 could not hold some of them."""


@dataclass(frozen=True, slots=True)
class RowFormat:
    """What the numbers of a row must be. valid: (..., K) values -> (..., K) bool; missing: the values of a blank line;
    integers: numbers that are not written as integers are refused."""

    num_columns: int
    valid: Callable[[Values], NDArray[np.bool_]]
    missing: float
    expected: str
    integers: bool = False


def is_valence_arousal(values: Values) -> NDArray[np.bool_]:
    valid: NDArray[np.bool_] = ((values >= -1) & (values <= 1)) | (values == NO_VALUE)
    return valid


def is_action_unit(values: Values) -> NDArray[np.bool_]:
    valid: NDArray[np.bool_] = (values == -1) | (values == 0) | (values == 1)
    return valid


def read_body(path: Path, header: Sequence[str]) -> bytes:
    """The lines after the header, joined by line feeds, without blank last lines. Raises DataError for another header.

    A header that is right except for spaces around its names is accepted.
    """
    with read_errors(path, "not readable as an annotation file", _AS_UTF_8, (UnicodeDecodeError,)):
        data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        first, _, body = data.partition(b"\n")
        line = first.decode("utf-8")
    expected = ",".join(header)
    found = ",".join(part.strip() for part in line.split(","))
    if found != expected:
        raise DataError(
            f"{path}:1: wrong header: expected '{expected}', found '{found[:100]}'; correct it or take the file out"
        )
    return body.rstrip()


def num_lines(body: bytes) -> int:
    """Number of lines in what `read_body` returns."""
    return body.count(b"\n") + 1 if body else 0


def parse_columns(body: bytes, types: Sequence[Any]) -> list[Any] | None:
    """Columns of the given Arrow types; None when a line is blank or its fields do not match the types."""
    names = [str(index) for index in range(len(types))]
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(body + b"\n"),
            read_options=pa_csv.ReadOptions(use_threads=False, column_names=names),
            parse_options=pa_csv.ParseOptions(quote_char=False),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict(zip(names, types, strict=True)), null_values=[], strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid:
        return None
    return table.columns if table.num_rows == num_lines(body) else None


def read_values(path: Path, header: Sequence[str], row_format: RowFormat) -> Values:
    """The numbers of a file, (T, K), row k for frame k + 1.

    A blank line inside the file is a frame without values; skipping it would shift all later frames. Raises DataError,
    with file and line, for a wrong header, a wrong number of fields, or an invalid value.
    """
    body = read_body(path, header)
    if not body:
        return np.empty((0, row_format.num_columns), np.float32)
    columns = parse_columns(body, [pa.int8() if row_format.integers else pa.float32()] * row_format.num_columns)
    if columns is not None:
        values = np.stack([column.to_numpy().astype(np.float32) for column in columns], axis=1)
        if row_format.valid(values).all():
            return values
    lines = decode_lines(path, body)
    return np.stack([parse_fields(line.split(","), row_format, path, number) for number, line in enumerate(lines, 2)])


def decode_lines(path: Path, body: bytes) -> list[str]:
    with read_errors(path, "not readable as an annotation file", _AS_UTF_8, (UnicodeDecodeError,)):
        return body.decode("utf-8").split("\n")


def parse_fields(fields: Sequence[str], row_format: RowFormat, path: Path, number: int) -> Values:
    """One row, (K,). Raises DataError that names file and line."""
    if not "".join(fields).strip() and len(fields) == 1:
        return np.full(row_format.num_columns, row_format.missing, np.float32)
    if len(fields) != row_format.num_columns:
        found = f"{len(fields)} fields: '{','.join(fields)[:_SHOWN]}'"
    else:
        values = np.array([_number(field, row_format.integers) for field in fields], np.float32)
        bad = np.flatnonzero(~row_format.valid(values))
        if not len(bad):
            return values
        found = f"'{fields[bad[0]].strip()[:_SHOWN]}'"
    raise DataError(
        f"{path}:{number}: expected {row_format.expected}, found {found}; correct the line or take the file out"
    )


def _number(text: str, integer: bool) -> float:
    """The number, or NaN, which is never valid, when the text is not a number."""
    if not text.isascii() or "_" in text:  # Python reads the digits of every script, and 0_4 as 4
        return np.nan
    try:
        number = float(int(text)) if integer else float(text)
    except (ValueError, OverflowError):
        return np.nan
    return number if abs(number) < _TOO_LARGE else np.nan
