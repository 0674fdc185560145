"""Parts of messages, and text that is safe in a terminal or a spreadsheet."""

from __future__ import annotations

import csv
import io

import pytest

from abaw.core.text import csv_records, csv_text, in_line, listed, plain_cell, visible


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b"], "a; b"),
        (["a", "b", "c"], "a; b and 1 more"),
        (list("abcdef"), "a; b and 4 more"),
    ],
)
def test_the_first_names_and_the_number_of_the_others_are_listed(names: list[str], expected: str) -> None:
    assert listed(names, shown=2, separator="; ") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("naïve 表情 👩‍🦰.mp4", "naïve 表情 👩‍🦰.mp4"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b]0;title\x07red\x1b[31m", "\\x1b]0;title\\x07red\\x1b[31m"),
        ("a\rb\x08\x7f\x9b", "a\\x0db\\x08\\x7f\\x9b"),
        ("gpj.\u202efdp.mp4\u2028", "gpj.\\u202efdp.mp4\\u2028"),
        (b"caf\xe9.mp4".decode("utf-8", "surrogateescape"), "caf\\xe9.mp4"),
        ("\ud83d alone", "\\ud83d alone"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text: str, expected: str) -> None:
    assert visible(text) == expected
    assert in_line(text) == expected.replace("\n", "\\n").replace("\t", "\\t")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-clip", "'-clip"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\tx", "'\tx"),
        ("-0.5", "-0.5"),
        ("+1e-3", "+1e-3"),
        (-0.5, "-0.5"),
        (-3, "-3"),
        ("plain = name", "plain = name"),
        ("'quoted", "'quoted"),
        ("", ""),
        (None, ""),
    ],
)
def test_text_that_a_spreadsheet_would_run_is_marked_and_numbers_are_not(value: object, expected: str) -> None:
    rows = list(csv.reader(io.StringIO(csv_text([["name", "number"], [value, 1]]))))
    assert rows == [["name", "number"], [expected, "1"]]
    assert plain_cell(expected) == ("" if value is None else str(value))


def test_records_become_rows_under_their_keys() -> None:
    assert csv_records([{"a": "=1+1", "b": -1}, {"b": 2, "a": "x"}]) == "a,b\n'=1+1,-1\nx,2\n"
