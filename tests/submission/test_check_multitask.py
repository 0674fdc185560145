"""Every fault of a row of valence, arousal and action units is found on its line, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from abaw.protocol.template import Template
from tests.submission.samples import LOCATIONS, MULTITASK, Sample, check, long_template, sample

Faults = list[tuple[int, str]]
Mutation = tuple[Callable[[Sample], str | bytes], Faults]
LAST = sample("abaw6").last_line


MULTITASK_MUTATIONS: dict[str, Mutation] = {
    "valence above 1": (lambda s: s.changed(4, valence="1.0001"), [(6, "value")]),
    "valence below -1": (lambda s: s.changed(4, valence="-1.5"), [(6, "value")]),
    "valence -5": (lambda s: s.changed(4, valence="-5"), [(6, "value")]),
    "arousal nan": (lambda s: s.changed(4, arousal="nan"), [(6, "value")]),
    "arousal inf": (lambda s: s.changed(4, arousal="-inf"), [(6, "value")]),
    "arousal no number": (lambda s: s.changed(4, arousal="a"), [(6, "value")]),
    "arousal with a decimal comma": (lambda s: s.changed(4, arousal="0,5"), [(6, "fields")]),
    "arousal with an underscore": (lambda s: s.changed(4, arousal="0_1"), [(6, "value")]),
    "no arousal": (lambda s: s.changed(4, arousal=""), [(6, "value")]),
    "both out of range": (lambda s: s.changed(4, valence="2", arousal="2"), [(6, "value")]),
    "action unit 2": (lambda s: s.changed(4, au3="2"), [(6, "label")]),
    "action unit -1": (lambda s: s.changed(4, au12="-1"), [(6, "label")]),
    "no action unit": (lambda s: s.changed(4, au1=""), [(6, "label")]),
    "action unit as a float": (lambda s: s.changed(4, au7="1.0"), [(6, "float")]),
    "action unit as a probability": (lambda s: s.changed(4, au7="0.31"), [(6, "float")]),
    "two action units as floats": (lambda s: s.changed(4, au7="1.0", au8="0.0"), [(6, "float")]),
    "one of each": (
        lambda s: s.changed(4, valence="2", k="9", au1="0.5"),
        [(6, "float"), (6, "label"), (6, "value")],
    ),
    "valence written as an integer": (lambda s: s.changed(4, valence="-1"), []),
    "valence with a sign, an exponent": (lambda s: s.changed(4, valence="+1.0", arousal="1e-3"), []),
    "valence without a leading zero": (lambda s: s.changed(4, valence=".5", arousal="-.5"), []),
    "valence constant": (
        lambda s: s.text([s.row(index, valence="0.0000") for index in range(len(s.rows))]),
        [(2, "constant")],
    ),
    "valence constant in several spellings": (
        lambda s: s.text([s.row(index, valence=("0.5", ".5", "0.500")[index % 3]) for index in range(len(s.rows))]),
        [(2, "constant")],
    ),
    "an action unit constant": (
        lambda s: s.text([s.row(index, au5="0") for index in range(len(s.rows))]),
        [(2, "constant")],
    ),
    "all constant": (
        lambda s: s.text([f"{location},{s.rows[0].partition(',')[2]}" for location in LOCATIONS]),
        [(2, "constant"), (2, "one-class")],
    ),
    "rows of the expression task": (
        lambda s: s.text([f"{location},1" for location in LOCATIONS]),
        [(line, "fields") for line in range(2, LAST + 1)],
    ),
}


NUMBERS = [name for name in MULTITASK_MUTATIONS if "valence" in name or "arousal" in name or "both" in name]
UNITS = [name for name in MULTITASK_MUTATIONS if "action unit" in name]


@pytest.mark.parametrize(
    ("name", "mutation"),
    [
        *product(MULTITASK, MULTITASK_MUTATIONS),
        *product(("abaw8_va", "abaw10_va"), NUMBERS),
        *product(("abaw8_au", "abaw10_au"), UNITS),
    ],
)
def test_each_fault_of_values_is_found(name: str, mutation: str) -> None:
    spoilt, expected = MULTITASK_MUTATIONS[mutation]
    chosen = sample(name)
    assert chosen.found(spoilt(chosen)) == expected


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            lambda s: s.changed(4, au7="1.0", au8="0.5"),
            "AU12: expected an integer from 0 to 1, found a number that is not written as an integer: '1.0'; AU15: ",
        ),
        (
            lambda s: s.changed(4, arousal="-5"),
            "arousal: expected a number from -1 to 1, found -5 (which annotations use",
        ),
        (
            lambda s: s.text([s.row(index, valence="0.5", au2="1") for index in range(len(s.rows))]),
            "the same in all rows: valence (0.5), AU2 (1)",
        ),
        (lambda s: s.replaced(4, LOCATIONS[4] + ",1"), "expected 16 fields '<video>/00001.jpg,valence,arousal,k,au1,"),
    ],
)
def test_messages_of_multi_task_rows_name_the_column(content: Callable[[Sample], str], words: str) -> None:
    chosen = sample("abaw7_mtl")
    (fault,) = chosen.check(content(chosen))
    assert words in fault.message


@pytest.mark.parametrize(("name", "kind"), [("abaw8_va", "value"), ("abaw10_au", "label")])
def test_a_second_header_has_the_fields_of_a_row(name: str, kind: str) -> None:
    chosen = sample(name)
    assert chosen.found(chosen.text([chosen.edition.header, *chosen.rows])) == sorted([(2, "location"), (2, kind)])


@pytest.mark.parametrize(
    ("name", "row", "words"),
    [
        ("abaw8_va", ",0.5,0.5,1", "expected 3 fields '<video>/00001.jpg,valence,arousal'"),
        ("abaw8_va", ",0.5", "found 2: "),
        ("abaw8_va", ",0.5,-1.01", "arousal: expected a number from -1 to 1, found -1.01"),
        ("abaw10_au", ",1" * 11, "expected 13 fields '<video>/00001.jpg,au1,…,au12', found 12"),
        ("abaw10_au", ",1" * 11 + ",2", "AU26: expected an integer from 0 to 1, found 2"),
    ],
)
def test_messages_of_rows_of_one_task(name: str, row: str, words: str) -> None:
    chosen = sample(name)
    (fault,) = chosen.check(chosen.replaced(4, LOCATIONS[4] + row))
    assert (fault.line, words in fault.message) == (6, True)


@pytest.mark.parametrize(
    ("name", "good", "fault", "kind"),
    [
        ("abaw8_va", ",0.{},-0.{}", " ", "spaces"),
        ("abaw8_va", ",0.{},-0.{}", ",0", "fields"),
        ("abaw8_va", ",0.{},-0.{}", "x", "value"),
        ("abaw8_va", ",0.{},-0.{}", " x", "value"),
        ("abaw10_au", ",0,1,0,1,0,1,0,1,0,1,0,1", " ", "spaces"),
        ("abaw10_au", ",0,1,0,1,0,1,0,1,0,1,0,1", ",0", "fields"),
    ],
)
def test_the_same_fault_in_every_row_is_counted_in_every_row(name: str, good: str, fault: str, kind: str) -> None:
    chosen = sample(name)
    long = Template(Path("t.txt"), chosen.edition.header, long_template(600).locations)
    rows = [location + good.format(index % 7, index % 9) + fault for index, location in enumerate(long.locations)]
    found = [fault for fault in check(chosen.text(rows), long, chosen.edition) if fault.severity == "error"]
    assert {fault.kind for fault in found} == {kind}
    assert sum(fault.num_lines for fault in found) == 600


def test_long_ranges_of_faulty_multi_task_rows_hide_no_other_fault() -> None:
    """Rows with the same faults after valence and arousal are parsed once, but these two are always checked."""
    chosen = sample("abaw7_mtl")
    long = Template(Path("t.txt"), chosen.edition.header, long_template(600).locations)
    rows = [
        f"{location},{'0.9' if index > 400 else '0.5'},0.{index % 7},{index % 8}" + ",1.0" * 12
        for index, location in enumerate(long.locations)
    ]
    rows[300] = rows[300].replace(",0.5,", ",1e5,")
    rows[301] = rows[301].replace(",0.5,", ",0e5,")
    rows[450] = rows[450].replace(",0.9,0", ",0.9,_0")
    faults = check(chosen.text(rows), long, chosen.edition)
    assert [fault.line for fault in faults if fault.kind == "value"] == [302, 452]
    assert sum(fault.num_lines for fault in faults if fault.kind == "float") == 600
    assert {fault.kind for fault in faults} == {"value", "float"}
