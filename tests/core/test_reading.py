"""Why a file cannot be read."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from abaw.core.artifacts import read_json
from abaw.core.errors import AbawError, DataError
from abaw.core.folders import names_in, user_files, walk
from abaw.core.reading import denied, read_errors, read_text
from abaw.importing.descriptor import load_descriptor
from abaw.importing.export_crops import read_lengths
from abaw.protocol.annotations import read_annotation
from abaw.protocol.multitask import read_multitask
from abaw.protocol.template import read_template, read_video_list
from abaw.stores.arrow import read_meta
from abaw.video.detecting.graph import read_graph
from abaw.video.people.corrections import read_corrections
from abaw.video.reading.still import read_picture

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


READERS: dict[str, Callable[[Path], object]] = {
    "annotation.txt": read_annotation,
    "template.txt": read_template,
    "list.txt": read_video_list,
    "multitask.txt": read_multitask,
    "corrections.csv": read_corrections,
    "descriptor.yaml": lambda path: load_descriptor(str(path)),
    "values.json": read_json,
    "store.arrow": read_meta,
    "picture.png": lambda path: read_picture(path, 1),
    "crops/frames.csv": lambda path: read_lengths(path.parent),
    "weights.onnx": read_graph,
}


@pytest.mark.parametrize("name", READERS)
def test_no_reader_advises_to_remove_or_replace_a_file_that_may_not_be_read(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    for place in ("pathlib.Path.open", "pyarrow.memory_map", "builtins.open"):
        monkeypatch.setattr(place, refuse)
    with pytest.raises(AbawError) as caught:
        READERS[name](path)
    monkeypatch.undo()
    assert str(caught.value) == f"{path}: no permission to read it; change its permissions"


@pytest.mark.parametrize("name", ["pipe", "device", "nul"])
def test_only_regular_files_are_opened(tmp_path: Path, name: str) -> None:
    path = {"pipe": tmp_path / "pipe", "device": Path("/dev/zero"), "nul": tmp_path / "a\0b"}[name]
    if name == "pipe":
        os.mkfifo(path)
    expected = "contains a NUL" if name == "nul" else "is neither a file nor a folder .a pipe or a device.; give a file"
    with pytest.raises(DataError, match=expected):
        read_text(path, "not readable as text")


def test_text_is_utf8_with_or_without_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfx\xc3\xa9\r\n")
    assert read_text(path, "not readable as text") == "xé\r\n"
    path.write_bytes(b"x\xff")
    with pytest.raises(DataError, match=r"a\.txt: not readable as a list .*save it as UTF-8"):
        read_text(path, "not readable as a list")


@pytest.mark.parametrize("read", [names_in, lambda folder: list(walk(folder)), lambda folder: list(user_files(folder))])
def test_a_folder_that_may_not_be_read_is_not_taken_for_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], object]
) -> None:
    def refuse(folder: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))

    for name in ("listdir", "scandir"):
        monkeypatch.setattr(os, name, refuse)
    with pytest.raises(DataError, match=f"{tmp_path}: no permission to read it; change its permissions"):
        read(tmp_path)


def test_a_folder_that_disappears_meanwhile_is_empty(tmp_path: Path) -> None:
    assert list(walk(tmp_path / "gone")) == []


@pytest.mark.parametrize("name", ["a/b", b"a/b"])
def test_a_path_without_permission_is_named_wherever_that_was_found(name: str | bytes) -> None:
    fault = denied(PermissionError(errno.EACCES, "Permission denied", name))
    assert str(fault) == "a/b: no permission; change its permissions, or those of the folders that it is in"
    assert denied(PermissionError(errno.EPERM, "Operation not permitted")) is None
