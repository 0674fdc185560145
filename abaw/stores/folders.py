"""Folders of very many stores: beyond a limit, stores are in sub-folders by a hash of their names."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path

from abaw.core.artifacts import utf8
from abaw.core.folders import is_system_file, names_in
from abaw.protocol.layout import NUMBERED

MOST_IN_A_FOLDER = 10_000
_PERSON = re.compile(rf"{NUMBERED}(\.[a-z]+)$")
_SUB_FOLDER = re.compile(r"part-[0-9a-f]{2}")


class StoreFolders:
    """Where each store of a batch goes in the folder `out`: into it, or into one of its sub-folders `part-00`, ….

    Sub-folders are used by a batch of more than 10,000 items, and in a folder that has some already; a store that is
    directly in `out` stays there. num_items: of the whole batch, so that all its shards agree.
    """

    def __init__(self, out: Path, num_items: int) -> None:
        self._out = out
        self._many = num_items > MOST_IN_A_FOLDER

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(os.listdir(self._out)) if self._out.is_dir() else frozenset()

    @cached_property
    def _present(self) -> frozenset[str]:
        """Names of files, and for those of people (`x_person3.arrow`) also that of their video."""
        return self._names | {_PERSON.sub(r"\1", name) for name in self._names}

    @cached_property
    def _has_sub_folders(self) -> bool:
        return self._many or any(map(_SUB_FOLDER.fullmatch, self._names))

    def sub_folder(self, key: str, files: Collection[str]) -> str:
        """The name of the sub-folder for the stores of an item, "" for none.

        key: what is hashed; files: names of the stores, that of the video for those of its people.
        """
        if not self._has_sub_folders or not self._present.isdisjoint(files):
            return ""
        return f"part-{zlib.crc32(utf8(key)) & 0xFF:02x}"

    def path(self, file: str) -> Path:
        """The path for a single store."""
        return self._out / self.sub_folder(file, (file,)) / file


def folder_of(store: Path) -> Path:
    """The folder of stores that a store belongs to, whose sub-folders are not seen."""
    parent = store.resolve().parent
    return parent.parent if _SUB_FOLDER.fullmatch(parent.name) else parent


def files_in(folder: Path, suffix: str) -> Iterator[Path]:
    """Files of this suffix in a folder and in the sub-folders that StoreFolders makes, in order of their names.

    Raises DataError when a folder cannot be read.
    """
    names = names_in(folder)
    found = [(name, folder / name) for name in names if name.endswith(suffix)]
    for inner in (folder / name for name in names if _SUB_FOLDER.fullmatch(name)):
        if inner.is_dir():
            found += [(name, inner / name) for name in names_in(inner) if name.endswith(suffix)]
    yield from (path for name, path in sorted(found) if not is_system_file(name))
