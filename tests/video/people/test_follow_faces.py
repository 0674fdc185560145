"""Following faces from frame to frame: the same faces, with fewer passes over the whole picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from abaw.video.detecting.boxes import iou_matrix
from abaw.video.detecting.detections import Detections
from abaw.video.detecting.registry import open_detector
from abaw.video.options import ExtractOptions
from abaw.video.people.follow_faces import Followed, Follower
from abaw.video.people.tracker import Tracker
from abaw.video.reading.frames import VideoFrame
from abaw.video.reading.registry import open_video
from tests.video.fakes import Blobs

SIZE = 200
Square = tuple[int, int, int]
AT_ONCE = pytest.mark.parametrize("at_once", [1, 16])


def picture(*faces: Square, size: int = SIZE) -> NDArray[np.uint8]:
    board = 90 * (np.indices((size, size)) // 20).sum(axis=0) % 180
    image = np.repeat(board[:, :, None], 3, axis=2).astype(np.uint8)
    for left, top, side in faces:
        image[top : top + side, left : left + side] = (250, 200, 180)
    return image


def follow(images: Sequence[NDArray[np.uint8] | None], detector: Blobs, **options: float) -> list[Followed]:
    frames = [
        VideoFrame(index, index / 25, image, "" if image is not None else "gone")
        for index, image in enumerate(images, 1)
    ]
    settings = ExtractOptions(**options)  # type: ignore[arg-type]
    return list(Follower(detector, Tracker(), settings).follow(frames))


def wholes(done: Sequence[Followed]) -> list[int]:
    return [followed.frame.index for followed in done if followed.whole]


@AT_ONCE
def test_the_whole_picture_every_kth_frame_only(at_once: int) -> None:
    detector = Blobs(at_once)
    done = follow([picture((60 + k % 5, 70, 50)) for k in range(40)], detector, full_every=10)
    assert wholes(done) == [1, 11, 21, 31]
    assert detector.whole == 4
    assert sum(detector.region_passes) == 36
    assert len(detector.region_passes) == (36 if at_once == 1 else 4)
    assert [followed.frame.index for followed in done] == list(range(1, 41))
    for k, followed in enumerate(done):
        np.testing.assert_array_equal(followed.faces.box_xyxy, [(60 + k % 5, 70, 110 + k % 5, 120)])
        assert followed.tracks.tolist() == [1]


def test_full_every_1_never_searches_regions() -> None:
    detector = Blobs(16)
    assert wholes(follow([picture((60, 70, 50))] * 5, detector, full_every=1)) == [1, 2, 3, 4, 5]
    assert detector.region_passes == []


@AT_ONCE
def test_a_face_that_crosses_the_picture_is_followed_by_regions(at_once: int) -> None:
    detector = Blobs(at_once)
    done = follow([picture((10 + 4 * k, 70, 40)) for k in range(36)], detector, full_every=18)
    assert wholes(done) == [1, 19]
    assert [followed.faces.box_xyxy[0, 0] for followed in done] == [10 + 4 * k for k in range(36)]


@AT_ONCE
def test_a_face_that_jumps_is_searched_in_the_whole_picture(at_once: int) -> None:
    images = [picture((10, 70, 40))] * 5 + [picture((150, 20, 40))] * 5
    done = follow(images, Blobs(at_once), full_every=20)
    assert wholes(done) == [1, 6]
    assert [len(followed.faces) for followed in done] == [1] * 10


@AT_ONCE
def test_a_new_face_is_found_within_k_frames(at_once: int) -> None:
    images = [picture((10, 70, 40))] * 4 + [picture((10, 70, 40), (150, 20, 30))] * 20
    done = follow(images, Blobs(at_once), full_every=8)
    counts = [len(followed.faces) for followed in done]
    assert counts == [1] * 8 + [2] * 16


@AT_ONCE
def test_without_a_face_the_whole_picture_is_searched_every_time(at_once: int) -> None:
    images = [picture()] * 6 + [picture((60, 70, 50))] * 6
    done = follow(images, Blobs(at_once), full_every=20)
    assert wholes(done) == [1, 2, 3, 4, 5, 6, 7]
    assert [len(followed.faces) for followed in done] == [0] * 6 + [1] * 6


@AT_ONCE
def test_a_face_that_is_gone_for_a_moment_is_found_again_at_once(at_once: int) -> None:
    """The other face keeps the regions in use; the lost face keeps its own region as long as its track lives."""
    both, one = picture((20, 70, 40), (140, 70, 40)), picture((20, 70, 40))
    done = follow([both] * 5 + [one] * 4 + [both] * 5, Blobs(at_once), full_every=30)
    assert [len(followed.faces) for followed in done] == [2] * 5 + [1] * 4 + [2] * 5
    assert wholes(done) == [1, 6]
    assert done[-1].tracks.tolist() == done[0].tracks.tolist()


@AT_ONCE
def test_a_cut_starts_again(at_once: int) -> None:
    before = [picture((60, 70, 50))] * 5
    after = np.where(np.arange(SIZE)[:, None, None] < SIZE // 2, 100, 0).astype(np.uint8).repeat(SIZE, 1).repeat(3, 2)
    after[110:160, 60:110] = 255
    done = follow([*before, *[after] * 5], Blobs(at_once), full_every=30)
    assert wholes(done) == [1, 6]
    assert [followed.tracks.tolist() for followed in done] == [[1]] * 5 + [[2]] * 5


@AT_ONCE
def test_a_face_that_fills_the_picture(at_once: int) -> None:
    done = follow([picture((0, 0, SIZE))] * 12, Blobs(at_once), full_every=10)
    assert wholes(done) == [1, 11]
    for followed in done:
        np.testing.assert_array_equal(followed.faces.box_xyxy, [(0, 0, SIZE, SIZE)])


@AT_ONCE
def test_frames_without_a_picture_keep_their_place(at_once: int) -> None:
    images = [None, picture((60, 70, 50)), None, None, *[picture((62, 70, 50))] * 4, None]
    done = follow(images, Blobs(at_once), full_every=10)
    assert [followed.frame.index for followed in done] == list(range(1, 10))
    assert [len(followed.faces) for followed in done] == [0, 1, 0, 0, 1, 1, 1, 1, 0]


@AT_ONCE
def test_two_who_meet_stay_two(at_once: int) -> None:
    images = [picture((10 + 3 * k, 40, 40), (150 - 3 * k, 110, 40)) for k in range(40)]
    done = follow(images, Blobs(at_once), full_every=15)
    assert {len(followed.faces) for followed in done} == {2}
    assert sorted(done[-1].faces.box_xyxy[:, 0].tolist()) == [33, 127]
    assert len({number for followed in done for number in followed.tracks.tolist()}) == 2


class _Unsure(Blobs):
    def __init__(self, scores: list[float]) -> None:
        super().__init__()
        self._scores = iter(scores)

    def detect_regions(
        self, images: Sequence[NDArray[np.uint8]], regions_xyxy: NDArray[np.int32], side: int
    ) -> list[Detections]:
        score = np.full(1, next(self._scores), np.float32)
        return [
            Detections(found.box_xyxy, score, found.landmarks_xy)
            for found in super().detect_regions(images, regions_xyxy, side)
        ]


def test_a_score_well_under_the_usual_is_doubt() -> None:
    done = follow([picture((60, 70, 50))] * 6, _Unsure([0.9, 0.85, 0.6, 0.9, 0.8]), full_every=20)
    assert wholes(done) == [1, 4]


def test_neighbours_do_not_trade_faces() -> None:
    """Two regions that see both faces: each takes its own."""
    images = [picture((40 + k % 3, 70, 40), (90 - k % 3, 72, 40)) for k in range(12)]
    done = follow(images, Blobs(16), full_every=12)
    assert all(len(followed.faces) == 2 for followed in done)
    assert wholes(done) == [1]


@pytest.mark.parametrize("name", ["yunet_n_dynamic", "scrfd_500m_kps_640", "scrfd_2.5g_kps_320", "builtin"])
def test_real_clip_with_every_backend(shared_data: Path, name: str) -> None:
    detector = open_detector(name if name == "builtin" else str(shared_data / "models" / f"{name}.onnx"))
    results = []
    for full_every in (1, 17):
        with open_video(shared_data / "videos" / "single_face.mp4") as video:
            frames = [frame for frame in video if frame.index <= 40]
        results.append(list(Follower(detector, Tracker(), ExtractOptions(full_every=full_every)).follow(frames)))
    whole, regions = results
    assert sum(followed.whole for followed in regions) <= 6
    for wanted, found in zip(whole, regions, strict=True):
        assert len(found.faces) == 1
        assert iou_matrix(found.faces.box_xyxy, wanted.faces.box_xyxy).max() >= 0.7


def test_the_same_whatever_the_threads(shared_data: Path) -> None:
    boxes = []
    for threads in (1, 2):
        detector = open_detector(str(shared_data / "models" / "scrfd_500m_kps_640.onnx"), threads=threads)
        with open_video(shared_data / "videos" / "d18.mp4") as video:
            frames = [frame for frame in video if frame.index <= 36]
        done = list(Follower(detector, Tracker(), ExtractOptions()).follow(frames))
        boxes.append(np.concatenate([followed.faces.box_xyxy for followed in done]))
    np.testing.assert_array_equal(*boxes)
