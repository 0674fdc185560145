"""Faces stores -> the official layout of crops, `<video>/00001.jpg`: the stored JPEG bytes, no file without a face.

A folder of images does not say how many frames follow the last face, so `frames.csv` next to the folders does.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow.compute as pc

from abaw.core.artifacts import is_temporary, write_text
from abaw.core.errors import DataError
from abaw.core.folders import atomic_folder, is_system_file
from abaw.core.reading import read_errors
from abaw.core.text import csv_text, plain_cell
from abaw.engine.error_log import ERROR_LOG
from abaw.protocol.layout import frame_name
from abaw.stores.faces import FaceStore

LENGTHS = "frames.csv"
_HEADER = ["video", "frames"]


def read_lengths(folder: Path) -> dict[str, int]:
    """Number of frames by video of an exported folder, empty without a `frames.csv`. Raises DataError if damaged."""
    path = folder / LENGTHS
    if not path.is_file():
        return {}
    with read_errors(path, f"not readable as '{','.join(_HEADER)}'", "export again", (ValueError, csv.Error)):
        header, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines())
        if header == _HEADER:
            return {plain_cell(name): int(count) for name, count in rows}
    raise DataError(f"{path}:1: expected '{','.join(_HEADER)}', found '{','.join(header)[:60]}'; export again")


def write_lengths(folder: Path, lengths: Mapping[str, int]) -> None:
    write_text(folder / LENGTHS, csv_text([_HEADER, *sorted(lengths.items())]))


def prepare_folder(out: Path, names: Iterable[str]) -> dict[str, int]:
    """Number of frames by video of an earlier export to `out`.

    Raises DataError if the folder contains anything that is neither in `names` nor from an earlier export: crops from
    elsewhere are never mixed in.
    """
    if not out.exists():
        return {}
    if not out.is_dir():
        raise DataError(f"{out}: is a file; choose another --out")
    before = read_lengths(out)
    known = {ERROR_LOG, *((*names, *before, LENGTHS) if before else ())}
    others = sorted(entry for entry in os.listdir(out) if entry not in known and not _is_ignored(entry))
    if others:
        raise DataError(
            f"{out}: contains '{others[0]}'{' and more' if len(others) > 1 else ''}, which is from no export; choose "
            "an empty or new folder for --out"
        )
    return before


def _is_ignored(name: str) -> bool:
    return is_temporary(name) or is_system_file(name)


def image_sizes(faces: FaceStore) -> dict[str, int]:
    """Size in bytes of each image of the store's folder, by file name. Raises DataError for a store of stills."""
    if not faces.is_video:
        raise DataError(f"{faces.store.path}: contains stills, which have no frame numbers; export stores of videos")
    column = faces.store.table.column("jpeg")
    sizes = pc.binary_length(column).to_pylist()
    frames = faces.keys.to_pylist()
    return {_file_name(frame): size for frame, size in zip(frames, sizes, strict=True) if size is not None}


def is_exported(faces: FaceStore, folder: Path) -> bool:
    """True if `folder` contains exactly the store's images, by name and size; False if it does not exist.

    Raises DataError if it contains anything else: nothing is overwritten.
    """
    if not folder.exists():
        return False
    if folder.is_dir():
        with os.scandir(folder) as entries:
            sizes = {entry.name: entry.stat().st_size for entry in entries if not is_system_file(entry.name)}
            if sizes == image_sizes(faces):
                return True
    raise DataError(f"{folder}: contains other images than {faces.store.path}; choose another --out or remove it")


def export_crops(faces: FaceStore, folder: Path) -> int:
    """Write the images of one video into `folder`, which is complete or absent; returns their number.

    Raises StorageError if writing fails, DataError for a store of stills.
    """
    expected = image_sizes(faces)
    with atomic_folder(folder) as temporary:
        for row, frame in enumerate(faces.keys.to_pylist()):
            jpeg = faces.jpeg(row)
            if jpeg is not None:
                (temporary / _file_name(frame)).write_bytes(jpeg)
    return len(expected)


def _file_name(frame: int) -> str:
    return frame_name("", frame).removeprefix("/")
