"""Tracking and the choice of the person."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abaw.core.errors import ConfigError
from abaw.video.boxes import iou_matrix
from abaw.video.subjects import TrackBook, TrackSummary, choose_all, choose_main, choose_side, size_times_centrality
from abaw.video.track import Tracker


def box(x: float, y: float = 100, side: float = 60) -> list[float]:
    return [x - side / 2, y - side / 2, x + side / 2, y + side / 2]


def boxes(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def run(frames: list[np.ndarray], **settings: float) -> list[list[int]]:
    tracker = Tracker(**settings)
    return [tracker.update(index, found).tolist() for index, found in enumerate(frames, start=1)]


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        ((0, 0, 10, 10), (0, 0, 10, 10), 1.0),
        ((0, 0, 10, 10), (5, 0, 15, 10), 1 / 3),
        ((0, 0, 10, 10), (20, 0, 30, 10), 0.0),
        ((0, 0, 0, 0), (0, 0, 0, 0), 0.0),
        ((10, 10, 0, 0), (0, 0, 10, 10), 0.0),
    ],
)
def test_iou(first: tuple[float, ...], second: tuple[float, ...], wanted: float) -> None:
    assert iou_matrix(np.array([first]), np.array([second]))[0, 0] == pytest.approx(wanted)


def test_two_people_keep_their_numbers_in_whatever_order_they_come() -> None:
    frames = [boxes(box(100), box(300)), boxes(box(304), box(103)), boxes(box(106), box(308))]
    assert run(frames) == [[1, 2], [2, 1], [1, 2]]


def test_a_gap_is_bridged_along_the_motion_up_to_its_limit() -> None:
    moving = [boxes(box(100 + 10 * k)) for k in range(20)]
    for gap, number in ((5, 1), (6, 2)):
        frames = moving[:10] + [boxes()] * gap + [boxes(box(100 + 10 * (10 + gap)))]
        assert run(frames, max_gap=5)[-1] == [number]


def test_a_face_elsewhere_is_somebody_else() -> None:
    assert run([boxes(box(100)), boxes(box(200)), boxes(box(101))]) == [[1], [2], [1]]


def test_no_faces_at_all() -> None:
    assert run([boxes(), boxes()]) == [[], []]


def test_the_best_pairing_over_all_wins() -> None:
    """Taken one by one, the first face would take the track of the second."""
    frames = [boxes(box(100), box(130)), boxes(box(122), box(152))]
    assert run(frames, min_iou=0.2)[1] == [1, 2]


@pytest.mark.parametrize("settings", [{"max_gap": -1}, {"min_iou": 0.0}, {"min_iou": 1.5}])
def test_settings_out_of_range(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Tracker(**settings)


@given(st.lists(st.lists(st.tuples(st.floats(0, 600), st.floats(20, 80)), max_size=5), max_size=12))
def test_numbers_of_one_frame_differ_and_count_from_one(frames: list[list[tuple[float, float]]]) -> None:
    numbers = run([boxes(*(box(x, side=side) for x, side in faces)) for faces in frames])
    for row in numbers:
        assert len(set(row)) == len(row)
    everything = {number for row in numbers for number in row}
    assert everything == set(range(1, len(everything) + 1))


def summary(number: int, first: int, last: int, weight: float, mean_x: float = 0.5) -> TrackSummary:
    frames = last - first + 1
    return TrackSummary(number, first, last, frames, weight, mean_x * frames)


def book(*summaries: TrackSummary) -> dict[int, TrackSummary]:
    return {one.number: one for one in summaries}


@pytest.mark.parametrize(
    ("label", "tracks", "main"),
    [
        ("nobody", book(), set()),
        ("one", book(summary(1, 5, 9, 1)), {1}),
        ("the heavier of two at once", book(summary(1, 1, 90, 3), summary(2, 40, 90, 7)), {2}),
        ("one person split by a cut", book(summary(1, 1, 40, 5), summary(2, 41, 90, 4)), {1, 2}),
        ("both split by a cut", book(summary(1, 1, 40, 5), summary(2, 1, 40, 1),
            summary(3, 41, 90, 2), summary(4, 41, 90, 6)), {1, 4}),
        ("filled by the heaviest first", book(summary(1, 1, 40, 9), summary(2, 50, 60, 2),
            summary(3, 55, 90, 3)), {1, 3}),
        ("equal weights: the earlier number", book(summary(2, 1, 9, 1), summary(1, 1, 9, 1)), {1}),
    ],
)  # fmt: skip
def test_main_person(label: str, tracks: dict[int, TrackSummary], main: set[int]) -> None:
    assert choose_main(tracks) == main, label


@pytest.mark.parametrize(
    ("label", "tracks", "left", "right"),
    [
        ("nobody", book(), set(), set()),
        ("two side by side", book(summary(1, 1, 90, 3, 0.7), summary(2, 1, 90, 7, 0.3)), {2}, {1}),
        ("both on the right half", book(summary(1, 1, 90, 3, 0.9), summary(2, 1, 90, 7, 0.6)), {2}, {1}),
        ("alone on the left", book(summary(1, 1, 90, 3, 0.2)), {1}, set()),
        ("never at once", book(summary(1, 1, 40, 3, 0.2), summary(2, 50, 90, 2, 0.8)), {1}, {2}),
        ("split by a cut", book(summary(1, 1, 40, 3, 0.3), summary(2, 1, 40, 3, 0.7),
            summary(3, 41, 90, 3, 0.35), summary(4, 41, 90, 3, 0.65)), {1, 3}, {2, 4}),
        ("a bystander", book(summary(1, 1, 90, 9, 0.3), summary(2, 1, 90, 8, 0.7),
            summary(3, 1, 90, 1, 0.05)), {1}, {2}),
    ],
)  # fmt: skip
def test_sides(label: str, tracks: dict[int, TrackSummary], left: set[int], right: set[int]) -> None:
    assert (choose_side(tracks, "left"), choose_side(tracks, "right")) == (left, right), label


def test_all_leaves_short_tracks_out() -> None:
    assert choose_all(book(summary(2, 1, 10, 1), summary(1, 1, 9, 5), summary(3, 1, 50, 1)), 10) == [2, 3]


def test_size_times_centrality() -> None:
    values = size_times_centrality(
        boxes([40, 40, 60, 60], [30, 30, 70, 70], [-10, -10, 10, 10], [5, 5, 5, 9]), (100, 100)
    )
    np.testing.assert_allclose(values, [0.2, 0.4, 0.0, 0.0], atol=1e-6)


def test_book_sums_up_over_the_video() -> None:
    tracks = TrackBook()
    tracks.add(3, np.array([1, 2], np.int32), boxes([40, 40, 60, 60], [0, 40, 20, 60]), (100, 100))
    tracks.add(7, np.array([1], np.int32), boxes([60, 40, 80, 60]), (100, 100))
    first = tracks.summaries[1]
    assert (first.first, first.last, first.num_frames, first.mean_x) == (3, 7, 2, pytest.approx(0.6))
    assert first.weight == pytest.approx(0.2 + 0.2 * (1 - 0.2 * 2**0.5))
    assert tracks.summaries[2].mean_x == pytest.approx(0.1)
