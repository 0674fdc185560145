"""What all stores share: Arrow IPC files with kind and provenance in the schema's metadata, sealed by a checksum."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from abaw.core.artifacts import atomic_path, quick_hash, utf8, value_hash
from abaw.core.errors import DataError
from abaw.core.folders import is_system_file
from abaw.core.reading import read_errors, require_regular, why_unreadable
from abaw.core.text import listed
from abaw.stores.folders import files_in
from abaw.stores.integrity import DamagedError, read_verified, sealed_writer

SUFFIX = ".arrow"
_META_KEY = b"abaw"
_AGAIN = "remove it and run the command that made it again"
_UNREADABLE = (pa.ArrowException, DamagedError, ValueError, KeyError, struct.error, RecursionError, UnicodeError)


class StoreError(DataError):
    """A store that is missing, damaged, or of another kind than the command needs."""


@contextmanager
def store_writer(
    path: Path, kind: str, schema: pa.Schema, meta: Mapping[str, Any]
) -> Iterator[Callable[[pa.RecordBatch], None]]:
    """Takes the batches of a store one by one. The file is complete when the context ends, and absent after an error.

    Raises StorageError when writing fails.
    """
    described = schema.with_metadata({_META_KEY: utf8(json.dumps({"kind": kind, **meta}, ensure_ascii=False))})
    with atomic_path(path) as temporary, sealed_writer(temporary, described) as writer:

        def write(batch: pa.RecordBatch) -> None:
            writer.write_batch(batch.cast(schema) if batch.schema != schema else batch)

        yield write


def write_store(
    path: Path,
    kind: str,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    meta: Mapping[str, Any],
) -> int:
    """Stream the batches into `path` and return the number of rows. The file is complete or absent.

    Raises StorageError when writing fails. An error raised by `batches` is passed on, and no file is left.
    """
    rows = 0
    with store_writer(path, kind, schema, meta) as write:
        for batch in batches:
            write(batch)
            rows += batch.num_rows
    return rows


@dataclass(frozen=True, slots=True)
class OpenStore:
    """A memory-mapped store. table: all rows, read from disk on access; meta: kind and provenance."""

    path: Path
    table: pa.Table
    meta: Mapping[str, Any]

    def require_finite(self, values: NDArray[np.floating], rows: NDArray[np.integer], what: str) -> None:
        """Raise StoreError, naming the first row at fault, unless `values` (N, ...) of the `rows` (N,) are finite."""
        self.require_all(np.isfinite(values).all(axis=tuple(range(1, values.ndim))), rows, what)

    def require_all(self, finite: NDArray[np.bool_], rows: NDArray[np.integer], what: str) -> None:
        """Raise StoreError, naming the first row at fault, unless all of the `rows` (N,) are finite, (N,)."""
        if not finite.all():
            place = int(rows[finite.argmin()])
            raise StoreError(
                f"{self.path}: {what} of row {place + 1} is not a finite number ({int((~finite).sum())} such rows); "
                f"the store is damaged or was made by a damaged model; {_AGAIN}"
            )


def read_meta(path: Path) -> Mapping[str, Any] | None:
    """The metadata of a store, or None when there is no store at that path, or a damaged one.

    Raises StoreError for a file that cannot be read at all (no permission, no memory): what it holds is not known.
    """
    require_regular(path, StoreError)
    try:
        with pa.memory_map(os.fsencode(path)) as source:
            return _meta_of(pa.ipc.open_file(source).schema)
    except FileNotFoundError:
        return None
    except (OSError, MemoryError, *_UNREADABLE) as error:
        reason = why_unreadable(error)
        if reason is None:
            return None
        raise StoreError(f"{path}: {reason}") from error


def is_done(path: Path, fingerprint: str) -> bool:
    """True when `path` is a store made from the same input with the same settings (`fingerprint` in its metadata).

    False when there is none. Raises StoreError when another store is there: nothing is overwritten.
    """
    if not path.exists():
        return False
    meta = read_meta(path)
    if meta is not None and meta.get("fingerprint") == fingerprint:
        return True
    raise StoreError(f"{path}: was made from another input or with other settings; choose another --out or remove it")


def open_store(path: Path, kind: str, columns: Mapping[str, pa.DataType], checked: bool = False) -> OpenStore:
    """Map a store after checking it. columns: the type of each column that it must have; checked: see `read_verified`.

    Raises StoreError when it is missing, unreadable, damaged, of another kind, or lacks a column of that type.
    """
    with _opening(path):
        table = read_verified(path, checked)
        meta = _meta_of(table.schema)
    described = _of_kind(path, kind, meta)
    require_columns(path, table.schema, columns)
    return OpenStore(path, table, described)


@dataclass(frozen=True, slots=True)
class StoreHeader:
    """What a store says about itself: its columns and its provenance."""

    columns: tuple[str, ...]
    meta: Mapping[str, Any]


def read_header(path: Path, kind: str) -> StoreHeader:
    """The header of a store, without reading its rows: its checksum is not compared.

    Raises StoreError when the store is missing, unreadable, or of another kind.
    """
    with _opening(path), pa.memory_map(os.fsencode(path)) as source:
        schema = pa.ipc.open_file(source).schema
        meta = _meta_of(schema)
    return StoreHeader(tuple(schema.names), _of_kind(path, kind, meta))


@contextmanager
def _opening(path: Path) -> Iterator[None]:
    if not path.exists():
        raise StoreError(f"{path}: no such store")
    if path.is_dir():
        raise StoreError(f"{path}: is a folder; give one store, a file {SUFFIX}")
    require_regular(path, StoreError)
    with read_errors(path, "not a readable store", _AGAIN, _UNREADABLE, StoreError):
        yield


def _of_kind(path: Path, kind: str, meta: Mapping[str, Any] | None) -> Mapping[str, Any]:
    found = meta.get("kind") if meta else None
    if meta is None or found != kind:
        raise StoreError(f"{path}: expected a store of {kind}, found {found or 'an Arrow file of another program'}")
    return meta


def require_columns(path: Path, schema: pa.Schema, columns: Mapping[str, pa.DataType]) -> None:
    """Raise StoreError unless the schema has these columns, once each, of these types."""
    missing = [name for name in columns if name not in schema.names]
    if missing:
        raise StoreError(f"{path}: lacks the columns {', '.join(missing)}; it was written by another version")
    for name, expected in columns.items():
        places = schema.get_all_field_indices(name)
        if len(places) > 1 or schema.field(places[0]).type != expected:
            found = "the column more than once" if len(places) > 1 else schema.field(places[0]).type
            raise StoreError(f"{path}: column {name}: expected {expected}, found {found}; {_AGAIN}")


def types_of(schema: pa.Schema) -> dict[str, pa.DataType]:
    """Column name -> type."""
    return {field.name: field.type for field in schema}


def require_frames(store: OpenStore) -> None:
    """Raise StoreError unless its rows are the frames 1, 2, 3, … and its column `valid` has a value in each."""
    frames, valid = store.table.column("frame"), store.table.column("valid")
    if frames.null_count or not np.array_equal(frames.to_numpy(), np.arange(1, len(frames) + 1)):
        raise StoreError(f"{store.path}: expected one row for each of the frames 1, 2, 3, …; {_AGAIN}")
    if valid.null_count:
        raise StoreError(f"{store.path}: its column `valid` has {valid.null_count} rows without a value; {_AGAIN}")


def _meta_of(schema: pa.Schema) -> Mapping[str, Any] | None:
    raw = (schema.metadata or {}).get(_META_KEY)
    if raw is None:
        return None
    meta = json.loads(raw)
    if not isinstance(meta, dict):
        raise DamagedError(f"its metadata are {type(meta).__name__}, not an object of keys and values")
    return meta


def find_stores(paths: Iterable[Path]) -> list[Path]:
    """Store files among the paths and in the folders (see StoreFolders), in order of name per folder.

    Raises StoreError when a path is missing or a folder has no store, and DataError when a folder cannot be read.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise StoreError(f"{path}: no such file or folder")
        if path.is_dir():
            below = list(files_in(path, SUFFIX))
            if not below:
                raise StoreError(f"{path}: contains no store (*{SUFFIX}){_inner_folders(path)}")
            found += below
        else:
            found.append(path)
    return found


