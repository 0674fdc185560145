"""The log of unexpected errors in the output folder of a command."""

from __future__ import annotations

import time
from pathlib import Path

from abaw.core.artifacts import storage_errors
from abaw.core.errors import UnexpectedError

ERROR_LOG = "errors.log"


def log_error(out: Path, name: str, error: UnexpectedError) -> Path:
    """Append the traceback of the error of an item to `<out>/errors.log`; returns the path.

    name: of the item. Raises StorageError when the file cannot be written.
    """
    path = out / ERROR_LOG
    with storage_errors(path):
        out.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {name}\n{error.traceback}\n")
    return path
