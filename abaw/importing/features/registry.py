"""The formats that can be imported, by the suffix of the file. A new one is a module in `formats/` and a line here."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from abaw.core.errors import DataError
from abaw.core.text import listed
from abaw.importing.features.rows import FeatureFile, ReadOptions

_FORMATS = {
    ".npy": "npy",
    ".npz": "npz",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv_file",
    ".tsv": "csv_file",
    ".arrow": "arrow_file",
    ".feather": "arrow_file",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".pt": "torch_file",
    ".pth": "torch_file",
    ".pkl": "pickled",
    ".pickle": "pickled",
}
SUFFIXES = tuple(_FORMATS)


def is_feature_file(path: Path) -> bool:
    """By its suffix."""
    return path.suffix.lower() in _FORMATS


def open_feature_file(path: Path, options: ReadOptions) -> FeatureFile:
    """Raises DataError for an unknown kind of file and for one that is damaged."""
    if not is_feature_file(path):
        raise DataError(f"{path}: unknown kind of file; expected one of {listed(SUFFIXES, len(SUFFIXES))}")
    # Loaded by name: a format brings in its library, which other formats do not need.
    module = import_module(f"abaw.importing.features.formats.{_FORMATS[path.suffix.lower()]}")
    file: FeatureFile = module.open_file(path, options)
    return file
