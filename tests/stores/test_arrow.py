"""The common part of all stores: complete or absent, and refused when they are something else."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from abaw.core.artifacts import StorageError
from abaw.stores.arrow import StoreError, find_stores, is_done, open_store, read_meta, write_store

SCHEMA = pa.schema([("frame", pa.int32())])


def batches(*sizes: int) -> Iterator[pa.RecordBatch]:
    for size in sizes:
        yield pa.record_batch([pa.array(range(size), pa.int32())], schema=SCHEMA)


def test_round_trip_in_several_batches(tmp_path: Path) -> None:
    path = tmp_path / "a b é.arrow"
    assert write_store(path, "test", SCHEMA, batches(2, 0, 3), {"fps": 25.0, "name": "é"}) == 5
    store = open_store(path, "test", {"frame": pa.int32()})
    assert store.table.column("frame").to_pylist() == [0, 1, 0, 1, 2]
    assert store.meta == {"kind": "test", "fps": 25.0, "name": "é"}
    assert read_meta(path) == store.meta


def test_any_arrow_reader_opens_it(tmp_path: Path) -> None:
    write_store(tmp_path / "a.arrow", "test", SCHEMA, batches(3), {})
    with pa.ipc.open_file(str(tmp_path / "a.arrow")) as reader:
        assert reader.read_all().num_rows == 3


def test_an_empty_store_is_a_store(tmp_path: Path) -> None:
    assert write_store(tmp_path / "a.arrow", "test", SCHEMA, [], {}) == 0
    assert open_store(tmp_path / "a.arrow", "test", {"frame": pa.int32()}).table.num_rows == 0


def test_an_error_of_the_source_leaves_no_file(tmp_path: Path) -> None:
    def broken() -> Iterator[pa.RecordBatch]:
        yield from batches(3)
        raise RuntimeError("decoder died")

    with pytest.raises(RuntimeError, match="decoder died"):
        write_store(tmp_path / "a.arrow", "test", SCHEMA, broken(), {})
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_and_says_so(tmp_path: Path) -> None:
    def full() -> Iterator[pa.RecordBatch]:
        yield from batches(3)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageError, match=r"a\.arrow: cannot write: the disk is full"):
        write_store(tmp_path / "a.arrow", "test", SCHEMA, full(), {})
    assert list(tmp_path.iterdir()) == []


def test_rows_of_another_schema_are_refused(tmp_path: Path) -> None:
    other = pa.record_batch([pa.array(["x"])], schema=pa.schema([("name", pa.string())]))
    with pytest.raises((pa.ArrowInvalid, ValueError)):
        write_store(tmp_path / "a.arrow", "test", SCHEMA, [other], {})
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_a_store_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    with pytest.raises(StoreError, match=r"a\.arrow: no such store"):
        open_store(path, "test", {})
    with pytest.raises(StoreError, match=r"is a folder; give one store, a file \.arrow$"):
        open_store(tmp_path, "test", {})
    path.write_bytes(b"rubbish")
    with pytest.raises(StoreError, match="not a readable store"):
        open_store(path, "test", {})
    assert read_meta(path) is None


def test_a_truncated_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    write_store(path, "test", SCHEMA, batches(5000), {})
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(StoreError, match="not a readable store"):
        open_store(path, "test", {})


def test_another_kind_and_missing_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    write_store(path, "faces", SCHEMA, batches(1), {})
    with pytest.raises(StoreError, match="expected a store of features, found faces"):
        open_store(path, "features", {})
    with pytest.raises(StoreError, match="lacks the columns jpeg"):
        open_store(path, "faces", {"frame": pa.int32(), "jpeg": pa.binary()})
    with pa.ipc.new_file(str(tmp_path / "other.arrow"), SCHEMA) as writer:
        writer.write_batch(next(batches(1)))
    with pytest.raises(StoreError, match="of another program"):
        open_store(tmp_path / "other.arrow", "faces", {})


def test_done_means_made_with_the_same_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    assert not is_done(path, "f1")
    write_store(path, "test", SCHEMA, batches(1), {"fingerprint": "f1"})
    assert is_done(path, "f1")
    with pytest.raises(StoreError, match="from another input or with other settings"):
        is_done(path, "f2")


def test_finding_stores(tmp_path: Path) -> None:
    for name in ("b", "a é"):
        write_store(tmp_path / f"{name}.arrow", "test", SCHEMA, [], {})
    (tmp_path / ".b.arrow.host-1-aa.tmp").touch()
    assert [path.stem for path in find_stores([tmp_path])] == ["a é", "b"]
    assert find_stores([tmp_path / "b.arrow"]) == [tmp_path / "b.arrow"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none", "none: no such file or folder"),
        ("none.arrow", r"none\.arrow: no such file or folder"),
        ("empty", "empty: contains no store"),
    ],
)
def test_no_stores(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError, match=message):
        find_stores([tmp_path / name])
