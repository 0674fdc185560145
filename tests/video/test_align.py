"""Alignment: the standard template, and boxes framed alike."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from insightface.utils import face_align

from abaw.video.align import TEMPLATE_XY, align, matrix_from_box, matrix_from_landmarks, warp
from tests.video.clips import FACE_BOX_XYXY, portrait

LANDMARKS = np.array([[105.4, 105.1], [149.3, 104.5], [126.7, 128.3], [107.8, 145.7], [145.7, 145.3]], np.float32)
"""Of `portrait(256)`, by YuNet."""


def applied(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:, :2].T + matrix[:, 2]


def test_template_is_insightfaces() -> None:
    np.testing.assert_allclose(TEMPLATE_XY, face_align.arcface_dst, atol=1e-4)


@given(
    scale=st.floats(0.1, 20),
    angle=st.floats(-np.pi, np.pi),
    shift=st.tuples(st.floats(-2000, 2000), st.floats(-2000, 2000)),
)
def test_any_similarity_of_the_template_is_undone(scale: float, angle: float, shift: tuple[float, float]) -> None:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    landmarks = TEMPLATE_XY @ turn.T + np.array(shift)
    matrix = matrix_from_landmarks(landmarks)
    np.testing.assert_allclose(applied(matrix, landmarks), TEMPLATE_XY, atol=1e-6)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("seed", range(5))
def test_least_squares_as_insightface_has_it(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0, 6, (5, 2))
    landmarks = (LANDMARKS + noise).astype(np.float32)
    np.testing.assert_allclose(matrix_from_landmarks(landmarks), face_align.estimate_norm(landmarks), atol=1e-3)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_crop_is_insightfaces_where_the_face_is_small() -> None:
    picture = portrait(256)
    ours = align(picture, np.array(FACE_BOX_XYXY, np.float32), LANDMARKS)
    theirs = face_align.norm_crop(picture, LANDMARKS)
    assert np.abs(ours.astype(int) - theirs).mean() < 0.5


def test_large_faces_are_shrunk_without_moving_and_without_aliasing() -> None:
    large = cv2.resize(portrait(256), (1536, 1536), interpolation=cv2.INTER_CUBIC)
    scaled = (LANDMARKS + 0.5) * 6 - 0.5
    small_crop = align(portrait(256), np.array(FACE_BOX_XYXY, np.float32), LANDMARKS)
    large_crop = align(large, np.array(FACE_BOX_XYXY, np.float32) * 6, scaled.astype(np.float32))
    assert np.abs(small_crop.astype(int) - large_crop).mean() < 2.5
    pattern = np.indices((1200, 1200)).sum(axis=0) % 2 * 255
    checkerboard = np.repeat(pattern[..., None], 3, axis=2).astype(np.uint8)
    crop = warp(checkerboard, matrix_from_box(np.array([100, 100, 1000, 1000], np.float32)))
    assert crop[20:90, 20:90].std() < 10


def test_a_box_is_framed_as_the_template_frames_it() -> None:
    matrix = matrix_from_box(np.array(FACE_BOX_XYXY, np.float32))
    placed = applied(matrix, LANDMARKS)
    np.testing.assert_allclose(placed[:2].mean(axis=0), TEMPLATE_XY[:2].mean(axis=0), atol=6)
    np.testing.assert_allclose(placed[3:].mean(axis=0), TEMPLATE_XY[3:].mean(axis=0), atol=6)


@pytest.mark.parametrize("box", [(-50, -50, 20, 20), (300, 300, 400, 400), (10, 10, 10, 10), (50, 60, 20, 30)])
def test_outside_the_picture_is_black_and_degenerate_boxes_do_no_harm(box: tuple[float, ...]) -> None:
    crop = align(np.full((256, 256, 3), 255, np.uint8), np.array(box, np.float32), None)
    assert crop.shape == (112, 112, 3)
    if box[0] == 300:
        assert crop.max() == 0


def test_equal_landmarks_do_no_harm() -> None:
    crop = align(portrait(), np.array([0, 0, 9, 9], np.float32), np.full((5, 2), 40, np.float32))
    assert crop.shape == (112, 112, 3)
