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
from abaw.core.reading import read_errors, require_regular

_REASONS = {
    errno.ENOSPC: "the disk is full; free some space and run the command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the command again",
    errno.EACCES: "no permission to write there; choose another output folder or change its permissions",
    errno.EPERM: "no permission to write there; choose another output folder or change its permissions",
    errno.EROFS: "the file system is read-only; choose another output folder",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another output folder",
    errno.EEXIST: "a file of that name is where a folder is needed; choose another output folder",
    errno.ENAMETOOLONG: "the name is longer than the file system allows; rename the input or choose a shorter --out",
}
TEMPORARY = ".tmp"
PARTIAL = ".partial"
"""Suffixes of files and of folders that are being written."""


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


def temporary_path(path: Path, suffix: str) -> Path:
    """A new hidden name next to `path` that says which process writes it; short, so that it fits where `path` fits."""
    return path.with_name(f".{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}{suffix}")


def is_temporary(name: str) -> bool:
    """True for a name that `temporary_path` makes, on any machine. Earlier versions put the target's name in front."""
    return re.fullmatch(rf"{_WRITER.format(host='.+')}({re.escape(TEMPORARY)}|{re.escape(PARTIAL)})", name) is not None


_WRITER = r"\.(?:.+\.)?{host}-(?P<pid>\d+)-\w+"


def orphans(folder: Path, suffix: str) -> list[Path]:
    """Temporary paths in `folder` that killed processes of this machine left.

    Those of running processes are in use; those of other machines are left out, too: their processes cannot be seen.
    """
    pattern = re.compile(_WRITER.format(host=re.escape(socket.gethostname())) + re.escape(suffix))
    matches = [match for name in os.listdir(folder) if (match := pattern.fullmatch(name))]
    return [folder / match[0] for match in matches if not process_lives(int(match["pid"]))]


def remove_orphans(folder: Path) -> None:
    """Remove the files among the orphans of a folder, which may be missing."""
    for orphan in orphans(folder, TEMPORARY) if folder.is_dir() else ():
        orphan.unlink(missing_ok=True)


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
    temporary = temporary_path(path, TEMPORARY)
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
    """Write UTF-8. Bytes of file names that are not UTF-8 become escapes (`\\udcff`, as JSON has them)."""
    write_bytes(path, utf8(text))


def utf8(text: str) -> bytes:
    """The text in UTF-8; bytes of file names that are not UTF-8 become `\\udcff`, which represents them in JSON."""
    return text.encode("utf-8", "backslashreplace")


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON that ends with a newline. Raises ValueError for NaN, which JSON does not have."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """What `write_json` writes."""
    return utf8(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The value in a JSON file. Raises DataError when the file is missing or unreadable."""
    with read_errors(path, "not readable as JSON", "write it again", (ValueError, RecursionError)):
        return json.loads(path.read_text(encoding="utf-8"))


def file_hash(path: Path) -> str:
    """SHA-256 of the file's bytes, hexadecimal. Raises DataError when it cannot be read."""
    require_regular(path)
    with read_errors(path, "cannot be read", "check the file"), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def quick_hash(path: Path, block: int = 1 << 20) -> str:
    """A 16-digit hexadecimal hash of a large file, from its size and its first and last `block` bytes.

    Raises DataError when it cannot be read.
    """
    require_regular(path)
    with read_errors(path, "cannot be read", "check the file"), path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest = hashlib.sha256(str(size).encode())
        digest.update(file.read(block))
        file.seek(max(0, size - block))
        digest.update(file.read(block))
    return digest.hexdigest()[:16]


def value_hash(value: Any) -> str:
    """A 16-digit hexadecimal hash of a JSON value, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(utf8(text)).hexdigest()[:16]


def provenance(**facts: Any) -> Mapping[str, Any]:
    """Metadata of an artifact: the tool's version and the given facts."""
    return {"tool": f"abaw {__version__}", **facts}
