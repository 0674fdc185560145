"""`.pt`, `.pth`: tensors, alone or in dictionaries. Loaded as weights only, so nothing in the file is executed."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from abaw.core.reading import read_errors
from abaw.importing.features.arrays import ArrayFile, Leaf, tree_of
from abaw.importing.features.rows import ReadOptions

if TYPE_CHECKING:
    from torch import Tensor

_DAMAGED = (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, KeyError, AttributeError, TypeError, IndexError)


def open_file(path: Path, options: ReadOptions) -> ArrayFile:
    # Loaded on use: other formats do not need it, and it takes seconds.
    import torch

    remedy = "save tensors, or a dictionary of tensors, with torch.save"
    with read_errors(path, "not readable with torch.load(…, weights_only=True)", remedy, _DAMAGED):
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    return ArrayFile(path, tree_of(path, content, lambda value, name: _leaf(path, value, name)), options)


def _leaf(path: Path, value: Any, name: str) -> Leaf | None:
    # Loaded on use: other formats do not need it, and it takes seconds.
    import torch

    return Leaf(_loader(path, name, value)) if isinstance(value, torch.Tensor) else None


def _loader(path: Path, name: str, tensor: Tensor) -> Callable[[], NDArray[Any]]:
    def load() -> NDArray[Any]:
        with read_errors(path, f"its tensor {name!r} has no dense numbers", "save dense tensors", _DAMAGED):
            dense = tensor.detach()
            return np.asarray((dense.float() if str(dense.dtype) == "torch.bfloat16" else dense).numpy())

    return load
