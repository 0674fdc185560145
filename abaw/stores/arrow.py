"""What all stores share: Arrow IPC files with the kind and the provenance in the schema's metadata."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from abaw.core.artifacts import atomic_path
from abaw.core.errors import DataError

SUFFIX = ".arrow"
_META_KEY = b"abaw"


class StoreError(DataError):
    """A store that is missing, damaged, or of another kind than the command needs."""


def write_store(
    path: Path,
    kind: str,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    meta: Mapping[str, Any],
) -> int:
    """Stream the batches into `path`, whole or not at all, and return the number of rows.

    Raises StorageError when writing fails; an error of `batches` passes through and leaves nothing behind.
    """
    described = schema.with_metadata({_META_KEY: json.dumps({"kind": kind, **meta}, ensure_ascii=False).encode()})
    rows = 0
    with (
        atomic_path(path) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_file(sink, described) as writer,
    ):
        for batch in batches:
            writer.write_batch(batch.cast(schema) if batch.schema != schema else batch)
            rows += batch.num_rows
    return rows


@dataclass(frozen=True, slots=True)
class OpenStore:
    """A store read through a memory map. table: all rows, on disk until touched; meta: kind and provenance."""

    path: Path
    table: pa.Table
    meta: Mapping[str, Any]


def read_meta(path: Path) -> Mapping[str, Any] | None:
    """The metadata of a store, or None when there is no whole store at that path."""
    try:
        with pa.memory_map(str(path)) as source:
            return _meta_of(pa.ipc.open_file(source).schema)
    except (OSError, pa.ArrowInvalid, ValueError):
        return None


def is_done(path: Path, fingerprint: str) -> bool:
    """True when `path` is a whole store made from the same input with the same settings (`fingerprint` in its meta).

    False when there is none. Raises StoreError when another one stands there: nothing is overwritten.
    """
    if not path.exists():
        return False
    meta = read_meta(path)
    if meta is not None and meta.get("fingerprint") == fingerprint:
        return True
    raise StoreError(f"{path}: was made from another input or with other settings; choose another --out or remove it")


def open_store(path: Path, kind: str, required: Iterable[str]) -> OpenStore:
    """Map a store. Raises StoreError when it is missing, no Arrow file, of another kind, or lacks a column."""
    if not path.exists():
        raise StoreError(f"{path}: no such store")
    try:
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except (OSError, pa.ArrowInvalid) as error:
        raise StoreError(f"{path}: not a readable store ({error}); remove it and run its command again") from error
    meta = _meta_of(table.schema)
    found = meta.get("kind") if meta else None
    if meta is None or found != kind:
        raise StoreError(f"{path}: expected a store of {kind}, found {found or 'an Arrow file of other origin'}")
    missing = [name for name in required if name not in table.column_names]
    if missing:
        raise StoreError(f"{path}: lacks the columns {', '.join(missing)}; it was written by another version")
    return OpenStore(path, table, meta)


def _meta_of(schema: pa.Schema) -> Mapping[str, Any] | None:
    raw = (schema.metadata or {}).get(_META_KEY)
    if raw is None:
        return None
    meta: dict[str, Any] = json.loads(raw)
    return meta


def find_stores(paths: Iterable[Path]) -> list[Path]:
    """Store files among the paths and directly in the folders, by name. Raises StoreError when there is none."""
    found: list[Path] = []
    for path in paths:
        below = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
        if not below or not path.exists():
            raise StoreError(f"{path}: no store (*{SUFFIX}) there")
        found += below
    return found
