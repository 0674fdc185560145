"""Files are either complete or absent."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abaw.core import artifacts
from abaw.core.artifacts import (
    StorageError,
    atomic_path,
    file_hash,
    is_temporary,
    process_lives,
    provenance,
    quick_hash,
    read_json,
    value_hash,
    write_bytes,
    write_json,
    write_text,
)
from abaw.core.errors import DataError
from abaw.core.folders import atomic_folder


def test_write_creates_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "a b" / "ü.txt"
    write_text(path, "é\n")
    assert path.read_bytes() == "é\n".encode()
    assert [file.name for file in path.parent.iterdir()] == ["ü.txt"]


def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"old")
    with pytest.raises(ValueError, match="stop"), atomic_path(path) as temporary:
        temporary.write_bytes(b"half")
        raise ValueError("stop")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_target_is_untouched_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EACCES, "no permission"),
        (errno.EROFS, "read-only"),
        (errno.EIO, "Input/output"),
    ],
)
def test_storage_errors_name_the_path_and_the_remedy(tmp_path: Path, number: int, words: str) -> None:
    path = tmp_path / "file"
    with pytest.raises(StorageError, match=words) as caught, atomic_path(path) as temporary:
        temporary.write_bytes(b"half")
        raise OSError(number, os.strerror(number))
    assert str(path) in str(caught.value)
    assert caught.value.exit_status == 1
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_at_fsync_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(artifacts.os, "fsync", full)
    with pytest.raises(StorageError, match="disk is full"):
        write_bytes(tmp_path / "file", b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(StorageError, match="file"):
        write_text(tmp_path / "out" / "x.txt", "text")
    assert (tmp_path / "out").read_text() == "a file"


def test_leftovers_of_a_dead_process_are_removed_and_those_of_a_running_one_kept(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host = socket.gethostname()
    orphan = tmp_path / f".x[1].txt.{host}-{dead.pid}-aa.tmp"
    running = tmp_path / f".x[1].txt.{host}-{os.getpid()}-bb.tmp"
    elsewhere = tmp_path / ".x[1].txt.another-machine-1-cc.tmp"
    for file in (orphan, running, elsewhere):
        file.write_text("half")
    write_text(tmp_path / "x[1].txt", "whole")
    assert not orphan.exists()
    assert running.exists() and elsewhere.exists()


@pytest.mark.parametrize("name", ["x" * 246, "ü" * 127 + "x", os.fsdecode(b"caf\xe9.txt"), "=a [bold] \x1b[31m\n.txt"])
def test_names_that_a_file_system_allows_can_be_written(tmp_path: Path, name: str) -> None:
    write_text(tmp_path / name, "text")
    assert os.listdir(tmp_path) == [name]
    with atomic_folder(tmp_path / "folder" / name) as temporary:
        assert temporary.parent == tmp_path / "folder" and is_temporary(temporary.name)
        (temporary / "file").touch()
    assert os.listdir(tmp_path / "folder") == [name]


def test_a_name_that_is_too_long_is_reported(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot write: the name is longer than the file system allows"):
        write_text(tmp_path / ("x" * 256), "text")
    assert os.listdir(tmp_path) == []


def test_temporary_names_are_short_hidden_and_those_of_earlier_versions_are_known(tmp_path: Path) -> None:
    with atomic_path(tmp_path / ("x" * 255)) as temporary:
        temporary.touch()
        assert temporary.name.startswith(".") and len(temporary.name) < 100
        assert is_temporary(temporary.name)
    assert is_temporary(".config.json.some-host-12-0a1b.tmp") and is_temporary(".a.b.host-1-ab.partial")
    assert not any(map(is_temporary, (".DS_Store", "x.tmp", ".x.tmp", "clip-1-ab.tmp", ".host-1-ab.txt")))


def test_bytes_that_are_not_utf_8_come_back_from_json(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    write_json(tmp_path / "a.json", {"name": name})
    assert read_json(tmp_path / "a.json") == {"name": name}
    assert value_hash(name) != value_hash("café")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="zombies are recognised through /proc")
def test_a_zombie_process_is_dead() -> None:
    """A killed worker stays a zombie in a container whose first process reaps its children late or never."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert process_lives(process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, not reaped yet
    os.kill(process.pid, 0)
    assert not process_lives(process.pid)
    process.communicate()
    assert not process_lives(process.pid)


def test_json_round_trip_and_refusals(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"é": [1, None]})
    assert path.read_text(encoding="utf-8").endswith("}\n")
    assert read_json(path) == {"é": [1, None]}
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})
    assert read_json(path) == {"é": [1, None]}


def test_unreadable_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_json(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(DataError, match=r"bad\.json: not readable as JSON"):
        read_json(tmp_path / "bad.json")


def test_hashes_of_files(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    assert file_hash(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    digests = set()
    for content in (
        b"head" + b"." * 100 + b"tail",
        b"heaD" + b"." * 100 + b"tail",
        b"head" + b"." * 100 + b"taiL",
        b"h",
    ):
        path.write_bytes(content)
        digests.add(quick_hash(path, block=4))
    assert len(digests) == 4


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(max_size=3), JSON, max_size=4))
def test_value_hash_ignores_the_order_of_keys(value: dict[str, object]) -> None:
    turned = dict(reversed(value.items()))
    assert value_hash(value) == value_hash(turned)
    assert len(value_hash(value)) == 16


def test_value_hash_distinguishes_values() -> None:
    assert len({value_hash(value) for value in (1, "1", [1], {"1": 1}, None)}) == 5


def test_provenance_names_the_tool() -> None:
    facts = provenance(rows=3)
    assert facts["rows"] == 3
    assert str(facts["tool"]).startswith("abaw ")
    json.dumps(facts)
