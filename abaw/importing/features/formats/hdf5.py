"""HDF5: data sets by name, in groups; each is read on use. Needs h5py (the extra `hdf5`)."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import ConfigError, DataError
from abaw.core.reading import read_errors
from abaw.importing.features.arrays import ArrayFile, Leaf, Node
from abaw.importing.features.rows import ReadOptions

_DAMAGED = (ValueError, KeyError, TypeError, RuntimeError, OSError)


def open_file(path: Path, options: ReadOptions) -> ArrayFile:
    """Raises ConfigError without h5py."""
    try:
        h5py = import_module("h5py")
    except ImportError as error:
        raise ConfigError(f"{path}: HDF5 needs h5py; install it: pip install h5py") from error
    with read_errors(path, "not readable as HDF5", "write it with h5py", _DAMAGED):
        file = h5py.File(os.fsencode(path), "r")
    try:
        return ArrayFile(path, _tree(h5py, path, file), options, file.close)
    except BaseException:
        file.close()
        raise


def _tree(h5py: Any, path: Path, group: Any) -> dict[str, Node]:
    """Raises DataError for links into other files."""
    found: dict[str, Node] = {}
    for name in group:
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise DataError(f"{path}: '{name}' is a link; write a file that holds all its arrays itself")
        child = group[name]
        if isinstance(child, h5py.Dataset):
            if child.is_virtual or child.external:
                raise DataError(f"{path}: '{name}' is in another file; write a file that holds all its arrays itself")
            found[name] = Leaf(_loader(path, name, child))
        else:
            found[name] = _tree(h5py, path, child)
    return found


def _loader(path: Path, name: str, dataset: Any) -> Callable[[], NDArray[Any]]:
    def load() -> NDArray[Any]:
        with read_errors(path, f"its data set '{name}' is not readable", "write it with h5py", _DAMAGED):
            return np.asarray(dataset[()])

    return load
