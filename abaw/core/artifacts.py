"""Files that are either complete or absent: atomic writes, hashes, provenance."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from abaw import __version__
from abaw.core.errors import DataError

_REASONS = {
    errno.ENOSPC: "the disk is full; free some space and run the command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the command again",
    errno.EACCES: "no permission to write there; choose another output folder or change its permissions",
    errno.EPERM: "no permission to write there; choose another output folder or change its permissions",
    errno.EROFS: "the file system is read-only; choose another output folder",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another output folder",
    errno.EEXIST: "a file of that name is where a folder is needed; choose another output folder",
}


class StorageError(DataError):
    """Writing failed for a reason other than the data: disk full, no permission."""


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn an OSError while writing `path` into a StorageError that names the path and the remedy."""
    try:
        yield
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
        raise StorageError(f"{path}: cannot write: {reason}") from error


def remove_orphans(folder: Path) -> None:
    """Remove temporary files of `atomic_path` in `folder` that killed processes of this machine left.

    Files of running processes are in use and are kept; so are files of other machines, whose processes cannot be seen.
    """
    pattern = re.compile(rf"\..+\.{re.escape(socket.gethostname())}-(\d+)-\w+\.tmp")
    for candidate in folder.glob(".*.tmp"):
        match = pattern.fullmatch(candidate.name)
        if match and not process_lives(int(match[1])):
            candidate.unlink(missing_ok=True)


def process_lives(pid: int) -> bool:
    """Whether a process of this machine is running; a zombie is not.

    A killed worker becomes a zombie in a container whose first process does not reap its children.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):  # no /proc here, or the process has ended since
        return True
    return state not in ("Z", "X")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path next to `path`; on leaving without an error it is fsynced and renamed to `path`.

    On an error the temporary file is removed and `path` is left unchanged. A missing folder is created.
    Raises StorageError when the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}.tmp")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_orphans(path.parent)
        try:
            yield temporary
            _fsync(temporary)
            os.replace(temporary, path)
            _fsync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, data: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON that ends with a newline. Raises ValueError for NaN, which JSON does not have."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The value in a JSON file. Raises DataError when the file is missing or unreadable."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not readable as JSON ({error}); write it again") from error


def file_hash(path: Path) -> str:
    """SHA-256 of the file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def quick_hash(path: Path, block: int = 1 << 20) -> str:
    """A 16-digit hexadecimal hash of a large file, from its size and its first and last `block` bytes."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(block))
        file.seek(max(0, size - block))
        digest.update(file.read(block))
    return digest.hexdigest()[:16]


def value_hash(value: Any) -> str:
    """A 16-digit hexadecimal hash of a JSON value, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def provenance(**facts: Any) -> Mapping[str, Any]:
    """Metadata of an artifact: the tool's version and the given facts."""
    return {"tool": f"abaw {__version__}", **facts}
