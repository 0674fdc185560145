"""One value for many processes: its arrays are in a file that all of them map, so memory holds them once."""

from __future__ import annotations

import mmap
import os
import pickle
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from itertools import pairwise
from multiprocessing.context import get_spawning_popen
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

from abaw.core.artifacts import TEMPORARY, storage_errors, temporary_path

Value = TypeVar("Value")

_ALIGNMENT = 64


class Shared(Generic[Value]):
    """A value that goes to a new process as the handle of a file; `get()` maps its arrays there.

    The file has no name: it takes disk space in `folder` until the last process is done with it, however that ends.
    Where a process cannot inherit the handle, as on another machine, it opens a named copy in `folder`, which is
    removed with this object; one that a killed process left is removed by the next write into `folder`.
    Arrays are mapped copy-on-write: no process sees what another one writes into them.
    """

    def __init__(self, value: Value, folder: Path) -> None:
        buffers: list[pickle.PickleBuffer] = []
        self._pickled = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
        self._ends = [0]
        self._folder = folder
        self._copy: Path | None = None
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
        inherited = get_spawning_popen() is not None
        file = DupFd(self._file.fileno()) if inherited else self._named_copy()
        return {"pickled": self._pickled, "ends": self._ends, "file": file}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self._pickled, self._ends = state["pickled"], state["ends"]
        file = state["file"]
        self._file = file.open("rb") if isinstance(file, Path) else os.fdopen(file.detach(), "rb")

    def _named_copy(self) -> Path:
        if self._copy is None:
            copy = temporary_path(self._folder.absolute() / "shared", TEMPORARY)
            weakref.finalize(self, copy.unlink, missing_ok=True)
            with storage_errors(copy), copy.open("wb") as target:
                self._file.seek(0)
                shutil.copyfileobj(self._file, target)
            self._copy = copy
        return self._copy


def _mapped(pickled: bytes, ends: list[int], descriptor: int) -> Any:
    """ends: where each array begins and ends, its padding between it and the next one."""
    whole = memoryview(mmap.mmap(descriptor, ends[-1], access=mmap.ACCESS_COPY) if ends[-1] else b"")
    pieces = [whole[first:last] for first, last in pairwise(ends)][::2]
    return pickle.loads(pickled, buffers=pieces)
