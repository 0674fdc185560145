"""Tables: a row per frame or time stamp, with the features in one column of lists or in a column each.

Shapes: N rows, D numbers per row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from abaw.core.errors import ConfigError, DataError, nearest
from abaw.core.text import listed
from abaw.importing.features.exported import exported_meta
from abaw.importing.features.rows import (
    EXPORT_KEY,
    FEATURE_NAMES,
    FRAME_NAMES,
    TIME_NAMES,
    VALID_NAMES,
    ReadOptions,
    VideoRows,
    row_place,
    whole_numbers,
)

_CONFIDENCE_NAMES = ("confidence", "facescore")
_VIDEO_NAMES = ("video",)
_OTHER_NAMES = ("face_id", "input", "approx_time", "identity", "", "unnamed: 0", "__index_level_0__")
"""Columns of OpenFace and py-feat that are no features, and those in which pandas writes the numbers of its rows."""
_SHOWN = 4


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


@dataclass(frozen=True, slots=True)
class Keys:
    """The columns that are no features, by their names in the file; None for what the table lacks."""

    video: str | None
    frame: str | None
    time: str | None
    valid: str | None
    confidence: str | None

    @property
    def used(self) -> list[str]:
        found = (self.video, self.frame, self.time, self.valid, self.confidence)
        return [name for name in found if name is not None]


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
        table = self.source.read([*self.columns, *self.keys.used], start, stop)
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
            () if _is_list(self.source.schema.field(self.columns[0]).type) else tuple(self._plain_columns),
            place,
        )

    @property
    def _plain_columns(self) -> list[str]:
        return [plain_name(name) for name in self.columns]

    def _numbers(self, table: pa.Table, name: str | None, where: str) -> NDArray[np.float64] | None:
        """(N,) a column as numbers, NaN for null. Raises DataError for a column of something else."""
        return None if name is None else _column(table, name, where).astype(np.float64)

    def _values(
        self, table: pa.Table, where: str, place: Callable[[int], str]
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """(N, D), and (N,) False where a list is null; None for columns of numbers."""
        if _is_list(table.schema.field(self.columns[0]).type):
            width = (self.exported or {}).get("meta", {}).get("feature_dim", 0)
            return _list_values(table.column(self.columns[0]), f"{where}: column '{self.columns[0]}'", place, width)
        parts = [_column(table, name, where) for name in self.columns]
        values = np.empty((table.num_rows, len(parts)), dtype=np.result_type(np.float32, *parts))
        for index, part in enumerate(parts):
            values[:, index] = part
        return values, None


def plain_name(name: str) -> str:
    """OpenFace writes a space before the names of its columns, and other tools quotes around them."""
    return name.strip().strip("'\"")


def find_keys(path: Path, names: Sequence[str], options: ReadOptions) -> Keys:
    """Which columns say what a row is. Raises ConfigError for a column given by name that does not exist, and DataError
    for a name that occurs twice."""
    by_name = {plain_name(name): name for name in names}
    if len(by_name) < len(names):
        twice = next(name for name in by_name if [plain_name(each) for each in names].count(name) > 1)
        raise DataError(f"{path}: has two columns named '{twice}'; rename one of them")

    def key(given: str, setting: str, usual: Sequence[str]) -> str | None:
        if given and given not in by_name:
            raise ConfigError(
                f"--{setting} {given}: {path} has no such column; it has {listed(list(by_name))}."
                f"{nearest(given, by_name)}"
            )
        if given:
            return by_name[given]
        return next((name for plain, name in by_name.items() if plain.lower() in usual), None)

    return Keys(
        key(options.video_column, "video_column", _VIDEO_NAMES),
        key(options.frame_column, "frame_column", FRAME_NAMES),
        key(options.time_column, "time_column", TIME_NAMES),
        key("", "", VALID_NAMES),
        key("", "", _CONFIDENCE_NAMES),
    )


def feature_columns(path: Path, schema: pa.Schema, keys: Keys, options: ReadOptions) -> list[str]:
    """The columns of the features, in the order of the file. Raises ConfigError for a pattern without a column, and
    DataError when there is no column, or one of text."""
    others = [name for name in schema.names if name not in keys.used and plain_name(name).lower() not in _OTHER_NAMES]
    lists = [name for name in others if _is_list(schema.field(name).type)]
    if options.columns:
        plain = [plain_name(name) for name in schema.names]
        for pattern in options.columns:
            if not any(fnmatchcase(name, pattern) for name in plain):
                raise ConfigError(f"--columns {pattern}: {path} has no such column.{nearest(pattern, plain)}")
        chosen = [
            name for name in schema.names if any(fnmatchcase(plain_name(name), pattern) for pattern in options.columns)
        ]
    else:
        usual = [name for name in lists if plain_name(name).lower() in FEATURE_NAMES]
        chosen = usual[:1] or lists or others
    if not chosen:
        raise DataError(f"{path}: has no columns of features, only {listed(schema.names)}")
    if len(chosen) > 1 and any(_is_list(schema.field(name).type) for name in chosen):
        raise DataError(f"{path}: has several columns of lists: {listed(chosen)}; choose one with --columns")
    for name in chosen:
        kind = schema.field(name).type
        if not (_is_number(kind) or _is_list(kind)):
            raise DataError(f"{path}: column '{plain_name(name)}' holds {kind}, not numbers; choose with --columns")
    return chosen


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _column(table: pa.Table, name: str, where: str) -> NDArray[Any]:
    """(N,) the numbers of a column, NaN for null."""
    kind = table.schema.field(name).type
    if not _is_number(kind):
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
    if not _is_number(column.type.value_type):
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
