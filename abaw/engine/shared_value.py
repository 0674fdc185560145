"""One value for many processes: its arrays are in a file that all of them map, so memory holds them once."""

from __future__ import annotations

import mmap
import os
import pickle
import tempfile
from collections.abc import Mapping
from itertools import pairwise
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

from abaw.core.artifacts import storage_errors

Value = TypeVar("Value")

_ALIGNMENT = 64


class Shared(Generic[Value]):
    """A value that goes to a new process as the handle of a file; `get()` maps its arrays there.

    The file has no name: it takes disk space in `folder` until the last process is done with it, however that ends.
    Arrays are mapped copy-on-write: no process sees what another one writes into them.
    """

    def __init__(self, value: Value, folder: Path) -> None:
        buffers: list[pickle.PickleBuffer] = []
        self._pickled = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
        self._ends = [0]
        with storage_errors(folder):
            self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 it lives as long as this object
            for buffer in buffers:
                data = buffer.raw()
                padding = -len(data) % _ALIGNMENT
                self._file.write(data)
                self._file.write(bytes(padding))
                self._ends += [self._ends[-1] + len(data), self._ends[-1] + len(data) + padding]
            self._file.flush()

    def get(self) -> Value:
        value: Value = _mapped(self._pickled, self._ends, self._file.fileno())
        return value

    def __getstate__(self) -> Mapping[str, Any]:
        return {"pickled": self._pickled, "ends": self._ends, "file": DupFd(self._file.fileno())}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self._pickled, self._ends = state["pickled"], state["ends"]
        self._file = os.fdopen(state["file"].detach(), "rb")


def _mapped(pickled: bytes, ends: list[int], descriptor: int) -> Any:
    """ends: where each array begins and ends, its padding between it and the next one."""
    whole = memoryview(mmap.mmap(descriptor, ends[-1], access=mmap.ACCESS_COPY) if ends[-1] else b"")
    pieces = [whole[first:last] for first, last in pairwise(ends)][::2]
    return pickle.loads(pickled, buffers=pieces)
