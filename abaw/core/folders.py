"""Folders that are either complete or absent."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from abaw.core.artifacts import PARTIAL, orphans, storage_errors, temporary_path
from abaw.core.reading import read_errors

_SYSTEM_NAMES = frozenset({".DS_Store", "Thumbs.db", "ehthumbs.db", "desktop.ini", "__MACOSX", ".Trashes"})


def is_system_file(name: str) -> bool:
    """True for a file or folder that an operating system leaves among others: `._x`, `.DS_Store`, `Thumbs.db`, …"""
    return name.startswith("._") or name in _SYSTEM_NAMES


def names_in(folder: Path) -> list[str]:
    """The names in a folder, in order. Raises DataError when it cannot be read."""
    with read_errors(folder, "not a readable folder"):
        return sorted(os.listdir(folder))


def walk(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """As os.walk; but a folder that cannot be read, which os.walk leaves out, raises DataError."""
    return os.walk(folder, onerror=_refuse)


def _refuse(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        with read_errors(Path(error.filename), "not a readable folder"):
            raise error


def user_files(folder: Path) -> Iterator[Path]:
    """All files below a folder, except those that operating systems leave there (see `is_system_file`).

    Raises DataError for a folder that cannot be read.
    """
    for place, folders, files in walk(folder):
        folders[:] = sorted(name for name in folders if not is_system_file(name))
        yield from (Path(place) / name for name in sorted(files) if not is_system_file(name))


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A temporary folder next to `path`; on leaving without an error it is renamed to `path`.

    On an error it is removed. `path` must be missing or empty. Temporary folders next to it that killed processes of
    this machine left are removed. Raises StorageError when the folder cannot be created or renamed.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        for orphan in orphans(path.parent, PARTIAL):
            shutil.rmtree(orphan, ignore_errors=True)
        temporary = temporary_path(path, PARTIAL)
        temporary.mkdir()
        try:
            yield temporary
            os.rename(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