def stores_by_name(paths: Iterable[Path]) -> dict[str, Path]:
    """What `find_stores` finds, by name. Raises StoreError as well for two stores of one name."""
    found: dict[str, Path] = {}
    for path in find_stores(paths):
        other = found.setdefault(path.stem, path)
        if other is not path:
            raise StoreError(f"two stores are named '{path.stem}': {other} and {path}; give one of them")
    return found


def _inner_folders(path: Path) -> str:
    """Which sub-folders have stores, as those of `extract` with several kinds of crop; empty if none has."""
    inner = sorted({file.parent.name for file in path.glob(f"*/*{SUFFIX}") if not is_system_file(file.name)})
    return f"; give one of its folders that have: {listed(inner)}" if inner else ""


@dataclass(frozen=True, slots=True)
class NamedStore:
    """A store of one video, subject or image set. meta: its provenance."""

    name: str
    store: OpenStore

    def __len__(self) -> int:
        return int(self.store.table.num_rows)

    @property
    def meta(self) -> Mapping[str, Any]:
        return self.store.meta

    @property
    def fingerprint(self) -> str:
        """Identifies what the store was made from; for a store that does not record it, its own content."""
        found = str(self.meta.get("fingerprint") or quick_hash(self.store.path))
        # A correction changes who is shown, and what the store is made from stays.
        correction = self.meta.get("correction")
        return found if correction is None else value_hash([found, correction])


def learned_from(stores: Iterable[NamedStore]) -> list[str]:
    """The names of the stores from which the networks that made these have learned: `trained_on` in their metadata."""
    return sorted({name for store in stores for name in store.meta.get("trained_on", ())})
