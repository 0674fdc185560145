"""The faces of a picture: picked, joined, and carried over into other coordinates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abaw.video.detecting.detections import Detections
from tests.video.fakes import faces_on

Square = tuple[int, int, int]
SQUARES = st.lists(st.tuples(st.integers(-50, 500), st.integers(-50, 500), st.integers(1, 200)), max_size=6)
PIXELS = st.integers(-2000, 2000)


def scored(squares: list[Square], scores: list[float], landmarks: bool = True) -> Detections:
    faces = faces_on(*squares)
    return Detections(faces.box_xyxy, np.array(scores, np.float32), faces.landmarks_xy if landmarks else None)


def assert_same(found: Detections, wanted: Detections) -> None:
    np.testing.assert_array_equal(found.box_xyxy, wanted.box_xyxy)
    np.testing.assert_array_equal(found.score, wanted.score)
    assert (found.landmarks_xy is None) == (wanted.landmarks_xy is None)
    if found.landmarks_xy is not None and wanted.landmarks_xy is not None:
        np.testing.assert_array_equal(found.landmarks_xy, wanted.landmarks_xy)


@pytest.mark.parametrize(
    ("box", "score", "landmarks"),
    [((2, 5), (2,), None), ((2, 4), (3,), None), ((2, 4), (2,), (2, 10))],
)
def test_shapes_are_checked(box: tuple[int, ...], score: tuple[int, ...], landmarks: tuple[int, ...] | None) -> None:
    points = None if landmarks is None else np.zeros(landmarks, np.float32)
    with pytest.raises(ValueError, match="expected shape"):
        Detections(np.zeros(box, np.float32), np.zeros(score, np.float32), points)


def test_none_has_no_face() -> None:
    none = Detections.none()
    assert len(none) == 0
    assert_same(none.shifted((3, 4)), none)
    assert_same(none.mirrored(10), none)


@given(SQUARES, st.data())
def test_pick_takes_rows_in_their_order(squares: list[Square], data: st.DataObject) -> None:
    faces = faces_on(*squares)
    rows = data.draw(st.lists(st.integers(0, len(faces) - 1), max_size=8) if squares else st.just([]))
    picked = faces.pick(rows)
    assert_same(picked, faces_on(*(squares[row] for row in rows)))
    assert_same(faces.pick(np.arange(len(faces))), faces)


@given(st.lists(st.tuples(SQUARES, st.integers(0, 100)), max_size=4))
def test_join_has_every_face_once_best_first(parts: list[tuple[list[Square], int]]) -> None:
    given_parts = [scored(squares, [score / 100] * len(squares)) for squares, score in parts]
    joined = Detections.join(given_parts)
    assert len(joined) == sum(map(len, given_parts))
    assert (np.diff(joined.score) <= 0).all()
    ranked = sorted(parts, key=lambda part: -part[1])
    wanted = faces_on(*(square for squares, _ in ranked for square in squares))
    np.testing.assert_array_equal(joined.box_xyxy, wanted.box_xyxy)
    if len(joined):
        np.testing.assert_array_equal(joined.landmarks_xy, wanted.landmarks_xy)


def test_join_refuses_landmarks_of_some_parts_only() -> None:
    with pytest.raises(ValueError, match="landmarks_xy: expected shape"):
        Detections.join([scored([(0, 0, 9)], [0.9]), scored([(40, 0, 9)], [0.8], landmarks=False)])


@pytest.mark.parametrize(
    ("label", "others", "wanted"),
    [
        ("nothing new", [], [(0, 0, 40), (90, 0, 40)]),
        ("the same face", [(2, 0, 40)], [(0, 0, 40), (90, 0, 40)]),
        ("a face elsewhere", [(0, 90, 40)], [(0, 0, 40), (90, 0, 40), (0, 90, 40)]),
        ("one of each", [(92, 1, 40), (0, 90, 40)], [(0, 0, 40), (90, 0, 40), (0, 90, 40)]),
    ],
)
def test_with_new_adds_faces_that_are_not_known(label: str, others: list[Square], wanted: list[Square]) -> None:
    found = faces_on((0, 0, 40), (90, 0, 40)).with_new(faces_on(*others))
    np.testing.assert_array_equal(found.box_xyxy, faces_on(*wanted).box_xyxy, label)


@given(SQUARES, PIXELS, PIXELS)
def test_shifted_there_and_back(squares: list[Square], x: int, y: int) -> None:
    faces = faces_on(*squares)
    shifted = faces.shifted((x, y))
    np.testing.assert_array_equal(shifted.box_xyxy, faces.box_xyxy + np.array([x, y, x, y], np.float32))
    back = shifted.shifted((-x, -y))
    np.testing.assert_allclose(back.box_xyxy, faces.box_xyxy, atol=1e-3)
    np.testing.assert_allclose(back.landmarks_xy, faces.landmarks_xy, atol=1e-3)


@given(SQUARES, st.integers(1, 2000))
def test_mirrored_twice_is_the_picture_itself(squares: list[Square], width: int) -> None:
    faces = faces_on(*squares)
    mirrored = faces.mirrored(width)
    np.testing.assert_array_equal(mirrored.box_xyxy[:, 0], width - faces.box_xyxy[:, 2])
    assert (mirrored.box_xyxy[:, 0] <= mirrored.box_xyxy[:, 2]).all()
    assert mirrored.landmarks_xy is not None
    assert (mirrored.landmarks_xy[:, 0, 0] <= mirrored.landmarks_xy[:, 1, 0]).all(), "the viewer's left eye comes first"
    twice = mirrored.mirrored(width)
    np.testing.assert_allclose(twice.box_xyxy, faces.box_xyxy, atol=1e-3)
    np.testing.assert_allclose(twice.landmarks_xy, faces.landmarks_xy, atol=1e-3)


@given(SQUARES, st.floats(0.1, 10), PIXELS)
def test_mapped_moves_corners_and_landmarks_alike(squares: list[Square], scale: float, offset: int) -> None:
    faces = faces_on(*squares)
    mapped = faces.mapped(lambda points: points * np.float32(scale) + np.float32(offset))
    factor, shift = np.float32(scale), np.float32(offset)
    np.testing.assert_array_equal(mapped.box_xyxy, faces.box_xyxy * factor + shift)
    assert faces.landmarks_xy is not None
    np.testing.assert_array_equal(mapped.landmarks_xy, faces.landmarks_xy * factor + shift)
    np.testing.assert_array_equal(mapped.score, faces.score)
