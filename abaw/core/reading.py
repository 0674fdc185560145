"""Reading files that a user names: only regular ones, and with the reason why one cannot be read.

The file system's reasons have their remedies, apart from those of wrong contents.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from abaw.core.errors import AbawError, DataError

_REASONS = {
    errno.ENOENT: "no such file",
    errno.EACCES: "no permission to read it; change its permissions",
    errno.EPERM: "no permission to read it; change its permissions",
    errno.ENOMEM: "not enough memory to read it; close other programs, or use a machine with more memory",
    errno.EISDIR: "is a folder, not a file",
    errno.ENOTDIR: "no such file: a part of the path is a file, not a folder",
    errno.EMFILE: "too many files are open; allow more (ulimit -n), or use fewer --workers",
    errno.ENFILE: "too many files are open on this machine; close other programs",
    errno.EIO: "the disk or the network failed while reading it; try again, or copy it from its source",
    errno.ESTALE: "the network folder that holds it has changed; mount it again and repeat the command",
    errno.ETIMEDOUT: "the network folder that holds it does not answer; try again",
    errno.ELOOP: "is a link that leads back to itself",
    errno.ENAMETOOLONG: "no such file: the name is longer than the file system allows",
}
_SHOWN = 200


def require_regular(path: Path, kind: type[AbawError] = DataError) -> None:
    """Raise an error of `kind` for a path that is neither a file nor a folder, or that no file can have.

    Call it before anything that opens the path: a named pipe waits for a writer, and a device may have no end.
    """
    if "\0" in str(path):
        raise kind(f"{path}: no file can have this name: it contains a NUL character")
    try:
        mode = path.stat().st_mode
    except OSError:  # opening it says why
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise kind(f"{path}: is neither a file nor a folder (a pipe or a device); give a file")


def read_text(path: Path, expected: str, remedy: str = "save it as UTF-8 text") -> str:
    """The text of a UTF-8 file without its byte order mark; line ends are unchanged.

    expected, remedy: see `read_errors`. Raises DataError.
    """
    with read_errors(path, expected, remedy, (UnicodeError,)):
        return path.read_bytes().decode("utf-8-sig")


@contextmanager
def read_errors(
    path: Path,
    expected: str,
    remedy: str = "",
    contents: tuple[type[Exception], ...] = (),
    kind: type[AbawError] = DataError,
) -> Iterator[None]:
    """Turn errors while reading `path` into one of `kind` that names the path, the reason and the remedy.

    expected: what the file is not, e.g. "not readable as JSON"; remedy: what to do about wrong contents, which is never
    said of a file that could not be read at all; contents: errors that mean wrong contents. What is no regular file is
    refused before it is opened.
    """
    require_regular(path, kind)
    caught: tuple[type[Exception], ...] = (OSError, MemoryError, *contents)
    try:
        yield
    except caught as error:
        raise kind(f"{path}: {why_unreadable(error) or because(expected, error, remedy)}") from error


def why_unreadable(error: BaseException) -> str | None:
    """The file system's reason and its remedy; None if the error says something else about the file."""
    if isinstance(error, MemoryError):
        return _REASONS[errno.ENOMEM]
    return _REASONS.get(getattr(error, "errno", None) or 0)


def denied(error: PermissionError) -> DataError | None:
    """The error of a path that may not be used, wherever that was found; None when the system did not name a path."""
    if error.filename is None:
        return None
    path = os.fsdecode(error.filename)
    return DataError(f"{path}: no permission; change its permissions, or those of the folders that it is in")


def because(expected: str, error: BaseException | str, remedy: str = "") -> str:
    """`expected (the error in one line); remedy`."""
    return f"{expected} ({' '.join(str(error).split())[:_SHOWN]})" + (f"; {remedy}" if remedy else "")
