"""Tables: a row per frame or time stamp, with the features in one column of lists or in a column each.

Shapes: N rows, D numbers per row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.importing.features.columns import Keys, feature_columns, find_keys, is_list, is_number, plain_name
from abaw.importing.features.exported import exported_meta
from abaw.importing.features.rows import EXPORT_KEY, ReadOptions, VideoRows, row_place, whole_numbers


class Source(Protocol):
    """Where the rows of a table come from. names: of the columns, as the file has them."""

    @property
    def schema(self) -> pa.Schema:
        """Names, types (as far as they are known before reading) and metadata."""

    @property
    def num_rows(self) -> int: ...

    def read(self, columns: Sequence[str], start: int = 0, stop: int | None = None) -> pa.Table:
        """Some columns of the rows from `start` to before `stop`."""

    def close(self) -> None: ...


@dataclass(frozen=True)
class TableFile:
    """A FeatureFile from a table. place: what messages call a row; no_video: what stands in the column of videos where
    the tool was given no name."""

    path: Path
    source: Source
    options: ReadOptions
    place: Callable[[int], str] = row_place
    no_video: str = ""

    def close(self) -> None:
        self.source.close()

    @cached_property
    def keys(self) -> Keys:
        return find_keys(self.path, self.source.schema.names, self.options)

    @cached_property
    def columns(self) -> list[str]:
        """The columns of the features: one of lists, or one per number. Raises DataError when there is none."""
        return feature_columns(self.path, self.source.schema, self.keys, self.options)

    @property
    def exported(self) -> Mapping[str, Any] | None:
        text = (self.source.schema.metadata or {}).get(EXPORT_KEY.encode())
        return None if text is None or b'"crc32"' not in text else exported_meta(self.path, text)

    @property
    def videos(self) -> tuple[str, ...]:
        return tuple(self._rows_of)

    @cached_property
    def _rows_of(self) -> dict[str, NDArray[np.int64]]:
        """Video -> its rows; empty without a column that names videos."""
        if self.keys.video is None:
            return {}
        column = self.source.read([self.keys.video]).column(0).combine_chunks()
        if column.null_count:
            row = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
            raise DataError(f"{self.path}: {self.place(row)}: its column '{self.keys.video}' names no video")
        try:
            encoded = column.cast(pa.string()).dictionary_encode()
        except pa.ArrowException:
            raise DataError(f"{self.path}: its column '{self.keys.video}' holds {column.type}, not names") from None
        codes = encoded.indices.to_numpy()
        names = [_video_name(str(name), self.options.known) for name in encoded.dictionary.to_pylist()]
        if names == [self.no_video]:
            return {}
        order = np.argsort(codes, kind="stable")
        parts = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
        found: dict[str, NDArray[np.int64]] = {}
        for name, rows in zip(names, parts, strict=True):
            found[name] = np.sort(np.concatenate([found[name], rows])) if name in found else rows
        return found

    def rows(self, video: str | None) -> VideoRows:
        where = str(self.path) if video is None else f"{self.path}: {video}"
        rows = np.arange(self.source.num_rows) if video is None else self._rows_of[video]
        if not len(rows):
            raise DataError(f"{where}: contains no row")
        start, stop = int(rows[0]), int(rows[-1]) + 1
        table = self.source.read(list(dict.fromkeys([*self.columns, *self.keys.used])), start, stop)
        if len(rows) < stop - start:
            table = table.take(pa.array(rows - start))

        def place(row: int) -> str:
            return self.place(int(rows[row]))

        values, present = self._values(table, where, place)
        keys = self.keys
        frames, times, valid, confidence = (
            self._numbers(table, name, where) for name in (keys.frame, keys.time, keys.valid, keys.confidence)
        )
        return VideoRows(
            where,
            values,
            None if frames is None else whole_numbers(frames, where, place),
            times,
            _valid(present, valid, confidence, self.options.min_confidence),
            self.exported is not None,
            () if is_list(self.source.schema.field(self.columns[0]).type) else tuple(map(plain_name, self.columns)),
            place,
        )

    def _numbers(self, table: pa.Table, name: str | None, where: str) -> NDArray[np.float64] | None:
        """(N,) a column as numbers, NaN for null. Raises DataError for a column of something else."""
        return None if name is None else _column(table, name, where).astype(np.float64)

    def _values(
        self, table: pa.Table, where: str, place: Callable[[int], str]
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """(N, D), and (N,) False where a list is null; None for columns of numbers."""
        if is_list(table.schema.field(self.columns[0]).type):
            width = (self.exported or {}).get("meta", {}).get("feature_dim", 0)
            return _list_values(table.column(self.columns[0]), f"{where}: column '{self.columns[0]}'", place, width)
        parts = [_column(table, name, where) for name in self.columns]
        values = np.empty((table.num_rows, len(parts)), dtype=np.result_type(np.float32, *parts))
        for index, part in enumerate(parts):
            values[:, index] = part
        return values, None


def _column(table: pa.Table, name: str, where: str) -> NDArray[Any]:
    """(N,) the numbers of a column, NaN for null."""
    kind = table.schema.field(name).type
    if not is_number(kind):
        raise DataError(f"{where}: column '{plain_name(name)}' holds {kind}, not numbers")
    column = table.column(name)
    if pa.types.is_boolean(kind):
        column = column.cast(pa.uint8())
    values: NDArray[Any] = column.to_numpy()
    return values


def _list_values(
    column: pa.ChunkedArray, where: str, place: Callable[[int], str], width: int
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """(N, D), and (N,) False where the list is null. width: D where all are null, 0 if it is not known.

    Raises DataError for lists of different lengths.
    """
    if not is_number(column.type.value_type):
        raise DataError(f"{where}: holds lists of {column.type.value_type}, not of numbers")
    present: NDArray[np.bool_] = column.is_valid().to_numpy(zero_copy_only=False)
    lengths = pc.list_value_length(column).fill_null(-1).to_numpy()
    dim = int(lengths[present][0]) if present.any() else width
    wrong = np.flatnonzero(present & (lengths != dim))
    if len(wrong):
        row = int(wrong[0])
        raise DataError(f"{where}: {place(row)}: expected {dim} numbers, as in the first row, found {lengths[row]}")
    if not dim:
        raise DataError(f"{where}: contains no numbers")
    flat = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.drop_null().chunks]
    given = np.concatenate([np.empty(0, np.float16), *flat]).reshape(-1, dim)
    if present.all():
        return given, present
    values = np.zeros((len(present), dim), dtype=given.dtype)
    values[present] = given
    return values, present


def _valid(
    present: NDArray[np.bool_] | None,
    valid: NDArray[np.float64] | None,
    confidence: NDArray[np.float64] | None,
    min_confidence: float,
) -> NDArray[np.bool_] | None:
    """(N,) where the tool found what it describes; None where the table does not say."""
    parts = [] if present is None else [present]
    if valid is not None:
        parts.append(valid == 1)
    if confidence is not None:
        parts.append((confidence > 0) & (confidence >= min_confidence))
    return np.asarray(np.logical_and.reduce(parts)) if parts else None


def _video_name(text: str, known: Any) -> str:
    """The name of a video from a table: without quotes, folders and the suffix of a video file."""
    name = Path(plain_name(text)).name or plain_name(text)
    stem = Path(name).stem
    return stem if name not in known and stem in known else name
