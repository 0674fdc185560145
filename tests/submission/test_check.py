"""Every fault is found with its line, and what the writer writes has none."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abaw.core.errors import DataError
from abaw.protocol.editions import edition
from abaw.protocol.template import Template
from abaw.submission.check import check_submission
from abaw.submission.fault import Fault
from abaw.submission.write import write_submission

SIXTH = edition("abaw6")
HEADER = SIXTH.header
LENGTHS = {"b é": 4, "a": 3, "c-30": 5}
LOCATIONS = [f"{video}/{frame:05d}.jpg" for video, length in LENGTHS.items() for frame in range(1, length + 1)]
TEMPLATE = Template(Path("template.txt"), HEADER, LOCATIONS)
ROWS = [f"{location},{index % 8}" for index, location in enumerate(LOCATIONS)]
LAST = len(ROWS) + 1


def check(content: str | bytes, template: Template = TEMPLATE) -> list[Fault]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.txt"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return check_submission(path, template, SIXTH)


def text(rows: list[str], header: str = HEADER) -> str:
    return "\n".join([header, *rows]) + "\n"


def found(content: str | bytes) -> list[tuple[int, str]]:
    return [(fault.line, fault.kind) for fault in check(content)]


def swap(rows: list[str], first: int, second: int) -> list[str]:
    rows = rows.copy()
    rows[first], rows[second] = rows[second], rows[first]
    return rows


def test_a_good_file_has_no_fault() -> None:
    assert check(text(ROWS)) == []


def replaced(index: int, row: str) -> str:
    return text([*ROWS[:index], row, *ROWS[index + 1 :]])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param("", [(1, "empty")], id="empty file"),
        pytest.param(" \n\n", [(1, "empty")], id="blank file"),
        pytest.param(text(ROWS).encode("utf-16"), [(1, "encoding")], id="UTF-16"),
        pytest.param("\ufeff" + text(ROWS), [(1, "bom")], id="BOM"),
        pytest.param(text(ROWS).replace("\n", "\r\n"), [(1, "line-end")], id="CRLF everywhere"),
        pytest.param(text(ROWS).replace("\n", "\r"), [(1, "line-end")], id="CR everywhere"),
        pytest.param(replaced(3, ROWS[3] + "\r"), [(5, "line-end")], id="CRLF on one line"),
        pytest.param(text(ROWS, HEADER + "\r"), [(1, "line-end")], id="CRLF on the header"),
        pytest.param(text(ROWS)[:-1], [(LAST, "last-line")], id="no last line end"),
        pytest.param(text(ROWS) + "\n", [(LAST + 1, "blank")], id="blank line at the end"),
        pytest.param(text([*ROWS[:2], "", *ROWS[2:]]), [(4, "blank")], id="blank line inside"),
        pytest.param(text([*ROWS[:2], "  ", *ROWS[2:]]), [(4, "blank")], id="line of spaces"),
        pytest.param("\n".join(ROWS) + "\n", [(1, "header")], id="no header"),
        pytest.param(text(ROWS, "image,expression"), [(1, "edition")], id="header of the 4th edition"),
        pytest.param(text(ROWS, HEADER.partition(",")[2]), [(1, "edition")], id="header of annotation files"),
        pytest.param(text(ROWS, HEADER + ","), [(1, "header")], id="header with one comma more"),
        pytest.param(text(ROWS, HEADER.lower()), [(1, "header")], id="header in lower case"),
        pytest.param(text(ROWS, HEADER.replace(",", ", ")), [(1, "spaces")], id="header with spaces"),
        pytest.param(replaced(4, f"{LOCATIONS[4]},8"), [(6, "label")], id="label 8"),
        pytest.param(replaced(4, f"{LOCATIONS[4]},-1"), [(6, "label")], id="label -1"),
        pytest.param(replaced(4, f"{LOCATIONS[4]},a"), [(6, "label")], id="label a"),
        pytest.param(replaced(4, f"{LOCATIONS[4]},nan"), [(6, "label")], id="label nan"),
        pytest.param(replaced(4, f"{LOCATIONS[4]},"), [(6, "label")], id="no label"),
        pytest.param(replaced(4, f"{LOCATIONS[4]},03"), [(6, "label")], id="label with a leading zero"),
        pytest.param(replaced(4, f"{LOCATIONS[4]},4.0"), [(6, "float")], id="float"),
        pytest.param(replaced(4, f"{LOCATIONS[4]},1e0"), [(6, "float")], id="exponent"),
        pytest.param(replaced(4, f"{LOCATIONS[4]},4 "), [(6, "spaces")], id="trailing space"),
        pytest.param(replaced(4, f" {LOCATIONS[4]},4"), [(6, "spaces")], id="leading space"),
        pytest.param(replaced(4, f"{LOCATIONS[4]}, 4"), [(6, "spaces")], id="space after the comma"),
        pytest.param(replaced(4, LOCATIONS[4]), [(6, "fields")], id="no comma"),
        pytest.param(replaced(4, f"{LOCATIONS[4]},4,4"), [(6, "fields")], id="three fields"),
        pytest.param(replaced(4, "a/1.jpg,4"), [(6, "digits")], id="one digit"),
        pytest.param(replaced(4, "a/000001.jpg,4"), [(6, "digits")], id="six digits"),
        pytest.param(replaced(4, "a/00001.png,4"), [(6, "location"), (6, "missing")], id="not a jpg"),
        pytest.param(replaced(4, "a/00009.jpg,4"), [(6, "extra"), (6, "missing")], id="another frame"),
        pytest.param(text([*ROWS[:5], "z/00001.jpg,0", *ROWS[5:]]), [(7, "extra")], id="extra row"),
        pytest.param(text([*ROWS, ROWS[0]]), [(LAST + 1, "duplicate")], id="duplicate row"),
        pytest.param(text([*ROWS[:6], ROWS[5], *ROWS[6:]]), [(8, "duplicate")], id="duplicate row beside it"),
        pytest.param(text(swap(ROWS, 1, 5)), [(3, "order"), (7, "order")], id="two rows swapped"),
        pytest.param(text([*ROWS[4:7], *ROWS[:4], *ROWS[7:]]), [(2, "order")], id="two videos swapped"),
        pytest.param(text([*ROWS[:5], *ROWS[6:]]), [(7, "missing")], id="row missing"),
        pytest.param(text(ROWS[1:]), [(2, "missing")], id="first row missing"),
        pytest.param(text([*ROWS[:4], *ROWS[7:]]), [(6, "missing")], id="video missing"),
        pytest.param(text(ROWS[:-2]), [(LAST - 1, "missing")], id="video cut short"),
        pytest.param(text([f"{location},3" for location in LOCATIONS]), [(2, "one-class")], id="all one class"),
        pytest.param(text([]), [(2, "missing")] * 3, id="header alone"),
    ],
)
def test_each_fault_is_found_with_its_line_and_nothing_else(
    content: str | bytes, expected: list[tuple[int, str]]
) -> None:
    assert found(content) == expected


def test_bytes_that_are_no_utf8() -> None:
    rows = text(ROWS).encode().split(b"\n")
    rows[5] = "a/00001.jpg,4 ÿ".encode("latin-1")
    kinds = dict(found(b"\n".join(rows)))
    assert kinds[6] in ("encoding", "label")
    assert (6, "encoding") in found(b"\n".join(rows))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (text([*ROWS[:4], *ROWS[7:]]), "video missing: a, all 3 rows"),
        (text(ROWS[:-2]), "video cut short: c-30 lacks its last 2 of 5 rows, c-30/00004.jpg to c-30/00005.jpg"),
        (text([*ROWS[:5], *ROWS[6:]]), "row missing: a/00002.jpg"),
        (text([*ROWS[:8], *ROWS[10:]]), "2 rows missing: c-30/00002.jpg to c-30/00003.jpg"),
        (text([*ROWS, ROWS[0]]), "b é/00001.jpg stands on line 2 already"),
        (text([*ROWS[4:7], *ROWS[:4], *ROWS[7:]]), "a/00001.jpg to a/00003.jpg (3 rows); due behind b é/00004.jpg"),
        (replaced(4, "a/1.jpg,4"), "expected a/00001.jpg, found a/1.jpg"),
        (text(ROWS, "image,expression"), "ABAW 4, learning from synthetic data"),
    ],
)
def test_messages_say_what_is_wrong(content: str, words: str) -> None:
    (fault,) = check(content)
    assert words in fault.message


def test_warnings_are_told_from_errors() -> None:
    one_class = text([f"{location},3" for location in LOCATIONS])[:-1]
    assert {fault.kind: fault.severity for fault in check(one_class)} == {
        "one-class": "warning",
        "last-line": "warning",
    }
    assert all(fault.severity == "error" for fault in check(text(ROWS[:-2])))


def test_all_faults_of_a_bad_file_at_once() -> None:
    rows = swap(ROWS, 0, 2)
    rows[4] += ".0"
    rows[6] = rows[6][:-1] + "9"
    rows[8] += "  "
    rows += ["z/00001.jpg,1", ROWS[1], ""]
    lines = "\ufeff" + "\n".join([HEADER.replace("Fear", "Fears"), *rows])
    kinds = [kind for _, kind in found(lines)]
    assert sorted(set(kinds)) == ["bom", "duplicate", "extra", "float", "header", "label", "order", "spaces"]


def test_a_million_equal_faults_stay_few() -> None:
    long = Template(Path("t.txt"), HEADER, [f"v/{frame:05d}.jpg" for frame in range(1, 3001)])
    faults = check(text([f"{location},{index % 8}.0" for index, location in enumerate(long.locations)]), long)
    assert len(faults) == 101
    assert (faults[-1].line, faults[-1].last_line) == (102, 3001)
    assert sum(fault.num_lines for fault in faults) == 3000


def test_another_order_altogether_is_one_fault() -> None:
    long = Template(Path("t.txt"), HEADER, [f"v/{frame:05d}.jpg" for frame in range(1, 9001)])
    rows = [f"{location},{index % 8}" for index, location in enumerate(long.locations)]
    order = np.random.default_rng(0).permutation(len(rows))
    (fault,) = check(text([rows[index] for index in order]), long)
    assert fault.kind == "order" and "altogether" in fault.message


def test_a_template_that_lists_a_row_twice_is_refused() -> None:
    double = Template(Path("t.txt"), HEADER, [*LOCATIONS, LOCATIONS[0]])
    with pytest.raises(DataError, match=r"t\.txt: lists b é/00001\.jpg twice"):
        check(text([ROWS[1], *ROWS]), double)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"s\.txt: not readable"):
        check_submission(tmp_path / "s.txt", TEMPLATE, SIXTH)


NAMES = st.text(st.characters(blacklist_characters="/,\\", blacklist_categories=["C", "Z"]), min_size=1, max_size=6)
VIDEOS = st.dictionaries(NAMES, st.integers(1, 12), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(VIDEOS, st.randoms(use_true_random=False), st.integers(0, 3))
def test_what_the_writer_writes_has_no_error(videos: dict[str, int], random: object, cut: int) -> None:
    locations = [f"{video}/{frame:05d}.jpg" for video, count in videos.items() for frame in range(1, count + 1)]
    random.shuffle(locations)  # type: ignore[attr-defined]
    template = Template(Path("t.txt"), HEADER, locations)
    rng = np.random.default_rng(len(locations))
    labels = {video: rng.integers(0, 8, max(1, count - cut)).astype(np.int8) for video, count in videos.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.txt"
        write_submission(path, template, SIXTH, labels)
        faults = check_submission(path, template, SIXTH)
    assert {fault.kind for fault in faults} <= {"one-class"}


Injection = Callable[[list[str], int], tuple[list[str], int]]


def _at(change: Callable[[str], str]) -> Injection:
    return lambda rows, index: ([*rows[:index], change(rows[index]), *rows[index + 1 :]], index)


INJECTIONS: dict[str, Injection] = {
    "missing": lambda rows, index: (rows[:index] + rows[index + 1 :], index),
    "extra": lambda rows, index: ([*rows[:index], "not there/00001.jpg,1", *rows[index:]], index),
    "duplicate": lambda rows, index: ([*rows[: index + 1], rows[index], *rows[index + 1 :]], index + 1),
    "blank": lambda rows, index: ([*rows[:index], "", *rows[index:]], index),
    "label": _at(lambda row: row[:-1] + "9"),
    "float": _at(lambda row: row + ".5"),
    "spaces": _at(lambda row: row + " "),
    "line-end": _at(lambda row: row + "\r"),
    "digits": _at(lambda row: row.replace("/", "/0")),
    "fields": _at(lambda row: row + ",1"),
    "location": _at(lambda row: row.replace(".jpg", ".jpeg")),
}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(INJECTIONS)), st.integers(0, len(ROWS) - 1))
def test_an_injected_fault_is_found_on_its_line(kind: str, index: int) -> None:
    rows, at = INJECTIONS[kind](ROWS, index)
    faults = found(text(rows))
    assert (at + 2, kind) in faults
    assert {other for _, other in faults} - {kind} <= {"missing"}


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(len(ROWS))))
def test_any_other_order_is_found_and_the_rest_stays(order: list[int]) -> None:
    kinds = {kind for _, kind in found(text([ROWS[index] for index in order]))}
    assert kinds == (set() if order == sorted(order) else {"order"})
