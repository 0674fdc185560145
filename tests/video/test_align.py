"""Alignment: the standard template, and boxes framed alike."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from insightface.utils import face_align

from abaw.stores.crop import Crop, parse_crop
from abaw.video.align import TEMPLATE_XY, align, cut_crop, matrix_from_box, matrix_from_landmarks, warp
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
    crop = warp(checkerboard, matrix_from_box(np.array([100, 100, 1000, 1000], np.float32)), 112)
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


def noisy(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 256, (height, width, 3), np.uint8)


def boxed(*xyxy: float) -> np.ndarray:
    return np.array(xyxy, np.float32)


@pytest.mark.parametrize(
    ("crop", "box", "region"),
    [
        ("box:40:0", (30, 20, 70, 60), (30, 20, 70, 60)),
        ("box:60:0.25", (30, 20, 70, 60), (20, 10, 80, 70)),
        pytest.param("box:60:0.25", (40, 20, 60, 60), (20, 10, 80, 70), id="upright: the margin is of the longer side"),
        pytest.param("box:60:0.25", (30, 30, 70, 50), (20, 10, 80, 70), id="wide"),
        ("box:64:0.3", (30, 20, 70, 60), (18, 8, 82, 72)),
    ],
)
def test_a_box_crop_at_its_own_size_is_the_square_itself(
    crop: str, box: tuple[int, ...], region: tuple[int, int, int, int]
) -> None:
    picture = noisy(90, 120)
    x1, y1, x2, y2 = region
    np.testing.assert_array_equal(cut_crop(picture, parse_crop(crop), boxed(*box), LANDMARKS), picture[y1:y2, x1:x2])


def test_a_box_crop_of_half_the_size_averages_pixels() -> None:
    picture = noisy(120, 120)
    crop = cut_crop(picture, Crop("box", 20, 0.0), boxed(40, 40, 80, 80), None)
    expected = picture[40:80, 40:80].reshape(20, 2, 20, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(crop, expected, atol=0.51)


@pytest.mark.parametrize(
    ("box", "outside"),
    [
        ((0, 20, 40, 60), (slice(None), slice(0, 10))),
        ((80, 20, 120, 60), (slice(None), slice(50, 60))),
        ((40, 0, 80, 40), (slice(0, 10), slice(None))),
        ((40, 50, 80, 90), (slice(50, 60), slice(None))),
    ],
)
def test_a_box_crop_is_black_exactly_where_it_leaves_the_picture(
    box: tuple[int, ...], outside: tuple[slice, slice]
) -> None:
    crop = cut_crop(noisy(90, 120), Crop("box", 60, 0.25), boxed(*box), None)
    black = np.zeros((60, 60), bool)
    black[outside] = True
    np.testing.assert_array_equal(crop.max(axis=2) == 0, black)


@given(
    left=st.floats(50, 100),
    top=st.floats(50, 100),
    size=st.tuples(st.floats(20, 60), st.floats(20, 60)),
    pixels=st.integers(64, 256),
    margin=st.integers(0, 60).map(lambda percent: percent / 100),
)
def test_a_box_crop_has_the_face_in_its_middle_at_the_stated_scale(
    left: float, top: float, size: tuple[float, float], pixels: int, margin: float
) -> None:
    """On a picture of ramps: its red value is x, its green value y."""
    picture = np.zeros((256, 256, 3), np.uint8)
    picture[..., 0], picture[..., 1] = np.arange(256)[None], np.arange(256)[:, None]
    crop = cut_crop(picture, Crop("box", pixels, margin), boxed(left, top, left + size[0], top + size[1]), None)
    assert crop.shape == (pixels, pixels, 3)
    side = max(size) * (1 + 2 * margin)
    centres = (np.arange(pixels) + 0.5) / pixels - 0.5
    for channel, axis, middle in ((0, 0, left + size[0] / 2), (1, 1, top + size[1] / 2)):
        expected = middle + side * centres - 0.5
        inside = (expected > 1) & (expected < 254)
        found = crop[..., channel].astype(float).take(pixels // 2, axis=axis)
        np.testing.assert_allclose(found[inside], expected[inside], atol=1.0)


@pytest.mark.parametrize("times", [1, 2, 4])
def test_an_aligned_crop_of_another_size_scales_the_template(times: int) -> None:
    """Every n-th pixel of a crop n times as large is taken from the same place of the picture."""
    box, picture = boxed(*FACE_BOX_XYXY), portrait(256)
    crop = cut_crop(picture, Crop("aligned", 112 * times), box, LANDMARKS)
    assert crop.shape == (112 * times, 112 * times, 3)
    apart = np.abs(crop[::times, ::times].astype(int) - align(picture, box, LANDMARKS))
    assert apart.mean() < (0.3 if times > 1 else 1e-9)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_aligned_224_is_insightfaces() -> None:
    picture = portrait(256)
    ours = cut_crop(picture, Crop("aligned", 224), boxed(*FACE_BOX_XYXY), LANDMARKS)
    assert np.abs(ours.astype(int) - face_align.norm_crop(picture, LANDMARKS, image_size=224)).mean() < 0.5
