"""`.npz`: named arrays, each read on use; objects are never unpickled. Also what `abaw export-features` writes."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abaw.core.reading import read_errors
from abaw.importing.features.arrays import ArrayFile, Leaf
from abaw.importing.features.rows import ReadOptions

_DAMAGED = (ValueError, KeyError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error)


def open_file(path: Path, options: ReadOptions) -> ArrayFile:
    with read_errors(path, "not readable as .npz", "write it with numpy.savez", _DAMAGED):
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("it is no archive of arrays")

    def loader(name: str) -> Callable[[], NDArray[Any]]:
        def load() -> NDArray[Any]:
            with read_errors(path, f"its array '{name}' is not readable", "write it with numpy.savez", _DAMAGED):
                values: NDArray[Any] = archive[name]
                return values

        return load

    return ArrayFile(path, {name: Leaf(loader(name)) for name in archive.files}, options, archive.close)
