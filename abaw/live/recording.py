"""Results of live video on disk: one JSON line per picture."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, TextIO

from abaw.core.artifacts import StorageError

_PART = ".part"


class Recording:
    """Writes `live_<date>_<time>.jsonl` into a folder. While it runs, the file is named `….part`: after a kill it holds
    every line up to then.

    Raises StorageError when the disk is full or not writable.
    """

    def __init__(self, folder: Path) -> None:
        stem = time.strftime("live_%Y%m%d_%H%M%S")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.path, self._file = _new_file(folder, stem)
        except OSError as error:
            raise StorageError(f"{folder}: no recording can be written there ({error.strerror})") from error

    def add(self, result: dict[str, Any]) -> None:
        try:
            self._file.write(json.dumps(result, allow_nan=False) + "\n")
            self._file.flush()
        except OSError as error:
            raise StorageError(f"{self.path}: the recording cannot go on ({error.strerror})") from error

    def close(self) -> Path:
        """Give the file its final name."""
        self._file.close()
        part = self.path.with_name(self.path.name + _PART)
        part.rename(self.path)
        return self.path


def _new_file(folder: Path, stem: str) -> tuple[Path, TextIO]:
    """A name that neither a recording nor an unfinished one has."""
    number = 1
    while True:
        path = folder / (f"{stem}.jsonl" if number == 1 else f"{stem}_{number}.jsonl")
        if not path.exists():
            try:
                return path, path.with_name(path.name + _PART).open("x", encoding="utf-8")
            except FileExistsError:
                pass
        number += 1
