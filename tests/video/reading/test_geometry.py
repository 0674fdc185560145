"""Pictures are shown as a player shows them: the whole display matrix, and square pixels."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.video.reading.geometry import ROUNDED_TURN, Orientation, squared
from abaw.video.reading.registry import open_video
from tests.video.clips import set_matrix, write_clip
from tests.video.readers import READERS_HERE, picture, read

WIDTH, HEIGHT = 96, 64
QUARTERS = np.array([[[250, 20, 20], [20, 250, 20]], [[20, 20, 250], [240, 240, 30]]], np.uint8)
"""Red, green; blue, yellow: no turn and no mirror image of it equals another."""


def quarters() -> NDArray[np.uint8]:
    return np.kron(QUARTERS, np.ones((HEIGHT // 2, WIDTH // 2, 1), np.uint8))


def corners(image: NDArray[np.uint8]) -> list[int]:
    """Which of the four colours (0 red, 1 green, 2 blue, 3 yellow) is in each quarter, row by row."""
    height, width = image.shape[:2]
    colours = QUARTERS.reshape(4, 3).astype(int)
    places = [(y, x) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    return [int(np.abs(colours - image[place]).sum(axis=1).argmin()) for place in places]


MATRICES = {
    "none": ((1, 0, 0, 1), [0, 1, 2, 3]),
    "left and right exchanged": ((-1, 0, 0, 1), [1, 0, 3, 2]),
    "top and bottom exchanged": ((1, 0, 0, -1), [2, 3, 0, 1]),
    "half a turn": ((-1, 0, 0, -1), [3, 2, 1, 0]),
    "a quarter turn clockwise": ((0, 1, -1, 0), [2, 0, 3, 1]),
    "a quarter turn counter-clockwise": ((0, -1, 1, 0), [1, 3, 0, 2]),
    "rows and columns exchanged": ((0, 1, 1, 0), [0, 2, 1, 3]),
    "exchanged the other way": ((0, -1, -1, 0), [3, 1, 2, 0]),
}
"""Matrix, and where the colours are then."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", [quarters()] * 4)


@pytest.mark.parametrize("reader", READERS_HERE)
@pytest.mark.parametrize(("matrix", "expected"), MATRICES.values(), ids=MATRICES)
def test_the_whole_matrix(
    clip: Path, tmp_path: Path, reader: str, matrix: tuple[float, float, float, float], expected: list[int]
) -> None:
    turned = set_matrix(clip, tmp_path / "turned.mp4", matrix)
    try:
        frames, video = read(turned, reader)
    except DataError as error:
        assert reader == "torchcodec" and "mirror image" in str(error)
        return
    image = picture(frames[0])
    assert image.shape == ((WIDTH, HEIGHT, 3) if matrix[0] == 0 else (HEIGHT, WIDTH, 3))
    assert corners(image) == expected
    assert len(frames) == 4 and video.notes == []


def test_an_angle_between_is_rounded_and_reported(clip: Path, tmp_path: Path) -> None:
    frames, video = read(set_matrix(clip, tmp_path / "turned.mp4", (0.5, 0.866, -0.866, 0.5)))
    assert corners(picture(frames[0])) == MATRICES["a quarter turn clockwise"][1]
    assert video.notes == [ROUNDED_TURN]


@pytest.mark.parametrize(("matrix", "_expected"), MATRICES.values(), ids=MATRICES)
def test_mirror_images_are_known_by_the_determinant(
    matrix: tuple[float, float, float, float], _expected: list[int]
) -> None:
    a, b, c, d = matrix
    transpose = a == 0
    orientation = Orientation(transpose, (c if transpose else a) < 0, (b if transpose else d) < 0)
    assert orientation.is_mirror_image == (a * d - b * c < 0)


def write_with_aspect(path: Path, aspect: Fraction) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.pix_fmt, stream.width, stream.height = "yuv420p", WIDTH, HEIGHT
        stream.codec_context.sample_aspect_ratio = aspect
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(quarters(), format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("reader", READERS_HERE)
@pytest.mark.parametrize(
    ("aspect", "size_wh"), [(Fraction(64, 45), (137, 64)), (Fraction(1, 2), (96, 128)), (Fraction(1), (96, 64))]
)
def test_pixels_are_made_square(tmp_path: Path, reader: str, aspect: Fraction, size_wh: tuple[int, int]) -> None:
    path = write_with_aspect(tmp_path / "wide.mp4", aspect)
    frames, video = read(path, reader)
    assert picture(frames[0]).shape[1::-1] == size_wh
    text = f"pixels of {aspect.numerator}:{aspect.denominator} made square"
    assert video.notes == ([] if aspect == 1 else [text])
    with open_video(path, reader, square_pixels=False) as unchanged:
        assert picture(next(iter(unchanged))).shape == (HEIGHT, WIDTH, 3)
        assert unchanged.notes == []


@pytest.mark.parametrize("reader", READERS_HERE)
def test_a_turned_video_with_wide_pixels(tmp_path: Path, reader: str) -> None:
    """The pixels are widened as they were filmed, then turned."""
    path = write_with_aspect(tmp_path / "wide.mp4", Fraction(2))
    frames, _ = read(set_matrix(path, tmp_path / "turned.mp4", (0, 1, -1, 0)), reader)
    assert picture(frames[0]).shape == (2 * WIDTH, HEIGHT, 3)
    assert corners(picture(frames[0])) == MATRICES["a quarter turn clockwise"][1]


def test_an_impossible_aspect_is_ignored_and_reported(tmp_path: Path) -> None:
    frames, video = read(write_with_aspect(tmp_path / "wide.mp4", Fraction(50)))
    assert picture(frames[0]).shape == (HEIGHT, WIDTH, 3)
    assert len(video.notes) == 1 and "50:1, which cannot be" in video.notes[0]


def test_square_pixels_are_left_alone() -> None:
    image = quarters()
    assert squared(image, Fraction(1)) is image
