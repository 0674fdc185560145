"""Every fault is found on its line, and nothing else, for every edition with one row per frame."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from abaw.core.errors import DataError
from abaw.protocol.editions import edition
from abaw.protocol.template import Template
from abaw.submission.check import check_submission
from tests.submission.samples import CLASS_EDITIONS, LOCATIONS, ROW_EDITIONS, Sample, check, long_template, sample

SIXTH = sample("abaw6")
HEADER = SIXTH.edition.header
ROWS = SIXTH.rows
LAST = SIXTH.last_line

Faults = list[tuple[int, str]]
Mutation = tuple[Callable[[Sample], str | bytes], Faults]


def swap(rows: list[str], first: int, second: int) -> list[str]:
    rows = rows.copy()
    rows[first], rows[second] = rows[second], rows[first]
    return rows


def other_header(s: Sample) -> str:
    return "image_location,valence,arousal" if s.edition.task == "mtl" else "image,valence,arousal,expression,aus"


def out_of_range(s: Sample) -> str:
    return str(s.edition.num_classes)


MUTATIONS: dict[str, Mutation] = {
    "no fault": (lambda s: s.text(), []),
    "empty file": (lambda s: "", [(1, "empty")]),
    "blank file": (lambda s: " \n\n", [(1, "empty")]),
    "UTF-16": (lambda s: s.text().encode("utf-16"), [(1, "encoding")]),
    "Latin-1 on one line": (
        lambda s: s.text().encode().replace(b"a/00001.jpg", b"\xe4/00001.jpg"),
        [(6, "encoding"), (6, "extra"), (6, "missing")],
    ),
    "BOM": (lambda s: "\ufeff" + s.text(), [(1, "bom")]),
    "CRLF everywhere": (lambda s: s.text().replace("\n", "\r\n"), [(1, "line-end")]),
    "CRLF everywhere and a CR inside": (
        lambda s: s.replaced(4, s.rows[4] + "\r").replace("\n", "\r\n"),
        [(1, "line-end"), (6, "line-end")],
    ),
    "CR everywhere": (lambda s: s.text().replace("\n", "\r"), [(1, "line-end")]),
    "CRLF on one line": (lambda s: s.replaced(3, s.rows[3] + "\r"), [(5, "line-end")]),
    "CRLF on the header": (lambda s: s.text(header=s.edition.header + "\r"), [(1, "line-end")]),
    "no last line end": (lambda s: s.text()[:-1], [(LAST, "last-line")]),
    "blank line at the end": (lambda s: s.text() + "\n", [(LAST + 1, "blank")]),
    "blank line inside": (lambda s: s.text([*s.rows[:2], "", *s.rows[2:]]), [(4, "blank")]),
    "line of spaces": (lambda s: s.text([*s.rows[:2], "  ", *s.rows[2:]]), [(4, "blank")]),
    "no header": (lambda s: "\n".join(s.rows) + "\n", [(1, "header")]),
    "no header but a BOM": (lambda s: "\ufeff" + "\n".join(s.rows) + "\n", [(1, "bom"), (1, "header")]),
    "wrong edition": (lambda s: s.text(header=other_header(s)), [(1, "edition")]),
    "header of the third edition": (lambda s: s.text(header=edition("abaw3").header), [(1, "edition")]),
    "header with a comma more": (lambda s: s.text(header=s.edition.header + ","), [(1, "header")]),
    "header in upper case": (lambda s: s.text(header=s.edition.header.upper()), [(1, "header")]),
    "header with spaces": (lambda s: s.text(header=s.edition.header.replace(",", ", ")), [(1, "spaces")]),
    "trailing space": (lambda s: s.replaced(4, s.rows[4] + " "), [(6, "spaces")]),
    "trailing tab": (lambda s: s.replaced(4, s.rows[4] + "\t"), [(6, "spaces")]),
    "leading space": (lambda s: s.replaced(4, " " + s.rows[4]), [(6, "spaces")]),
    "space after the comma": (lambda s: s.replaced(4, s.rows[4].replace(",", ", ")), [(6, "spaces")]),
    "space before the comma": (lambda s: s.replaced(4, s.rows[4].replace(",", " ,")), [(6, "spaces")]),
    "no comma": (lambda s: s.replaced(4, LOCATIONS[4]), [(6, "fields")]),
    "a field more": (lambda s: s.replaced(4, s.rows[4] + ",0"), [(6, "fields")]),
    "a comma more": (lambda s: s.replaced(4, s.rows[4] + ","), [(6, "fields")]),
    "one digit": (lambda s: s.changed(4, location="a/1.jpg"), [(6, "digits")]),
    "six digits": (lambda s: s.changed(4, location="a/000001.jpg"), [(6, "digits")]),
    "not a jpg": (lambda s: s.changed(4, location="a/00001.png"), [(6, "location"), (6, "missing")]),
    "no folder": (lambda s: s.changed(4, location="00001.jpg"), [(6, "location"), (6, "missing")]),
    "another frame": (lambda s: s.changed(4, location="a/00009.jpg"), [(6, "extra"), (6, "missing")]),
    "another video": (lambda s: s.changed(4, location="A/00001.jpg"), [(6, "extra"), (6, "missing")]),
    "frame 0": (
        lambda s: s.text([*s.rows[:4], s.row(4, location="a/00000.jpg"), *s.rows[4:]]),
        [(6, "extra")],
    ),
    "extra row": (lambda s: s.text([*s.rows[:5], s.row(0, location="z/00001.jpg"), *s.rows[5:]]), [(7, "extra")]),
    "extra frame at the end of a video": (
        lambda s: s.text([*s.rows, s.row(0, location="c-30/00006.jpg")]),
        [(LAST + 1, "extra")],
    ),
    "duplicate row": (lambda s: s.text([*s.rows, s.rows[0]]), [(LAST + 1, "duplicate")]),
    "duplicate row next to it": (lambda s: s.text([*s.rows[:6], s.rows[5], *s.rows[6:]]), [(8, "duplicate")]),
    "duplicate video": (
        lambda s: s.text([*s.rows, *s.rows[4:7]]),
        [(LAST + 1, "duplicate"), (LAST + 2, "duplicate"), (LAST + 3, "duplicate")],
    ),
    "two rows swapped": (lambda s: s.text(swap(s.rows, 1, 5)), [(3, "order"), (7, "order")]),
    "two videos swapped": (lambda s: s.text([*s.rows[4:7], *s.rows[:4], *s.rows[7:]]), [(2, "order")]),
    "row missing": (lambda s: s.text([*s.rows[:5], *s.rows[6:]]), [(7, "missing")]),
    "first row missing": (lambda s: s.text(s.rows[1:]), [(2, "missing")]),
    "video missing": (lambda s: s.text([*s.rows[:4], *s.rows[7:]]), [(6, "missing")]),
    "video cut short": (lambda s: s.text([*s.rows[:6], *s.rows[7:]]), [(8, "missing")]),
    "last video cut short": (lambda s: s.text(s.rows[:-2]), [(LAST - 1, "missing")]),
    "header alone": (lambda s: s.text([]), [(2, "missing")] * 3),
}


CLASS_MUTATIONS: dict[str, Mutation] = {
    "header twice": (
        lambda s: s.text([s.edition.header, *s.rows]),
        [(2, "fields"), (2, "location")],
    ),
    "class out of range": (lambda s: s.changed(4, k=out_of_range(s)), [(6, "label")]),
    "class -1": (lambda s: s.changed(4, k="-1"), [(6, "label")]),
    "class a": (lambda s: s.changed(4, k="a"), [(6, "label")]),
    "class nan": (lambda s: s.changed(4, k="nan"), [(6, "label")]),
    "no class": (lambda s: s.changed(4, k=""), [(6, "label")]),
    "class with a leading zero": (lambda s: s.changed(4, k="03"), [(6, "label")]),
    "class with a sign": (lambda s: s.changed(4, k="+3"), [(6, "label")]),
    "class in other digits": (lambda s: s.changed(4, k="\u0663"), [(6, "label")]),
    "class as a float": (lambda s: s.changed(4, k="4.0"), [(6, "float")]),
    "class with an exponent": (lambda s: s.changed(4, k="1e0"), [(6, "float")]),
    "duplicate row with another class": (
        lambda s: s.text([*s.rows[:6], s.row(5, k="0"), *s.rows[6:]]),
        [(8, "duplicate")],
    ),
    "all one class": (
        lambda s: s.text([s.row(index, k="3") for index in range(len(s.rows))]),
        [(2, "one-class")],
    ),
}


@pytest.mark.parametrize(
    ("name", "mutation"),
    [*product(ROW_EDITIONS, MUTATIONS), *product(CLASS_EDITIONS, CLASS_MUTATIONS)],
)
def test_each_fault_is_found_on_its_line_and_nothing_else(name: str, mutation: str) -> None:
    spoilt, expected = {**MUTATIONS, **CLASS_MUTATIONS}[mutation]
    chosen = sample(name)
    assert chosen.found(spoilt(chosen)) == expected


@pytest.mark.parametrize("made_for", ROW_EDITIONS)
@pytest.mark.parametrize("checked_as", ROW_EDITIONS)
def test_the_file_of_another_edition_is_recognised_by_its_header(made_for: str, checked_as: str) -> None:
    file, chosen = sample(made_for), sample(checked_as)
    first = chosen.check(file.text())[:1]
    if file.edition.header == chosen.edition.header:
        assert first == []
    else:
        assert [(fault.line, fault.kind) for fault in first] == [(1, "edition")]
        assert made_for in first[0].message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (SIXTH.text([*ROWS[:4], *ROWS[7:]]), "video missing: a, all 3 rows"),
        (SIXTH.text(ROWS[:-2]), "video cut short: c-30 lacks its last 2 of 5 rows, c-30/00004.jpg to c-30/00005.jpg"),
        (SIXTH.text([*ROWS[:5], *ROWS[6:]]), "row missing: a/00002.jpg"),
        (SIXTH.text([*ROWS[:8], *ROWS[10:]]), "2 rows missing: c-30/00002.jpg to c-30/00003.jpg"),
        (SIXTH.text([*ROWS, ROWS[0]]), "b é/00001.jpg is already on line 2"),
        (
            SIXTH.text([*ROWS[4:7], *ROWS[:4], *ROWS[7:]]),
            "a/00001.jpg to a/00003.jpg (3 rows); expected after b é/00004.jpg",
        ),
        (SIXTH.changed(4, location="a/1.jpg"), "expected a/00001.jpg, found a/1.jpg"),
        (SIXTH.text(header="image,expression"), "ABAW 4, learning from synthetic data"),
        (SIXTH.text(header="image,valence,arousal,expression,aus"), "header of edition abaw4_mtl or abaw7_mtl"),
        (SIXTH.text(header=edition("abaw8_ce").header), "header of edition abaw6_ce or abaw7_ce or abaw8_ce"),
        (SIXTH.changed(4, k="9"), "expected an integer from 0 to 7, found 9"),
    ],
)
def test_messages_describe_the_fault(content: str, words: str) -> None:
    (fault,) = SIXTH.check(content)
    assert words in fault.message


def test_warnings_are_distinguished_from_errors() -> None:
    one_class = SIXTH.text([f"{location},3" for location in LOCATIONS])[:-1]
    assert {fault.kind: fault.severity for fault in SIXTH.check(one_class)} == {
        "one-class": "warning",
        "last-line": "warning",
    }
    assert all(fault.severity == "error" for fault in SIXTH.check(SIXTH.text(ROWS[:-2])))


def test_all_faults_of_a_file_are_found_in_one_pass() -> None:
    rows = swap(ROWS, 0, 2)
    rows[4] += ".0"
    rows[6] = rows[6][:-1] + "9"
    rows[8] += "  "
    rows += ["z/00001.jpg,1", ROWS[1], ""]
    lines = "\ufeff" + "\n".join([HEADER.replace("Fear", "Fears"), *rows])
    kinds = [kind for _, kind in SIXTH.found(lines)]
    assert sorted(set(kinds)) == ["bom", "duplicate", "extra", "float", "header", "label", "order", "spaces"]


def test_many_equal_faults_are_joined_to_a_range() -> None:
    long = long_template(3000)
    rows = [f"{location},{index % 8}.0" for index, location in enumerate(long.locations)]
    faults = check(SIXTH.text(rows), long, SIXTH.edition)
    assert len(faults) == 101
    assert (faults[-1].line, faults[-1].last_line) == (102, 3001)
    assert sum(fault.num_lines for fault in faults) == 3000


def test_two_long_ranges_of_equal_faults_are_kept_apart() -> None:
    long = long_template(1000)
    rows = [f"{location},{index % 8}{'' if index == 400 else '.0'}" for index, location in enumerate(long.locations)]
    faults = check(SIXTH.text(rows), long, SIXTH.edition)
    assert [(fault.line, fault.last_line) for fault in faults if fault.last_line] == [(102, 401), (503, 1001)]
    assert sum(fault.num_lines for fault in faults) == 999


def test_a_completely_different_order_is_one_fault() -> None:
    long = long_template(9000)
    rows = [f"{location},{index % 8}" for index, location in enumerate(long.locations)]
    order = np.random.default_rng(0).permutation(len(rows))
    (fault,) = check(SIXTH.text([rows[index] for index in order]), long, SIXTH.edition)
    assert fault.kind == "order" and "completely different order" in fault.message


def test_videos_in_several_blocks_of_the_template() -> None:
    pieces = Template(Path("t.txt"), HEADER, [LOCATIONS[index] for index in (0, 4, 1, 5, 2, 6)])
    rows = [f"{location},{index}" for index, location in enumerate(pieces.locations)]
    assert check(SIXTH.text(rows), pieces, SIXTH.edition) == []
    assert [fault.kind for fault in check(SIXTH.text(swap(rows, 1, 2)), pieces, SIXTH.edition)] == ["order"]


def test_a_template_that_lists_a_row_twice_is_refused() -> None:
    double = Template(Path("t.txt"), HEADER, [*LOCATIONS, LOCATIONS[0]])
    with pytest.raises(DataError, match=r"t\.txt: lists b é/00001\.jpg twice"):
        check(SIXTH.text([ROWS[1], *ROWS]), double, SIXTH.edition)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"s\.txt: no such file"):
        check_submission(tmp_path / "s.txt", SIXTH.template, SIXTH.edition)
    (fault,) = check_submission(tmp_path, SIXTH.template, SIXTH.edition)
    assert (fault.line, fault.kind) == (0, "edition")
    assert "is a folder; abaw6 expects one file" in fault.message


Injection = Callable[[list[str], int], tuple[list[str], int]]


def _at(change: Callable[[str], str]) -> Injection:
    return lambda rows, index: ([*rows[:index], change(rows[index]), *rows[index + 1 :]], index)


INJECTIONS: dict[str, Injection] = {
    "missing": lambda rows, index: (rows[:index] + rows[index + 1 :], index),
    "extra": lambda rows, index: ([*rows[:index], rows[0].replace("b é/", "not there/"), *rows[index:]], index),
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


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(ROW_EDITIONS), st.sampled_from(sorted(INJECTIONS)), st.integers(0, len(ROWS) - 1))
def test_an_injected_fault_is_found_on_its_line(name: str, kind: str, index: int) -> None:
    chosen = sample(name)
    assume(chosen.edition.task != "valence_arousal" or kind not in ("label", "float"))
    rows, at = INJECTIONS[kind](chosen.rows, index)
    faults = chosen.found(chosen.text(rows))
    assert (at + 2, kind) in faults
    assert {other for _, other in faults} - {kind} <= ({"missing"} if kind == "location" else set())


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["abaw6", "abaw8_va", "abaw8_au", "abaw7_mtl"]), st.permutations(range(len(ROWS))))
def test_any_other_order_is_found_and_causes_no_other_fault(name: str, order: list[int]) -> None:
    chosen = sample(name)
    kinds = {kind for _, kind in chosen.found(chosen.text([chosen.rows[index] for index in order]))}
    assert kinds == (set() if order == sorted(order) else {"order"})


@pytest.mark.parametrize(
    ("start", "what"),
    [(b"PK\x03\x04", "zip archive"), (b"\x1f\x8b\x08", "compressed by gzip"), (b"\xd0\xcf\x11\xe0", "Excel workbook")],
)
def test_a_file_that_is_no_text_has_one_fault(tmp_path: Path, start: bytes, what: str) -> None:
    (tmp_path / "s.txt").write_bytes(start + bytes(range(256)) * 20)
    (fault,) = check_submission(tmp_path / "s.txt", SIXTH.template, SIXTH.edition)
    assert (fault.line, fault.kind) == (1, "encoding") and what in fault.message
