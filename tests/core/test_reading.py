"""Why a file cannot be read."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from abaw.core.errors import DataError
from abaw.core.reading import read_errors

FILE = Path("a") / "x.json"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "no permission to read it; change its permissions"),
        (MemoryError(), "not enough memory to read it; close other programs, or use a machine with more memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "not enough memory to read it; close other programs, or use"),
        (FileNotFoundError(errno.ENOENT, "No such file"), "no such file"),
        (IsADirectoryError(errno.EISDIR, "Is a directory"), "is a folder, not a file"),
        (OSError(errno.EIO, "Input/output error"), "the disk or the network failed while reading it; try again"),
        (OSError(errno.EMFILE, "Too many open files"), "too many files are open; allow more"),
        (OSError(errno.ESTALE, "Stale file handle"), "the network folder that holds it has changed"),
    ],
)
def test_a_file_that_the_system_does_not_give_is_never_to_be_removed(error: Exception, expected: str) -> None:
    with pytest.raises(DataError) as caught, read_errors(FILE, "not readable as JSON", "remove it", (ValueError,)):
        raise error
    assert str(caught.value).startswith(f"{FILE}: {expected}")
    assert "remove" not in str(caught.value)


def test_wrong_contents_come_with_the_reason_in_one_line_and_the_remedy() -> None:
    with pytest.raises(DataError) as caught, read_errors(FILE, "not readable as JSON", "write it again", (ValueError,)):
        json.loads("{")
    assert str(caught.value).startswith(f"{FILE}: not readable as JSON (Expecting property name")
    assert str(caught.value).endswith("; write it again") and "\n" not in str(caught.value)


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), read_errors(FILE, "not readable", contents=(ValueError,)):
        raise KeyError("x")
