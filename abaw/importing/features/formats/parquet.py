"""`.parquet`: a table, of which the row groups of one video are read at a time. Also what `abaw export-features`
writes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from abaw.core.reading import read_errors
from abaw.importing.features.rows import ReadOptions
from abaw.importing.features.table import TableFile


def open_file(path: Path, options: ReadOptions) -> TableFile:
    with read_errors(path, "not readable as Parquet", "write it again", (pa.ArrowException, ValueError)):
        return TableFile(path, _Groups(path, pq.ParquetFile(pa.OSFile(os.fsencode(path)))), options)


@dataclass(frozen=True, slots=True)
class _Groups:
    path: Path
    file: Any

    @property
    def schema(self) -> pa.Schema:
        return self.file.schema_arrow

    @property
    def num_rows(self) -> int:
        return int(self.file.metadata.num_rows)

    def read(self, columns: Sequence[str], start: int = 0, stop: int | None = None) -> pa.Table:
        sizes = [self.file.metadata.row_group(index).num_rows for index in range(self.file.metadata.num_row_groups)]
        ends = np.cumsum([0, *sizes])
        stop = self.num_rows if stop is None else stop
        groups = [index for index in range(len(sizes)) if ends[index] < stop and ends[index + 1] > start]
        with read_errors(self.path, "not readable as Parquet", "write it again", (pa.ArrowException, ValueError)):
            table = self.file.read_row_groups(groups, columns=list(columns))
        return table.slice(start - int(ends[groups[0]]), stop - start) if groups else table

    def close(self) -> None:
        self.file.close(force=True)
