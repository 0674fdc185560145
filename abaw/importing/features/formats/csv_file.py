"""`.csv`, `.tsv`: tables of text, those of OpenFace, py-feat and openSMILE included.

The separator is the one that the header uses: openSMILE writes semicolons. A file of several videos is converted to a
temporary Arrow file, because text cannot be read from the middle.
"""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv

from abaw.core.errors import DataError
from abaw.core.reading import read_errors
from abaw.importing.features.columns import Keys, feature_columns, find_keys, plain_name
from abaw.importing.features.formats.arrow_file import Batches, open_ipc
from abaw.importing.features.rows import ReadOptions
from abaw.importing.features.table import TableFile

_SEPARATORS = ",;\t"
_REMEDY = "every line needs the fields of the header, and each field a number"
_NULLS = ["", "NA", "N/A", "nan", "NaN", "NAN", "-nan", "-nan(ind)", "null"]
_BLOCK = 1 << 22
_OPENSMILE = {"name", "frametime"}
_UNKNOWN = "unknown"
"""What openSMILE calls a recording that was given no name."""


def open_file(path: Path, options: ReadOptions) -> TableFile:
    with read_errors(path, "not readable as a table", "save it as UTF-8 text", (UnicodeError, csv.Error)):
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline(_BLOCK).rstrip("\r\n")
        separator = max(_SEPARATORS, key=header.count)
        names = next(csv.reader([header], delimiter=separator), [])
    if not names:
        raise DataError(f"{path}: is empty; expected a line with the names of the columns, then a row per frame")
    opensmile = _OPENSMILE.issubset(plain_name(name).lower() for name in names)
    if opensmile and not options.video_column:
        options = replace(options, video_column=next(each for each in map(plain_name, names) if each.lower() == "name"))
    keys = find_keys(path, names, options)
    columns = feature_columns(path, pa.schema([(name, pa.float32()) for name in names]), keys, options)
    text = _Text(path, separator, names, _types(names, keys, columns))
    source = text.table() if keys.video is None else text.converted()
    return TableFile(path, source, options, lambda row: f"line {row + 2}", _UNKNOWN if opensmile else "")


def _types(names: Sequence[str], keys: Keys, columns: Sequence[str]) -> dict[str, pa.DataType]:
    """The columns to read and their types, in the order of the file."""
    known = {
        **dict.fromkeys(columns, pa.float32()),
        **dict.fromkeys(keys.used, pa.float64()),
        **({} if keys.video is None else {keys.video: pa.string()}),
    }
    return {name: known[name] for name in names if name in known}


@dataclass(frozen=True, slots=True)
class _Text:
    path: Path
    separator: str
    names: Sequence[str]
    types: Mapping[str, pa.DataType]

    def _file(self) -> Any:
        return pa.OSFile(os.fsencode(self.path))

    def _options(self) -> dict[str, Any]:
        return {
            "read_options": pa_csv.ReadOptions(column_names=list(self.names), skip_rows=1, block_size=_BLOCK),
            "parse_options": pa_csv.ParseOptions(delimiter=self.separator, ignore_empty_lines=True),
            "convert_options": pa_csv.ConvertOptions(
                column_types=dict(self.types),
                include_columns=list(self.types),
                null_values=_NULLS,
                strings_can_be_null=True,
            ),
        }

    def table(self) -> _InMemory:
        with read_errors(self.path, "not readable as a table", _REMEDY, (pa.ArrowException, UnicodeError)):
            return _InMemory(pa_csv.read_csv(self._file(), **self._options()))

    def converted(self) -> _Temporary:
        """Block by block, so that memory does not grow with the file."""
        folder = tempfile.TemporaryDirectory(prefix="abaw-")
        try:
            file = Path(folder.name) / "table.arrow"
            with (
                read_errors(self.path, "not readable as a table", _REMEDY, (pa.ArrowException, UnicodeError)),
                pa_csv.open_csv(self._file(), **self._options()) as reader,
                pa.ipc.new_file(str(file), reader.schema) as writer,
            ):
                for batch in reader:
                    writer.write_batch(batch)
            return _Temporary(*open_ipc(file), folder)
        except BaseException:
            folder.cleanup()
            raise


@dataclass(frozen=True, slots=True)
class _InMemory:
    table: pa.Table

    @property
    def schema(self) -> pa.Schema:
        return self.table.schema

    @property
    def num_rows(self) -> int:
        return int(self.table.num_rows)

    def read(self, columns: Sequence[str], start: int = 0, stop: int | None = None) -> pa.Table:
        return self.table.select(list(columns)).slice(start, None if stop is None else stop - start)

    def close(self) -> None:
        return


@dataclass(frozen=True)
class _Temporary(Batches):
    """The converted file, removed on closing."""

    folder: tempfile.TemporaryDirectory[str]

    def close(self) -> None:
        super().close()
        self.folder.cleanup()
