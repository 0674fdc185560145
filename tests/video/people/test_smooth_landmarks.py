"""Landmarks smoothed along tracks: less jitter, the same motion, every frame once and in order."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from abaw.video.detecting.detections import Detections
from abaw.video.people.follow_faces import Followed
from abaw.video.people.smooth_landmarks import smooth_landmarks
from abaw.video.reading.frames import VideoFrame

SHAPE = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], np.float32)
SIDE = 100.0


def followed(index: int, points: NDArray[np.float32] | None, track: int = 1) -> Followed:
    frame = VideoFrame(index, index / 25, np.zeros((4, 4, 3), np.uint8))
    if points is None:
        return Followed(frame, Detections.none(), np.zeros(0, np.int32), False)
    box = np.array([[0, 0, SIDE, SIDE]], np.float32)
    return Followed(frame, Detections(box, np.ones(1, np.float32), points[None]), np.array([track], np.int32), False)


def smoothed(tracks: list[NDArray[np.float32]], reach: int = 2) -> NDArray[np.float32]:
    frames = list(smooth_landmarks((followed(k + 1, points) for k, points in enumerate(tracks)), reach))
    assert [frame.frame.index for frame in frames] == list(range(1, len(tracks) + 1))
    return np.stack([frame.faces.landmarks_xy[0] for frame in frames if frame.faces.landmarks_xy is not None])


@pytest.mark.parametrize("reach", [0, 1, 2, 5])
@pytest.mark.parametrize("num_frames", [0, 1, 2, 5, 12])
def test_every_frame_comes_out_once_and_steady_motion_is_kept(reach: int, num_frames: int) -> None:
    moving = [SHAPE + np.float32([3 * k, -2 * k]) for k in range(num_frames)]
    if moving:
        np.testing.assert_allclose(smoothed(moving, reach), moving, atol=1e-4)
    assert list(smooth_landmarks([], reach)) == []


def test_jitter_becomes_less_and_jumps_stay() -> None:
    rng = np.random.default_rng(0)
    noisy = [SHAPE + rng.normal(0, 1, (5, 2)).astype(np.float32) for _ in range(200)]

    def jitter(points: NDArray[np.float32]) -> float:
        return float(np.linalg.norm(np.diff(points, 2, axis=0), axis=2).mean())

    assert jitter(smoothed(noisy)) < 0.5 * jitter(np.stack(noisy))
    step = [SHAPE] * 10 + [SHAPE + np.float32([30, 0])] * 10
    np.testing.assert_allclose(smoothed(step), step, atol=0.1)


def test_only_landmarks_of_the_same_track_are_used() -> None:
    frames = [followed(k + 1, SHAPE + k % 2, track=1 + k // 3) for k in range(6)]
    done = list(smooth_landmarks([*frames[:3], followed(4, None), *frames[3:]], 2))
    assert len(done) == 7 and not len(done[3].faces)
    for before, after in ((frames[0], done[0]), (frames[2], done[2]), (frames[3], done[4]), (frames[5], done[6])):
        assert before.faces.landmarks_xy is not None and after.faces.landmarks_xy is not None
        np.testing.assert_array_equal(before.faces.landmarks_xy, after.faces.landmarks_xy)
    middle = done[1].faces.landmarks_xy
    assert middle is not None and (middle[0] < SHAPE + 1).all() and (middle[0] > SHAPE).all()


def test_few_pictures_wait() -> None:
    read = 0

    def source() -> Iterator[Followed]:
        nonlocal read
        for index in range(50):
            read += 1
            yield followed(index + 1, SHAPE)

    for count, _ in enumerate(smooth_landmarks(source(), 3), start=1):
        assert read - count <= 3
