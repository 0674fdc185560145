"""Scalars as a table, `metrics.csv`: one line per value."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from abaw.core.artifacts import storage_errors, write_text
from abaw.core.errors import DataError
from abaw.core.reading import read_text

_FILE = "metrics.csv"
_HEADER = "step,name,value"


class TableLog:
    """Appends to a table; every line is complete."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with storage_errors(path):
            self._file = path.open("ab", buffering=0)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([step, name, repr(value)] for name, value in values.items())
        with storage_errors(self._path):
            self._file.write(text.getvalue().encode())

    def close(self) -> None:
        self._file.close()


def open_log(run: Path, first_step: int) -> TableLog:
    """The table of a run, without the lines from `first_step` on. Raises DataError for a file that no run wrote."""
    path = run / _FILE
    lines = read_text(path, "not readable as metrics", "move it away").split("\n")[:-1] if path.exists() else []
    if lines and lines[0] != _HEADER:
        raise DataError(f"{path}: expected the header '{_HEADER}', found '{lines[0][:40]}'; move the file away")
    try:
        kept = [line for line in lines[1:] if int(line.partition(",")[0]) < first_step]
    except ValueError as error:
        raise DataError(f"{path}: has a line that does not begin with a step; move the file away") from error
    write_text(path, "".join(f"{line}\n" for line in [_HEADER, *kept]))
    return TableLog(path)
