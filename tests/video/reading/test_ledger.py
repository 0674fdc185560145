"""What a stream promised and what came: a table, and frames in any order that a decoder may give."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abaw.video.reading.ledger import NO_PACKET, NO_REFERENCE, UNDECODABLE, Ledger

K, P, X, C, H = "key", "packet", "refused", "corrupt", "half"


def run(packets: list[tuple[int | None, str]], came: list[int], from_key: bool = False) -> list[tuple[int | None, str]]:
    """All packets first, then the frames, as with a decoder of endless delay: (pts, reason), '' for a picture."""
    ledger = Ledger(from_key)
    rows: list[tuple[int | None, str]] = []
    for pts, kind in packets:
        rows += [(lost.pts, lost.reason) for lost in ledger.sent(pts, kind == K, kind in (X, H), kind in (C, H))]
    for pts in came:
        missing = ledger.came(pts, False)
        if missing is not None:
            rows += [*((lost.pts, lost.reason) for lost in missing), (pts, "")]
    return rows + [(lost.pts, lost.reason) for lost in ledger.ended()]


@pytest.mark.parametrize(
    ("packets", "came", "rows"),
    [
        ([], [], []),
        ([(0, K)], [0], [(0, "")]),
        ([(0, K), (1, P), (2, P)], [0, 1, 2], [(0, ""), (1, ""), (2, "")]),
        ([(0, K), (1, X), (2, P)], [0, 2], [(0, ""), (1, UNDECODABLE), (2, "")]),
        ([(0, K), (2, X), (1, P)], [0, 1], [(0, ""), (1, ""), (2, UNDECODABLE)]),
        ([(0, X), (1, P)], [], [(0, UNDECODABLE), (1, NO_REFERENCE)]),
        ([(0, K), (1, C), (2, P)], [0, 1, 2], [(0, ""), (1, ""), (2, "")]),
        ([(0, K), (1, X), (2, P)], [0, 2, 1], [(0, ""), (1, UNDECODABLE), (2, "")]),
        ([(0, K), (3, H)], [0], [(0, "")]),
        ([(0, K), (1, H), (2, P)], [0, 2], [(0, ""), (1, UNDECODABLE), (2, "")]),
        ([(0, K), (None, X), (None, P)], [0], [(None, UNDECODABLE), (0, "")]),
    ],
    ids=["nothing", "one", "intact", "middle", "end", "all", "patched", "late", "cut off", "half", "no times"],
)
def test_table(packets: list[tuple[int | None, str]], came: list[int], rows: list[tuple[int | None, str]]) -> None:
    assert run(packets, came) == rows


def test_packets_without_a_frame_are_no_damage() -> None:
    """An invisible reference frame, and a gap in the times."""
    assert run([(0, K), (1, P), (2, P), (9, P)], [0, 2, 9]) == [(0, ""), (2, ""), (9, "")]


def test_before_the_first_key_frame_of_a_broadcast_nothing_is_promised() -> None:
    packets = [(0, X), (1, P), (2, K), (3, P)]
    assert run(packets, [2, 3], from_key=True) == [(2, ""), (3, "")]
    assert run(packets, [2, 3]) == [(0, UNDECODABLE), (1, NO_REFERENCE), (2, ""), (3, "")]


@pytest.mark.parametrize(("step", "filled"), [(40, [120, 160]), (None, [])])
def test_a_gap_is_filled_where_there_is_damage_and_the_rate_is_constant(step: int | None, filled: list[int]) -> None:
    ledger = Ledger(from_key=False)
    for pts in (0, 40, 80 if step else 70):
        ledger.sent(pts, pts == 0, False, False)
        assert ledger.came(pts, pts == 0) == []
    ledger.sent(200, False, False, True)
    assert [(lost.pts, lost.reason) for lost in ledger.came(200, False) or []] == [(pts, NO_PACKET) for pts in filled]


@given(st.permutations(range(12)), st.sets(st.integers(0, 11)))
def test_each_time_has_one_row_in_order_whatever_is_refused(order: list[int], refused: set[int]) -> None:
    rows = run([(pts, X if pts in refused else P) for pts in order], [pts for pts in range(12) if pts not in refused])
    assert [pts for pts, _ in rows] == list(range(12))
    assert [pts for pts, reason in rows if reason] == sorted(refused)
