"""Regions around known faces, what is thought of what is in them, cuts, and the mosaic of regions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abaw.video.detecting.boxes import taken
from abaw.video.detecting.detections import Detections
from abaw.video.detecting.mosaic import GUTTER, Grid, compose, take_apart
from abaw.video.detecting.regions import is_stale, near_edge, own_face, square_regions, two_claim_one
from abaw.video.detecting.tiles import detect_in_tiles
from abaw.video.people.shot_cuts import is_cut, thumbnail
from tests.video.clips import noise, portrait
from tests.video.fakes import Blobs


def boxes(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float64).reshape(-1, 4)


REGION = np.array([100, 100, 300, 300], np.int32)


@pytest.mark.parametrize(
    ("box", "factor", "wanted"),
    [
        ((100, 100, 140, 180), 2.0, (40, 60, 200, 220)),
        ((0, 0, 480, 480), 2.0, (-240, -240, 720, 720)),
        ((10, 10, 11, 11), 2.0, (6, 6, 14, 14)),
        ((100, 100, 200, 150), 1.5, (75, 50, 225, 200)),
    ],
)
def test_a_region_is_a_square_around_the_face(box: tuple[float, ...], factor: float, wanted: tuple[int, ...]) -> None:
    np.testing.assert_array_equal(square_regions(boxes(box), factor), [wanted])


def test_no_face_no_region() -> None:
    assert square_regions(boxes(), 2.0).shape == (0, 4)


@pytest.mark.parametrize(
    ("box", "at_edge", "stale"),
    [
        ((150, 150, 250, 250), False, False),
        ((164, 150, 264, 250), False, False),
        ((180, 150, 280, 250), False, True),
        ((195, 150, 295, 250), True, True),
        ((150, 96, 250, 196), True, True),
        ((165, 165, 235, 235), False, True),
        ((130, 130, 270, 270), False, True),
    ],
)
def test_edge_and_stale_regions(box: tuple[float, ...], at_edge: bool, stale: bool) -> None:
    face = boxes(box).astype(np.float32)[0]
    assert near_edge(face, REGION) == at_edge
    assert is_stale(face, REGION, 2.0) == stale


def test_the_own_face_is_the_one_at_the_expected_place() -> None:
    found = Detections(
        boxes((0, 0, 10, 10), (40, 40, 60, 60)).astype(np.float32), np.array([0.9, 0.8], np.float32), None
    )
    assert own_face(found, boxes((42, 44, 62, 64))[0]) == 1
    assert own_face(found, boxes((200, 200, 220, 220))[0]) is None
    assert own_face(found.pick([]), boxes((0, 0, 10, 10))[0]) is None


def test_two_regions_that_claim_one_face() -> None:
    apart = boxes((0, 0, 10, 10), (20, 0, 30, 10)).astype(np.float32)
    assert not two_claim_one(apart)
    assert two_claim_one(np.concatenate([apart, apart[1:] + 1]))
    np.testing.assert_array_equal(taken(apart, apart[1:]), [False, True])


@pytest.mark.parametrize(
    ("canvas", "side", "tiles"),
    [((640, 640), 152, 16), ((640, 640), 120, 25), ((320, 320), 152, 4), ((160, 160), 152, 1)],
)
def test_tiles_lie_on_the_canvas_and_apart(canvas: tuple[int, int], side: int, tiles: int) -> None:
    grid = Grid(canvas, side)
    assert grid.num_tiles == tiles
    used = np.zeros(canvas[::-1], int)
    for index in range(tiles):
        x, y = grid.corner_xy(index)
        assert x + side <= canvas[0]
        assert y + side <= canvas[1]
        used[max(0, y - GUTTER + 1) : y + side, max(0, x - GUTTER + 1) : x + side] += 1
        np.testing.assert_array_equal(grid.tiles_of(np.array([[x + side / 2, y + side / 2]])), [index])
    assert used.max() == 1


@given(
    size_wh=st.tuples(st.integers(20, 900), st.integers(20, 900)),
    centre=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    side=st.integers(16, 1200),
    index=st.integers(0, 15),
)
def test_mosaic_and_back(size_wh: tuple[int, int], centre: tuple[float, float], side: int, index: int) -> None:
    """What is painted into a tile comes back to where it was in the picture."""
    grid = Grid((640, 640), 152)
    low = [round(part * length - side / 2) for part, length in zip(centre, size_wh, strict=True)]
    region = np.array([[*low, low[0] + side, low[1] + side]], np.int32)
    picture = np.full((size_wh[1], size_wh[0], 3), 255, np.uint8)
    regions = np.repeat(region, index + 1, axis=0)
    images = [np.zeros_like(picture)] * index + [picture]
    canvas, patches = compose(grid, images, regions)
    ys, xs = np.nonzero(canvas[..., 0])
    box = np.array([[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]], np.float32)
    found = take_apart(grid, patches, Detections(box, np.ones(len(box), np.float32), None))
    assert [len(part) for part in found] == [0] * index + [1]
    inside = np.clip(region[0].reshape(2, 2), 0, size_wh).reshape(4)
    np.testing.assert_allclose(found[-1].box_xyxy[0], inside, atol=1e-2)


def test_gutters_keep_faces_apart() -> None:
    """Two faces that touch the edges of neighbouring tiles stay two, and each goes to its own picture."""
    grid = Grid((640, 640), 152)
    pictures = [np.full((100, 100, 3), 255, np.uint8)] * 2
    regions = np.array([[0, 0, 100, 100], [0, 0, 100, 100]], np.int32)
    canvas, patches = compose(grid, pictures, regions)
    found = Blobs().detect(canvas)
    assert len(found) == 2
    for part in take_apart(grid, patches, found):
        np.testing.assert_allclose(part.box_xyxy, [(0, 0, 100, 100)], atol=0.1)


def test_cuts_on_made_pictures() -> None:
    first = portrait(160)
    second = np.ascontiguousarray(np.rot90(first, 2))
    lit = np.clip(first.astype(int) + 50, 0, 255).astype(np.uint8)
    moved = np.roll(first, 12, axis=1)
    black = np.zeros_like(first)
    thumbs = [thumbnail(picture) for picture in (first, second, lit, moved, black)]
    assert [is_cut(thumbs[0], other) for other in thumbs] == [False, True, False, False, True]
    assert thumbnail(np.zeros((5, 3000, 3), np.uint8)).shape == (18, 32)
    frames = [thumbnail(picture) for picture in noise(2)]
    assert not is_cut(frames[0], frames[0])


def test_a_closer_pass_finds_what_is_small_in_a_large_picture() -> None:
    class Coarse(Blobs):
        """Sees nothing below a twentieth of the picture's width."""

        def detect(self, image: np.ndarray) -> Detections:
            found = super().detect(image)
            width = found.box_xyxy[:, 2] - found.box_xyxy[:, 0]
            return found.pick(np.flatnonzero(width >= image.shape[1] / 20))

    picture = np.zeros((700, 1000, 3), np.uint8)
    picture[330:370, 480:520] = 255
    assert len(Coarse().detect(picture)) == 0
    found = detect_in_tiles(Coarse(), picture)
    np.testing.assert_array_equal(found.box_xyxy, [(480, 330, 520, 370)])
    assert len(detect_in_tiles(Coarse(), picture[200:500, 300:700])) == 0
