"""Appearances distinguish people, not places or light."""

from __future__ import annotations

import numpy as np

from abaw.video.align import align
from abaw.video.people.appearance import DEPTH, appearances
from tests.video.clips import FACE_BOX_XYXY, portrait


def appearance(image: np.ndarray, shift: float = 0.0) -> np.ndarray:
    box = np.array(FACE_BOX_XYXY, np.float32) + shift
    return appearances(image, box[None], [align(image, box, None)])[0]


def test_unit_vectors_one_a_face() -> None:
    image = portrait(256)
    box = np.array([FACE_BOX_XYXY, (0, 0, 30, 30), (200, 240, 280, 330)], np.float32)
    vectors = appearances(image, box, [align(image, one, None) for one in box])
    assert vectors.shape == (3, DEPTH)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert appearances(image, box[:0], []).shape == (0, DEPTH)


def test_the_same_face_moved_and_in_other_light_is_alike() -> None:
    image = portrait(256)
    darker = (image * 0.8).astype(np.uint8)
    moved = np.roll(image, 8, axis=(0, 1))
    assert appearance(image) @ appearance(darker) > 0.93
    assert appearance(image) @ appearance(moved, shift=8) > 0.93


def test_another_face_is_not() -> None:
    image = portrait(256)
    assert appearance(image) @ appearance(image[::-1, ::-1, ::-1].copy()) < 0.75
