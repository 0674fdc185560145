"""Less jitter of landmarks along a track: a two-sided filter, for recorded video."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from abaw.video.detecting.detections import Detections
from abaw.video.people.follow_faces import Followed

_TOLERANCE = 0.02
"""A landmark that leaves the straight line between earlier and later frames by this share of the face's size counts
about half: jitter is smaller, and what is larger is motion."""


def smooth_landmarks(frames: Iterable[Followed], reach: int) -> Iterator[Followed]:
    """The same frames, in which each landmark is a mean over its track, up to `reach` frames before and after.

    Frames are used in pairs, as far before as after: motion along a straight line stays exactly as it is. A pair
    counts less the further its middle is from the landmark itself. A frame waits until the `reach` frames after it have
    been read; only their pictures are in memory.
    """
    window: deque[Followed] = deque()
    points: deque[dict[int, NDArray[np.float32]]] = deque(maxlen=2 * reach + 1)
    for frame in frames:
        window.append(frame)
        points.append(_points(frame))
        if len(window) > reach:
            yield _smoothed(window.popleft(), list(points), len(points) - 1 - reach)
    for after in reversed(range(len(window))):
        yield _smoothed(window.popleft(), list(points), len(points) - 1 - after)


def _points(frame: Followed) -> dict[int, NDArray[np.float32]]:
    """The landmarks (5, 2) by track number."""
    landmarks = frame.faces.landmarks_xy
    if landmarks is None:
        return {}
    return {number: landmarks[row] for row, number in enumerate(frame.tracks.tolist()) if number}


def _smoothed(frame: Followed, points: Sequence[dict[int, NDArray[np.float32]]], place: int) -> Followed:
    """The frame whose landmarks are points[place]."""
    faces = frame.faces
    if faces.landmarks_xy is None or not points[place]:
        return frame
    landmarks = faces.landmarks_xy.copy()
    sizes = np.sqrt(np.clip(faces.box_xyxy[:, 2:] - faces.box_xyxy[:, :2], 1e-6, None).prod(axis=1))
    for row, number in enumerate(frame.tracks.tolist()):
        if number:
            pairs = _pairs(points, place, number)
            landmarks[row] = _mean(landmarks[row], pairs, float(sizes[row]))
    return replace(frame, faces=Detections(faces.box_xyxy, faces.score, landmarks))


def _pairs(points: Sequence[dict[int, NDArray[np.float32]]], place: int, number: int) -> list[NDArray[np.float32]]:
    """The middles (5, 2) between the landmarks of a track before and after, the nearest first."""
    middles = []
    for distance in range(1, min(place, len(points) - 1 - place) + 1):
        before, after = points[place - distance].get(number), points[place + distance].get(number)
        if before is None or after is None:
            break
        middles.append(np.asarray((before + after) / 2, np.float32))
    return middles


def _mean(own: NDArray[np.float32], middles: Sequence[NDArray[np.float32]], size: float) -> NDArray[np.float32]:
    total, weights = own.astype(np.float64), np.ones((len(own), 1))
    for middle in middles:
        away = np.linalg.norm(middle - own, axis=1, keepdims=True) / (_TOLERANCE * size)
        weight = 2 * np.exp(-0.5 * away**2)
        total = total + weight * middle
        weights = weights + weight
    return np.asarray(total / weights, np.float32)
