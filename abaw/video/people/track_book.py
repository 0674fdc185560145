"""Notes on every track of a video: summaries to choose people by, and boxes for contact sheets."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MAX_SAMPLES = 48
_CONFIDENT = 0.8


@dataclass(slots=True, eq=False)
class TrackSummary:
    """One track over the whole video, in memory that does not grow with its length.

    first, last: frame numbers; best_score: of the detector; weight, sum_x, sum_appearance: sums over its frames of
    size × centrality, of the centres' x, and of the appearances (D,).
    """

    number: int
    first: int
    last: int
    num_frames: int = 0
    weight: float = 0.0
    sum_x: float = 0.0
    sum_appearance: NDArray[np.float64] | None = None
    best_score: float = 0.0

    def add(self, frame: int, score: float, weight: float, x: float, appearance: NDArray[np.float32] | None) -> None:
        """Add a frame. x: of the centre, 0 to 1 from the viewer's left."""
        self.last = frame
        self.num_frames += 1
        self.best_score = max(self.best_score, score)
        self.weight += weight
        self.sum_x += x
        if appearance is not None:
            wide = appearance.astype(np.float64)
            self.sum_appearance = wide if self.sum_appearance is None else self.sum_appearance + wide

    def is_person(self, weak_frames: int) -> bool:
        """False for what the detector took for a face without confidence, in few frames or on and off.

        weak_frames: see ExtractOptions.
        """
        span = self.last - self.first + 1
        return self.best_score >= _CONFIDENT or (self.num_frames >= weak_frames and self.num_frames >= span / 2)

    def overlaps(self, other: TrackSummary) -> bool:
        """True if both tracks exist at the same time: they are two people."""
        return self.first <= other.last and other.first <= self.last


class BoxSamples:
    """The boxes of a few dozen frames, evenly spaced over a video of unknown length, for contact sheets.

    Keeps every n-th frame; n doubles whenever there are too many.
    """

    def __init__(self) -> None:
        self._step = 1
        self._faces: dict[int, list[list[int]]] = {}

    def add(self, frame: int, numbers: NDArray[np.int32], box_xyxy: NDArray[np.float32]) -> None:
        """The track numbers (N,) and boxes (N, 4) of one frame."""
        if (frame - 1) % self._step:
            return
        boxes = np.rint(box_xyxy).astype(int).tolist()
        self._faces[frame] = [[number, *box] for number, box in zip(numbers.tolist(), boxes, strict=True) if number]
        if len(self._faces) > _MAX_SAMPLES:
            self._step *= 2
            self._faces = {frame: faces for frame, faces in self._faces.items() if not (frame - 1) % self._step}

    def to_plain(self) -> list[dict[str, Any]]:
        """One `{frame, faces}` per frame, faces as (track, x1, y1, x2, y2) in whole pixels, for a store's metadata."""
        return [{"frame": frame, "faces": faces} for frame, faces in sorted(self._faces.items())]


class TrackBook:
    """Summaries of all tracks and a sample of their boxes, collected in one pass over the video.

    summaries: by track number, until `keep_people` also of what turns out to be nobody.
    """

    def __init__(self) -> None:
        self.summaries: dict[int, TrackSummary] = {}
        self.samples = BoxSamples()
        self._frames: Counter[tuple[int, ...]] = Counter()

    @property
    def frames_with_people(self) -> int:
        """Number of frames with a face of one of the tracks in `summaries`."""
        return sum(count for tracks, count in self._frames.items() if not self.summaries.keys().isdisjoint(tracks))

    def add(
        self,
        frame: int,
        numbers: NDArray[np.int32],
        box_xyxy: NDArray[np.float32],
        score: NDArray[np.float32],
        image_wh: tuple[int, int],
        appearances: NDArray[np.float32] | None = None,
    ) -> None:
        """Add the faces of one frame: track numbers (N,), 0 for no track, boxes (N, 4), scores (N,), appearances
        (N, D)."""
        self._frames[tuple(sorted(numbers.tolist()))] += 1
        weights = size_times_centrality(box_xyxy, image_wh)
        middles = (box_xyxy[:, 0] + box_xyxy[:, 2]) / 2 / image_wh[0]
        for row, number in enumerate(numbers.tolist()):
            if number:
                summary = self.summaries.setdefault(number, TrackSummary(number, frame, frame))
                appearance = None if appearances is None else appearances[row]
                summary.add(frame, float(score[row]), float(weights[row]), float(middles[row]), appearance)
        self.samples.add(frame, numbers, box_xyxy)

    def keep_people(self, weak_frames: int) -> None:
        """Forget the tracks that show nobody, at the end of the video. weak_frames: see ExtractOptions."""
        self.summaries = {
            number: summary for number, summary in self.summaries.items() if summary.is_person(weak_frames)
        }


def size_times_centrality(box_xyxy: NDArray[np.float32], image_wh: tuple[int, int]) -> NDArray[np.float64]:
    """(N,) how much each face of a frame is in the foreground.

    Size: square root of the box's share of the picture. Centrality: 1 in the middle, 0 in the corners.
    """
    boxes = box_xyxy.astype(np.float64)
    wh = np.array(image_wh, np.float64)
    sides = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None)
    off_centre = np.linalg.norm((boxes[:, :2] + boxes[:, 2:]) / 2 - wh / 2, axis=1) / np.linalg.norm(wh / 2)
    size = np.sqrt(sides.prod(axis=1) / wh.prod())
    return np.asarray(size * np.clip(1 - off_centre, 0, None), np.float64)
