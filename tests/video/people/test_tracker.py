"""Tracking: one number per person."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abaw.core.errors import ConfigError
from abaw.video.detecting.boxes import iou_matrix
from abaw.video.people.tracker import Tracker


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


def scores(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_crossing_people_keep_their_numbers() -> None:
    """In the middle, each face is closer to the other one's previous place."""
    frames = [boxes(box(100 + 9 * k), box(280 - 9 * k, y=112)) for k in range(21)]
    assert run(frames) == [[1, 2]] * 21


def test_a_cut_ends_every_track() -> None:
    tracker = Tracker()
    there = boxes(box(100))
    assert tracker.update(1, there).tolist() == [1]
    assert tracker.update(2, there, cut=True).tolist() == [2]
    assert tracker.update(3, there).tolist() == [2]


def test_a_doubtful_face_goes_on_with_its_track_but_starts_none() -> None:
    tracker = Tracker(confident_score=0.6)
    assert tracker.update(1, boxes(box(100), box(300)), scores(0.9, 0.4)).tolist() == [1, 0]
    assert tracker.update(2, boxes(box(102), box(300)), scores(0.3, 0.4)).tolist() == [1, 0]
    assert tracker.update(3, boxes(box(300), box(104)), scores(0.7, 0.9)).tolist() == [2, 1]


def test_a_sure_face_comes_before_a_doubtful_one_that_fits_better() -> None:
    tracker = Tracker(confident_score=0.6)
    tracker.update(1, boxes(box(100)))
    assert tracker.update(2, boxes(box(100), box(110)), scores(0.4, 0.8)).tolist() == [0, 1]


def test_a_doubtful_face_does_not_bring_a_lost_track_back() -> None:
    tracker = Tracker(confident_score=0.6)
    tracker.update(1, boxes(box(100)))
    tracker.update(2, boxes())
    assert tracker.update(3, boxes(box(100)), scores(0.4)).tolist() == [0]
    assert tracker.update(4, boxes(box(100)), scores(0.9)).tolist() == [1]


def test_a_new_person_gets_the_next_number() -> None:
    assert run([boxes(box(100)), boxes(box(100), box(300)), boxes(box(300))]) == [[1], [1, 2], [2]]


def test_expected_boxes_move_on_and_end_with_their_tracks() -> None:
    tracker = Tracker(max_gap=3)
    assert [len(part) for part in tracker.expected(1)] == [0, 0]
    for k in range(30):
        tracker.update(k + 1, boxes(box(100 + 4 * k), box(500)))
    numbers, places = tracker.expected(32)
    assert numbers.tolist() == [1, 2]
    np.testing.assert_allclose(places, boxes(box(224), box(500)), atol=1.5)
    assert tracker.expected(33)[0].tolist() == [1, 2]
    assert tracker.expected(35)[0].tolist() == []
