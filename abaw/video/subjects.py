"""Which tracks of a video are the person that a store is about: our reading, over the whole video at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abaw.protocol.layout import Side


@dataclass(slots=True)
class TrackSummary:
    """One track over the whole video. weight: sum over its frames of size × centrality; sum_x: of the centres' x."""

    number: int
    first: int
    last: int
    num_frames: int = 0
    weight: float = 0.0
    sum_x: float = 0.0

    @property
    def mean_x(self) -> float:
        """Where the person is across the picture, 0 to 1 from the viewer's left."""
        return self.sum_x / self.num_frames

    def overlaps(self, other: TrackSummary) -> bool:
        """True when both tracks were there at once, so that they are two people."""
        return self.first <= other.last and other.first <= self.last


class TrackBook:
    """Summaries of all tracks, kept while the video goes by."""

    def __init__(self) -> None:
        self.summaries: dict[int, TrackSummary] = {}

    def add(
        self, frame: int, numbers: NDArray[np.int32], box_xyxy: NDArray[np.float32], image_wh: tuple[int, int]
    ) -> None:
        """Note the faces of one frame: track numbers (N,) and boxes (N, 4)."""
        weights = size_times_centrality(box_xyxy, image_wh)
        middles = (box_xyxy[:, 0] + box_xyxy[:, 2]) / 2 / image_wh[0]
        for number, weight, middle in zip(numbers.tolist(), weights.tolist(), middles.tolist(), strict=True):
            summary = self.summaries.setdefault(number, TrackSummary(number, frame, frame))
            summary.last = frame
            summary.num_frames += 1
            summary.weight += weight
            summary.sum_x += middle


def size_times_centrality(box_xyxy: NDArray[np.float32], image_wh: tuple[int, int]) -> NDArray[np.float64]:
    """(N,) how much each face of a frame is in the foreground.

    Size: square root of the box's part of the picture. Centrality: 1 in the middle, 0 in the corners.
    """
    boxes = box_xyxy.astype(np.float64)
    wh = np.array(image_wh, np.float64)
    sides = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None)
    off_centre = np.linalg.norm((boxes[:, :2] + boxes[:, 2:]) / 2 - wh / 2, axis=1) / np.linalg.norm(wh / 2)
    size = np.sqrt(sides.prod(axis=1) / wh.prod())
    return np.asarray(size * np.clip(1 - off_centre, 0, None), np.float64)


def choose_main(summaries: Mapping[int, TrackSummary]) -> frozenset[int]:
    """Tracks of the main person.

    The heaviest track, then, since shot cuts and long gaps split one person into several tracks, further ones by weight
    as long as they do not overlap in time with those already taken.
    """
    return _fill(summaries.values())


def choose_side(summaries: Mapping[int, TrackSummary], side: Side) -> frozenset[int]:
    """Tracks of the person on one side of a two-person video, empty when nobody is there.

    The two main people are the heaviest track and the heaviest that was there at the same time; the line between them
    (the middle of the picture, when there is only one) parts all tracks into left and right; each side is then filled
    as for the main person.
    """
    if not summaries:
        return frozenset()
    ranked = _by_weight(summaries.values())
    partner = next((other for other in ranked[1:] if other.overlaps(ranked[0])), None)
    line = 0.5 if partner is None else (ranked[0].mean_x + partner.mean_x) / 2
    return _fill(summary for summary in ranked if (summary.mean_x < line) == (side == "left"))


def choose_all(summaries: Mapping[int, TrackSummary], min_frames: int) -> list[int]:
    """Numbers of the tracks that were seen on at least `min_frames` frames, in order."""
    return sorted(number for number, summary in summaries.items() if summary.num_frames >= min_frames)


def _fill(summaries: Iterable[TrackSummary]) -> frozenset[int]:
    taken: list[TrackSummary] = []
    for summary in _by_weight(summaries):
        if not any(summary.overlaps(other) for other in taken):
            taken.append(summary)
    return frozenset(summary.number for summary in taken)


def _by_weight(summaries: Iterable[TrackSummary]) -> list[TrackSummary]:
    return sorted(summaries, key=lambda summary: (-summary.weight, summary.number))
