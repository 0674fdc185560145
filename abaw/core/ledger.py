"""A record of what has been made from what, so that a large batch that is resumed opens none of its results."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from abaw.core.artifacts import storage_errors, temporary_path, value_hash

_SUFFIX = ".finished"


@dataclass(frozen=True, slots=True)
class Made:
    """Files that are made from other files. how: a JSON value, what else determines them for this item alone."""

    inputs: Sequence[Path]
    outputs: Sequence[Path]
    how: Any = None


class Ledger:
    """Which files in a folder were made from which others, with which settings.

    It only saves time: an item that it does not know, because a file has changed in size or time since, or the record
    is lost, is examined by opening its results. Each process that writes appends to a hidden file of its own in
    `folder`, so that several may write at once; all such files are read. settings: a JSON value, what determines the
    results of all items; name: of a file, the same in every run.
    """

    def __init__(self, folder: Path, settings: Any, name: Callable[[Path], str] = os.path.abspath) -> None:
        self._folder = folder
        self._name = name
        self._settings = value_hash(settings)
        self._file: IO[str] | None = None
        self._known: set[str] = set()
        for file in os.listdir(folder) if folder.is_dir() else ():
            if is_ledger(file):
                self._known.update((folder / file).read_text(encoding="ascii", errors="replace").split("\n"))

    @property
    def path(self) -> Path | None:
        """The file that this process writes, None as long as it has recorded nothing."""
        return None if self._file is None else Path(self._file.name)

    def has(self, made: Made) -> bool:
        """Whether these outputs were made from these inputs, and all are unchanged."""
        state = self._state(made)
        return state is not None and state[0] in self._known

    def add(self, made: Made) -> None:
        """Record that the outputs have just been made, or examined. Raises StorageError when that fails.

        An input that was written after the outputs may not be what they were made from: then nothing is recorded.
        """
        state = self._state(made)
        if state is None or not state[1] or state[0] in self._known:
            return
        self._known.add(state[0])
        with storage_errors(self._folder):
            if self._file is None:
                self._file = temporary_path(self._folder / "any", _SUFFIX).open("a", encoding="ascii")
            self._file.write(f"{state[0]}\n")
            self._file.flush()

    def _state(self, made: Made) -> tuple[str, bool] | None:
        """A hash of the files' names, sizes and times, and whether all outputs are newer than all inputs.

        None when a file is missing.
        """
        try:
            read, written = [path.stat() for path in made.inputs], [path.stat() for path in made.outputs]
        except OSError:
            return None
        names = [self._name(path) for path in (*made.inputs, *made.outputs)]
        facts = [[name, stat.st_size, stat.st_mtime_ns] for name, stat in zip(names, (*read, *written), strict=True)]
        newest = max((stat.st_mtime_ns for stat in read), default=0)
        return value_hash([self._settings, made.how, facts]), all(stat.st_mtime_ns > newest for stat in written)


def is_ledger(name: str) -> bool:
    """Whether a file has the name of a ledger."""
    return name.startswith(".") and name.endswith(_SUFFIX)


def file_facts(paths: Iterable[Path]) -> list[list[Any]]:
    """Names, sizes and times of files, and of the files in folders: what a change of a model shows in.

    A path that does not exist is represented by its name alone.
    """
    facts: list[list[Any]] = []
    for path in paths:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        for file in files:
            stat = file.stat() if file.is_file() else None
            facts.append([str(file), *((stat.st_size, stat.st_mtime_ns) if stat else ())])
    return facts
