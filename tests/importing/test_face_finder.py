from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from abaw.importing.face_finder import LargestFace, WholeImage
from abaw.stores.crop import ALIGNED_112
from abaw.video.detecting.detections import Detections


class SquareDetector:
    """Finds each white square of a picture, with its corners and middle as landmarks."""

    identity = "squares"

    def __init__(self) -> None:
        self.sizes: list[tuple[int, ...]] = []

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        self.sizes.append(image.shape[:2])
        _, _, stats, _ = cv2.connectedComponentsWithStats((image[..., 0] > 127).astype(np.uint8))
        found = stats[1:]
        left, top, width, height = (found[:, index].astype(np.float32) for index in range(4))
        # The middles of the outermost pixels, as detectors count.
        boxes = np.stack([left, top, left + width - 1, top + height - 1], axis=1)
        x1, y1, x2, y2 = boxes.T
        points = [(x1, y1), (x2, y1), ((x1 + x2) / 2, (y1 + y2) / 2), (x1, y2), (x2, y2)]
        landmarks = np.stack([np.stack(point, axis=1) for point in points], axis=1)
        return Detections(boxes, np.linspace(0.9, 0.6, len(boxes), dtype=np.float32), landmarks)

    def detect_regions(
        self, images: Sequence[NDArray[np.uint8]], regions_xyxy: NDArray[np.int32], side: int
    ) -> list[Detections]:
        raise NotImplementedError

    def regions_at_once(self, side: int) -> int:
        return 1


def picture(height: int, width: int, *squares: tuple[int, int, int]) -> NDArray[np.uint8]:
    """White squares (left, top, side) on black, RGB."""
    image = np.zeros((height, width, 3), np.uint8)
    for left, top, side in squares:
        image[top : top + side, left : left + side] = 255
    return image


@pytest.mark.parametrize(
    ("height", "width", "seen"), [(48, 48, (288, 288)), (100, 200, (144, 288)), (300, 90, (300, 90))]
)
def test_a_small_picture_is_enlarged_for_the_detector(height: int, width: int, seen: tuple[int, int]) -> None:
    detector = SquareDetector()
    LargestFace(detector)(picture(height, width))
    assert detector.sizes == [seen]


@pytest.mark.parametrize("size", [48, 96, 400])
def test_places_are_those_of_the_picture_as_it_is(size: int) -> None:
    side = size // 2
    face = LargestFace(SquareDetector())(picture(size, size, (size // 4, size // 8, side)))
    assert face is not None and face.box_xyxy is not None and face.landmarks_xy is not None
    expected = np.array([size // 4, size // 8, size // 4 + side - 1, size // 8 + side - 1])
    # The edge of a square, half a pixel outside the middle of its last pixel, is found in the enlarged picture.
    assert face.box_xyxy == pytest.approx(expected, abs=0.55)
    assert face.box_xyxy.reshape(2, 2).mean(axis=0) == pytest.approx(expected.reshape(2, 2).mean(axis=0), abs=0.05)
    assert face.landmarks_xy[2] == pytest.approx(face.box_xyxy.reshape(2, 2).mean(axis=0))
    assert face.cut(picture(size, size), ALIGNED_112).shape == (112, 112, 3)


def test_the_largest_face_unless_the_set_points_at_another() -> None:
    finder = LargestFace(SquareDetector())
    image = picture(300, 400, (20, 30, 40), (200, 100, 120), (330, 20, 30))
    largest = finder(image)
    assert largest is not None and largest.box_xyxy == pytest.approx([200, 100, 319, 219])
    pointed = finder(image, (10, 20, 70, 80))
    assert pointed is not None and pointed.landmarks_xy is not None
    assert pointed.box_xyxy == pytest.approx([20, 30, 59, 69], abs=0.6)
    assert pointed.landmarks_xy[2] == pytest.approx([39.5, 49.5], abs=0.3)
    assert pointed.cut(image, ALIGNED_112)[56, 56].min() > 200


@pytest.mark.parametrize(
    "box",
    [
        pytest.param((120, 200, 180, 260), id="nothing there"),
        pytest.param((150, 100, 200, 219), id="a face next to the box"),
        pytest.param((500, 500, 600, 600), id="outside the picture"),
    ],
)
def test_no_face_where_the_set_points(box: tuple[float, float, float, float]) -> None:
    assert LargestFace(SquareDetector())(picture(300, 400, (200, 100, 120)), box) is None


def test_a_box_cuts_the_whole_image() -> None:
    image = picture(300, 400, (20, 30, 40))
    face = WholeImage()(image, (20, 30, 60, 70))
    assert face.box_xyxy is not None and face.box_xyxy.tolist() == [20, 30, 60, 70]
    assert face.cut(image, ALIGNED_112)[30:80, 30:80].min() > 200
    assert face.landmarks_xy is None and face.score is None


def test_what_the_detector_sees_is_in_the_identity() -> None:
    assert LargestFace(SquareDetector()).identity == "squares, pictures from 288 px"
