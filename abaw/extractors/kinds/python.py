"""`python:FILE.py`: an object of your own with `transform`, in the style of scikit-learn."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from abaw.core.device import Device
from abaw.core.errors import ConfigError
from abaw.core.python_file import load_python_file
from abaw.core.reading import read_errors
from abaw.core.text import one_line
from abaw.extractors.extractor import Extractor, measured_dim
from abaw.extractors.picture import require_side
from abaw.extractors.settings import ExtractorSettings

USES: Final = frozenset(("size", "crop", "source", "trained_on"))
_MODULE: Final = "abaw_extractor_file_"


def open_extractor(argument: str, settings: ExtractorSettings, device: Device, threads: int | None) -> Extractor:
    """argument: the path of a Python file that defines `EXTRACTOR`, an object with

    - `transform(crops)`: (B, S, S, 3) uint8 RGB arrays -> (B, D) numbers;
    - `size`: S in pixels, unless `--extractor.size` gives it;

    and, if its numbers depend on other files, `WEIGHTS`: their names, next to the file. It computes on the processor.
    Raises ConfigError for a file that fails or lacks one of these, and DataError when `transform` does not run.
    """
    path, name = Path(argument), f"python:{argument}"
    module = load_python_file(path, f"{_MODULE}{path.stem}", "an extractor", lambda made: _require(path, made))
    size = settings.size or getattr(module.EXTRACTOR, "size", None)
    if not isinstance(size, int):
        raise ConfigError(f"{name}: its size is not known; give EXTRACTOR the attribute size, or --extractor.size")
    require_side("size", size)
    network = _Network(module.EXTRACTOR)
    return Extractor(
        name,
        size,
        settings.expected_crop,
        network,
        measured_dim(network, size, name),
        _hash([path, *(path.parent / file for file in getattr(module, "WEIGHTS", ()))]),
        {"size": size},
        trained_on=settings.trained_on,
        origin={"name": name, "source": settings.source},
    )


def _require(path: Path, module: ModuleType) -> None:
    if not callable(getattr(vars(module).get("EXTRACTOR"), "transform", None)):
        raise ConfigError(f"{path}: defines no EXTRACTOR with a method transform; docs/extractors.md has an example")
    weights = vars(module).get("WEIGHTS", ())
    if isinstance(weights, str) or not all(isinstance(file, str) for file in weights):
        raise ConfigError(f"{path}: WEIGHTS is {weights!r}; expected a list of the names of files next to it")


class _Network:
    """Crops (B, 3, S, S) uint8 -> features (B, D)."""

    def __init__(self, extractor: Any) -> None:
        self._extractor = extractor

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.floating]:
        rows = np.ascontiguousarray(crops.transpose(0, 2, 3, 1))
        try:
            return np.asarray(self._extractor.transform(rows))
        except Exception as error:  # code of users can raise anything
            raise RuntimeError(f"{type(error).__name__}: {one_line(error)}") from error


def _hash(files: Sequence[Path]) -> str:
    """SHA-256 of the contents of files, in this order."""
    whole = hashlib.sha256()
    for file in files:
        with read_errors(file, "cannot be read", "correct WEIGHTS, or make the file"):
            whole.update(hashlib.sha256(file.read_bytes()).digest())
    return whole.hexdigest()
