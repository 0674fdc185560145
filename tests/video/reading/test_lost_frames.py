"""What a stream promised and what came: a table, and frames in any order that a decoder may give."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abaw.video.reading.lost_frames import NO_PACKET, NO_REFERENCE, UNDECODABLE, Ledger

K, P, X, C, H = "key", "packet", "refused", "corrupt", "half"


def run(packets: list[tuple[int | None, str]], came: list[int], from_key: bool = False) -> list[tuple[int | None, str]]:
    """All packets first, then the frames, as with a decoder of endless delay: (pts, reason), '' for a picture."""
    ledger = Ledger(from_key)
    rows: list[tuple[int | None, str]] = []
    for pts, kind in packets:
        rows += [(lost.pts, lost.reason) for lost in ledger.sent(pts, kind == K, kind in (X, H), kind in (C, H))]
    for pts in came:
        before = ledger.came(pts, False)
        if before.retracted:
            rows.remove((before.retracted.pts, before.retracted.reason))
        rows += [*((lost.pts, lost.reason) for lost in before.missing), (pts, "")]
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
        ([(0, K), (1, X), (2, P)], [0, 2, 1], [(0, ""), (2, ""), (1, "")]),
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
        assert ledger.came(pts, pts == 0).missing == []
    ledger.sent(200, False, False, True)
    assert [(lost.pts, lost.reason) for lost in ledger.came(200, False).missing] == [(pts, NO_PACKET) for pts in filled]


@given(st.permutations(range(12)), st.sets(st.integers(0, 11)))
def test_each_time_has_one_row_in_order_whatever_is_refused(order: list[int], refused: set[int]) -> None:
    rows = run([(pts, X if pts in refused else P) for pts in order], [pts for pts in range(12) if pts not in refused])
    assert [pts for pts, _ in rows] == list(range(12))
    assert [pts for pts, reason in rows if reason] == sorted(refused)


def test_joined_recordings_are_compared_each_with_itself() -> None:
    """The second part begins again at time 0; its first packet is marked as corrupt. Nothing was lost."""
    ledger = Ledger(from_key=False)
    rows: list[tuple[int | None, str]] = []
    frames = [(0, 0), (40, 40), (80, 80), (0, 0), (40, 40), (80, 80)]
    for index, (dts, pts) in enumerate(frames):
        ledger.sent(pts, index in (0, 3), False, index == 3, dts)
        if index >= 2:  # the decoder returns a frame two packets later
            came = frames[index - 2][1]
            rows += [*((lost.pts, lost.reason) for lost in ledger.came(came, index - 2 in (0, 3)).missing), (came, "")]
    for index in (4, 5):
        rows += [
            *((lost.pts, lost.reason) for lost in ledger.came(frames[index][1], False).missing),
            (frames[index][1], ""),
        ]
    rows += [(lost.pts, lost.reason) for lost in ledger.ended()]
    assert rows == [(0, ""), (40, ""), (80, ""), (0, ""), (40, ""), (80, "")]


def test_frames_out_of_order_disprove_the_times() -> None:
    """After that only a refused packet is evidence of a lost frame; no gap is filled."""
    packets = [(0, K), (80, P), (120, C), (400, P), (200, X), (440, P)]
    rows = run([*packets], [0, 80, 40, 120, 400, 440])
    assert [pts for pts, reason in rows if not reason] == [0, 80, 40, 120, 400, 440]
    assert [(pts, reason) for pts, reason in rows if reason] == [(200, UNDECODABLE)]


@given(st.lists(st.tuples(st.integers(0, 200), st.sampled_from([K, P, X, C, H])), max_size=30), st.data())
def test_every_frame_that_came_has_its_row(packets: list[tuple[int, str]], data: st.DataObject) -> None:
    """Whatever the times are: also doubled, backwards, or of no packet."""
    came = data.draw(st.lists(st.integers(0, 200), max_size=30))
    rows = run([*packets], came)
    assert [pts for pts, reason in rows if not reason] == came
    assert len(rows) - len(came) <= 200 + len(packets)


def test_packets_without_a_picture_are_counted_only_where_nothing_is_damaged() -> None:
    intact = Ledger(from_key=False)
    for pts in (0, 1, 2):
        intact.sent(pts, pts == 0, False, False)
    for pts in (0, 2):
        intact.came(pts, pts == 0)
    assert intact.ended() == [] and intact.pictureless == 1
    damaged = Ledger(from_key=False)
    for pts in (0, 1, 2):
        damaged.sent(pts, pts == 0, pts == 1, False)
    for pts in (0, 2):
        damaged.came(pts, pts == 0)
    assert damaged.pictureless == 0
