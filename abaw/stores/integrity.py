"""Checks that a store is the file that was written: a checksum over its bytes, and limits on what reading may cost.

An Arrow file is `ARROW1`, a stream of messages (schema, record batches) and a footer. `sealed_writer` ends the stream
with a record batch of no rows whose metadata hold the number of bytes before it and their CRC-32, and says in the
schema that it does. Every Arrow reader passes over that batch; `read_verified` checks it and then reads the rows from
exactly those bytes.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pyarrow as pa

_MAGIC_BYTES = 8
_SEALED_KEY = b"abaw_sealed"
_BYTES_KEY = b"abaw_bytes"
_CRC_KEY = b"abaw_crc32"
_CRC_BLOCK = 1 << 24


class DamagedError(Exception):
    """The bytes are not those that were written, or reading them could exhaust the memory; the message says which."""


class _CountingFile:
    """A binary file that keeps the number of bytes written to it and their CRC-32."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.closed = False
        self.num_bytes = 0
        self.crc = 0

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        self._file.write(view)
        self.num_bytes += view.nbytes
        self.crc = zlib.crc32(view, self.crc)
        return view.nbytes

    def tell(self) -> int:
        return self.num_bytes

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self.closed = True

    @staticmethod
    def readable() -> bool:
        return False

    @staticmethod
    def writable() -> bool:
        return True

    @staticmethod
    def seekable() -> bool:
        return False


@contextmanager
def sealed_writer(path: Path, schema: pa.Schema) -> Iterator[pa.ipc.RecordBatchFileWriter]:
    """A writer of record batches to a new file, which on leaving without an error is sealed with its checksum."""
    schema = schema.with_metadata({**(schema.metadata or {}), _SEALED_KEY: b"crc32"})
    with path.open("wb") as file:
        counted = _CountingFile(file)
        with pa.ipc.new_file(pa.PythonFile(counted, "w"), schema) as writer:
            yield writer
            empty = pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)
            if not counted.num_bytes:  # the schema is written with the first batch
                writer.write_batch(empty)
            seal = {_BYTES_KEY: str(counted.num_bytes).encode(), _CRC_KEY: f"{counted.crc:08x}".encode()}
            writer.write_batch(empty, custom_metadata=seal)


def read_verified(path: Path, checked: bool = False) -> pa.Table:
    """All rows of an Arrow file, memory-mapped, after its checksum was compared; without one, its structure is checked.

    checked: another process has done so; nothing is compared again, and the rows are not read. Raises DamagedError when
    bytes differ from those that were written, and for compressed buffers, whose stated size may be anything. Raises
    what pyarrow raises for a file that is no Arrow file.
    """
    with pa.memory_map(os.fsencode(path)) as source:
        whole = source.read_buffer(source.size())
    _refuse_compression(whole)
    reader = pa.ipc.open_file(whole)
    with pa.ipc.open_stream(whole.slice(_MAGIC_BYTES)) as stream:
        if not stream.schema.equals(reader.schema, check_metadata=True):
            raise DamagedError("its footer contradicts its schema")
    if _SEALED_KEY not in (reader.schema.metadata or {}):
        table = reader.read_all()
        table.validate(full=not checked)
        return table
    return pa.ipc.open_stream(_sealed_bytes(reader, whole, checked)).read_all()


def _sealed_bytes(reader: pa.ipc.RecordBatchFileReader, whole: pa.Buffer, checked: bool) -> pa.Buffer:
    """The stream of messages that the seal covers, after comparison with its checksum unless `checked`."""
    last = reader.num_record_batches - 1
    seal = {} if last < 0 else reader.get_batch_with_custom_metadata(last).custom_metadata or {}
    if _BYTES_KEY not in seal or _CRC_KEY not in seal:
        raise DamagedError("its checksum is missing: it is damaged, or another program rewrote it")
    num_bytes = int(seal[_BYTES_KEY])
    if not _MAGIC_BYTES < num_bytes <= whole.size:
        raise DamagedError(f"its checksum covers {num_bytes} bytes, the file has {whole.size}")
    if not checked and f"{_crc(memoryview(whole)[:num_bytes]):08x}" != seal[_CRC_KEY].decode("ascii", "replace"):
        raise DamagedError("its bytes do not match its checksum: the disk or a copy damaged it")
    return whole.slice(_MAGIC_BYTES, num_bytes - _MAGIC_BYTES)


def _crc(view: memoryview) -> int:
    crc = 0
    for start in range(0, len(view), _CRC_BLOCK):
        crc = zlib.crc32(view[start : start + _CRC_BLOCK], crc)
    return crc


def _refuse_compression(whole: pa.Buffer) -> None:
    if whole.size <= _MAGIC_BYTES:
        return
    for message in pa.ipc.MessageReader.open_stream(whole.slice(_MAGIC_BYTES)):
        if message.type == "record batch" and _is_compressed(memoryview(message.metadata)):
            raise DamagedError("its buffers are compressed, which no store of this program is")


def _is_compressed(metadata: memoryview) -> bool:
    """Whether the RecordBatch in a Message flatbuffer has its field `compression` (the fourth) set."""
    message = _int(metadata, 0)
    header = _field(metadata, message, 2)
    if header is None:
        return False
    return _field(metadata, header + _int(metadata, header), 3) is not None


def _field(data: memoryview, table: int, index: int) -> int | None:
    """The position of field `index` of the flatbuffer table at `table`; None when it is not set."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    size = struct.unpack_from("<H", data, vtable)[0]
    place = 4 + 2 * index
    offset = struct.unpack_from("<H", data, vtable + place)[0] if place + 2 <= size else 0
    return table + offset if offset else None


def _int(data: memoryview, place: int) -> int:
    value: int = struct.unpack_from("<I", data, place)[0]
    return value
