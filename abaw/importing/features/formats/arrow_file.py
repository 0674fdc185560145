"""`.arrow`, `.feather`: a table of the Arrow IPC format, of which the batches of one video are read at a time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from abaw.core.reading import read_errors
from abaw.importing.features.rows import ReadOptions
from abaw.importing.features.table import TableFile

_DAMAGED = (pa.ArrowException, ValueError, OSError)


def open_file(path: Path, options: ReadOptions) -> TableFile:
    with read_errors(path, "not readable as Arrow", "write it again", _DAMAGED):
        return TableFile(path, Batches(*open_ipc(path)), options)


def open_ipc(path: Path) -> tuple[Path, Any, pa.Schema]:
    """The path, the open file and its schema. Raises what pyarrow raises for a file that is no Arrow file."""
    file = pa.OSFile(os.fsencode(path))
    try:
        return path, file, pa.ipc.open_file(file).schema
    except BaseException:
        file.close()
        raise


@dataclass(frozen=True)
class Batches:
    """The batches of a file. They are read, not mapped, so that memory does not grow with the file."""

    path: Path
    file: Any
    schema: pa.Schema

    def _reader(self, columns: Sequence[str]) -> Any:
        self.file.seek(0)
        fields = [self.schema.get_field_index(name) for name in columns]
        return pa.ipc.open_file(self.file, options=pa.ipc.IpcReadOptions(included_fields=fields))

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        """Where each batch begins and the last one ends, in rows. One column is read for it, without its values."""
        reader = self._reader(self.schema.names[:1])
        return np.cumsum([0, *(reader.get_batch(index).num_rows for index in range(reader.num_record_batches))])

    @property
    def num_rows(self) -> int:
        return int(self._ends[-1])

    def read(self, columns: Sequence[str], start: int = 0, stop: int | None = None) -> pa.Table:
        with read_errors(self.path, "not readable as Arrow", "write it again", _DAMAGED):
            ends, stop = self._ends, self.num_rows if stop is None else stop
            wanted = [index for index in range(len(ends) - 1) if ends[index] < stop and ends[index + 1] > start]
            reader = self._reader(columns)
            batches = [reader.get_batch(index) for index in wanted]
            table = pa.Table.from_batches(batches, schema=reader.schema if not batches else batches[0].schema)
            return table.select(list(columns)).slice(start - int(ends[wanted[0]]) if wanted else 0, stop - start)

    def close(self) -> None:
        self.file.close()
