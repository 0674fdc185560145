"""Every fault of a submission that is a folder is found with its file and line, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from abaw.core.errors import DataError
from abaw.protocol.editions import edition
from abaw.protocol.template import VideoList
from abaw.submission.fault import Fault
from abaw.submission.folder import check_folder

THIRD = edition("abaw3")
HEADER = THIRD.header
VIDEOS = VideoList(Path("list.txt"), {"b é": 4, "a": 3, "c": 5})
CLASSES = {"b é": ["0", "1", "2", "3"], "a": ["4", "5", "6"], "c": ["7", "0", "1", "2", "3"]}

Faults = list[tuple[str, int, str]]


def text(rows: list[str], header: str = HEADER) -> str:
    return "\n".join([header, *rows]) + "\n"


def good() -> dict[str, str | bytes]:
    return {f"{name}.txt": text(rows) for name, rows in CLASSES.items()}


def check(root: Path, files: dict[str, str | bytes], videos: VideoList = VIDEOS) -> list[Fault]:
    folder = root / "s"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return check_folder(folder, videos, THIRD)


def with_a(content: str | bytes) -> Callable[[], dict[str, str | bytes]]:
    """The correct files, with another `a.txt`."""
    return lambda: good() | {"a.txt": content}


MUTATIONS: dict[str, tuple[Callable[[], dict[str, str | bytes]], Faults]] = {
    "no fault": (good, []),
    "file missing": (
        lambda: {name: rows for name, rows in good().items() if name != "a.txt"},
        [("a.txt", 0, "missing")],
    ),
    "file too many": (lambda: good() | {"z.txt": text(["0"])}, [("z.txt", 0, "extra")]),
    "another suffix": (
        lambda: {name.replace("a.txt", "a.csv"): rows for name, rows in good().items()},
        [("a.csv", 0, "extra"), ("a.txt", 0, "missing")],
    ),
    "a hidden file": (lambda: good() | {".DS_Store": b"\0"}, [(".DS_Store", 0, "extra")]),
    "empty file": (with_a(""), [("a.txt", 1, "empty")]),
    "UTF-16": (with_a(text(CLASSES["a"]).encode("utf-16")), [("a.txt", 1, "encoding")]),
    "BOM": (with_a("\ufeff" + text(CLASSES["a"])), [("a.txt", 1, "bom")]),
    "CRLF everywhere": (with_a(text(CLASSES["a"]).replace("\n", "\r\n")), [("a.txt", 1, "line-end")]),
    "CR everywhere": (with_a(text(CLASSES["a"]).replace("\n", "\r")), [("a.txt", 1, "line-end")]),
    "CRLF on one line": (with_a(text(["4", "5\r", "6"])), [("a.txt", 3, "line-end")]),
    "no last line end": (with_a(text(CLASSES["a"])[:-1]), [("a.txt", 4, "last-line")]),
    "no header": (with_a("4\n5\n6\n"), [("a.txt", 1, "header")]),
    "header in lower case": (with_a(text(CLASSES["a"], HEADER.lower())), [("a.txt", 1, "header")]),
    "header with spaces": (with_a(text(CLASSES["a"], HEADER.replace(",", ", "))), [("a.txt", 1, "spaces")]),
    "seven classes": (with_a(text(CLASSES["a"], HEADER.removesuffix(",Other"))), [("a.txt", 1, "edition")]),
    "header of the sixth edition": (with_a(text(CLASSES["a"], edition("abaw6").header)), [("a.txt", 1, "edition")]),
    "class 8": (with_a(text(["4", "8", "6"])), [("a.txt", 3, "label")]),
    "class -1": (with_a(text(["4", "-1", "6"])), [("a.txt", 3, "label")]),
    "class a": (with_a(text(["4", "a", "6"])), [("a.txt", 3, "label")]),
    "class with a leading zero": (with_a(text(["4", "05", "6"])), [("a.txt", 3, "label")]),
    "float": (with_a(text(["4", "5.0", "6"])), [("a.txt", 3, "float")]),
    "trailing space": (with_a(text(["4", "5 ", "6"])), [("a.txt", 3, "spaces")]),
    "two fields": (with_a(text(["4", "a/00002.jpg,5", "6"])), [("a.txt", 3, "fields")]),
    "probabilities": (with_a(text(["4", "0,0,0,0,0,1,0,0", "6"])), [("a.txt", 3, "fields")]),
    "blank line inside": (with_a(text(["4", "", "5", "6"])), [("a.txt", 3, "blank")]),
    "blank line at the end": (with_a(text(["4", "5", "6", ""])), [("a.txt", 5, "blank")]),
    "a line less": (with_a(text(["4", "5"])), [("a.txt", 4, "missing")]),
    "header alone": (with_a(text([])), [("a.txt", 2, "missing")]),
    "two lines more": (with_a(text(["4", "5", "6", "6", "6"])), [("a.txt", 5, "extra")]),
    "all one class": (
        lambda: {f"{name}.txt": text(["3"] * len(rows)) for name, rows in CLASSES.items()},
        [("", 0, "one-class")],
    ),
    "faults of several files": (
        lambda: good() | {"a.txt": text(["4", "9", "6"]), "c.txt": text(["7", "0", "1", "2"])},
        [("a.txt", 3, "label"), ("c.txt", 6, "missing")],
    ),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_each_fault_is_found_with_its_file_and_line_and_nothing_else(tmp_path: Path, mutation: str) -> None:
    files, expected = MUTATIONS[mutation]
    assert [(fault.file, fault.line, fault.kind) for fault in check(tmp_path, files())] == expected


def test_an_unknown_number_of_lines_is_not_checked(tmp_path: Path) -> None:
    names_alone = VideoList(VIDEOS.path, dict.fromkeys(VIDEOS.num_frames))
    assert check(tmp_path, with_a(text(["4"]))(), names_alone) == []
    counted = names_alone.with_frames({"a": 3})
    assert [fault.message for fault in check_folder(tmp_path / "s", counted, THIRD)] == [
        "video cut short: 1 lines with a class; expected 3, one per frame"
    ]


def test_a_folder_inside_the_folder(tmp_path: Path) -> None:
    check(tmp_path, good())
    (tmp_path / "s" / "more").mkdir()
    (fault,) = check_folder(tmp_path / "s", VIDEOS, THIRD)
    assert (fault.file, fault.kind) == ("more", "extra")


def test_a_file_instead_of_a_folder_and_a_missing_folder(tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("")
    (fault,) = check_folder(tmp_path / "s.txt", VIDEOS, THIRD)
    assert (fault.line, fault.kind) == (0, "edition")
    assert "is a file; abaw3 expects a folder" in fault.message
    with pytest.raises(DataError, match="none: no such file"):
        check_folder(tmp_path / "none", VIDEOS, THIRD)


def test_equal_faults_are_joined_to_a_range_in_each_file(tmp_path: Path) -> None:
    long = VideoList(VIDEOS.path, {"a": 3000, "b": 3000})
    files: dict[str, str | bytes] = {"a.txt": text(["1.0"] * 3000), "b.txt": text(["2.0"] * 3000)}
    faults = check(tmp_path, files, long)
    assert [(fault.file, fault.line, fault.last_line) for fault in faults if fault.last_line] == [
        ("a.txt", 102, 3001),
        ("b.txt", 102, 3001),
    ]
