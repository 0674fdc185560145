"""`.npy`: one array (T, D), memory-mapped; objects are never unpickled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abaw.core.reading import read_errors
from abaw.importing.features.arrays import ArrayFile, Leaf
from abaw.importing.features.rows import ReadOptions

_DAMAGED = (ValueError, EOFError)


def open_file(path: Path, options: ReadOptions) -> ArrayFile:
    def load() -> NDArray[Any]:
        with read_errors(path, "not readable as one array of numbers", "write it with numpy.save", _DAMAGED):
            values: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
            return values

    return ArrayFile(path, Leaf(load), options)
