"""The faces of every frame at low cost: the whole picture now and then, otherwise only the regions of known faces."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from abaw.video.detecting.boxes import taken
from abaw.video.detecting.detections import Detections
from abaw.video.detecting.detector import Detector
from abaw.video.detecting.regions import is_stale, near_edge, own_face, square_regions, two_claim_one
from abaw.video.detecting.tiles import detect_in_tiles
from abaw.video.options import ExtractOptions
from abaw.video.people.shot_cuts import is_cut, thumbnail
from abaw.video.people.tracker import Tracker
from abaw.video.reading.frames import VideoFrame

_BYTES_AHEAD = 96 * 2**20
_SCORE_MEMORY = 0.9
"""Weight of a face's previous mean score when a new score is added."""


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """The N faces of one frame and their track numbers (N,), none for a frame without a picture.

    whole: True if the detector ran on the whole picture.
    """

    frame: VideoFrame
    faces: Detections
    tracks: NDArray[np.int32]
    whole: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Queued:
    frame: VideoFrame
    image: NDArray[np.uint8]
    cut: bool


@dataclass(frozen=True, slots=True, eq=False)
class _RegionPass:
    """A pass over the regions of one frame: track numbers (M,), regions (M, 4), the face of each or None."""

    numbers: NDArray[np.int32]
    region_xyxy: NDArray[np.int32]
    own: list[Detections | None]

    def faces(self) -> list[Detections]:
        """Those whose box is not cut off by the edge of the region."""
        pairs = zip(self.own, self.region_xyxy, strict=True)
        return [face for face, region in pairs if face is not None and not near_edge(face.box_xyxy[0], region)]


class Follower:
    """Faces and tracks of the frames of one video, in order.

    The detector runs on the whole picture on the first frame, at a cut, at least every `full_every` frames, after a
    frame without a face, and in case of doubt: a region without its face or with one that its edge may cut off, a score
    well below the face's usual one, or two regions that claim the same face. While there is no face, a large picture is
    also searched in tiles every `full_every` frames. A detector that takes many regions in one pass gets those of
    several frames; if a face leaves its region meanwhile, the frames after it are searched again.
    """

    def __init__(self, detector: Detector, tracker: Tracker, options: ExtractOptions) -> None:
        self._detector = detector
        self._tracker = tracker
        self._options = options
        self._at_once = detector.regions_at_once(options.region_px)
        self._queue: deque[_Queued | VideoFrame] = deque()
        self._thumb: NDArray[np.uint8] | None = None
        self._seen: frozenset[int] = frozenset()
        self._since_whole = 0
        self._windows_from = 0
        self._usual: dict[int, float] = {}
        self._regions: dict[int, NDArray[np.int32]] = {}

    def follow(self, frames: Iterable[VideoFrame]) -> Iterator[Followed]:
        """One result per frame."""
        source = iter(frames)
        while self._fill(source):
            yield from self._next()

    def push(self, frame: VideoFrame) -> Followed:
        """The next frame alone, without reading ahead; for live video, instead of `follow`."""
        self._queue.append(self._queued(frame))
        (followed,) = self._next()
        return followed

    def _fill(self, source: Iterator[VideoFrame]) -> bool:
        """Read as many frames ahead as one pass can take. False at the end."""
        while len(self._queue) < self._at_once and self._bytes() < _BYTES_AHEAD:
            frame = next(source, None)
            if frame is None:
                break
            self._queue.append(self._queued(frame))
        return bool(self._queue)

    def _bytes(self) -> int:
        return sum(item.image.nbytes for item in self._queue if isinstance(item, _Queued))

    def _queued(self, frame: VideoFrame) -> _Queued | VideoFrame:
        if frame.image is None:
            return frame
        thumb = thumbnail(frame.image)
        cut = self._thumb is not None and is_cut(self._thumb, thumb)
        self._thumb = thumb
        return _Queued(frame, frame.image, cut)

    def _next(self) -> Iterator[Followed]:
        head = self._queue[0]
        if not isinstance(head, _Queued):
            self._queue.popleft()
            yield Followed(head, Detections.none(), np.zeros(0, np.int32), False)
        elif head.cut or not self._seen or self._since_whole + 1 >= self._options.full_every:
            self._queue.popleft()
            yield self._whole(head, None)
        else:
            yield from self._between(head)

    def _between(self, first: _Queued) -> Iterator[Followed]:
        """The frames up to the next that needs the whole picture, or to the first after which regions move."""
        batch, numbers, boxes = self._batch(first)
        for item, regions in zip(batch, self._search_regions(batch, numbers, boxes), strict=True):
            self._queue.popleft()
            if self._is_doubtful(regions):
                yield self._whole(item, regions)
                return
            before, num_regions = self._seen, len(self._regions)
            self._since_whole += 1
            yield self._done(item, Detections.join(regions.faces()), whole=False)
            if self._seen != before or len(self._regions) != num_regions:
                return

    def _batch(self, first: _Queued) -> tuple[list[_Queued], NDArray[np.int32], NDArray[np.float64]]:
        """Frames for one pass over regions; the numbers (M,) of the live tracks and their expected boxes (M, 4)."""
        batch: list[_Queued] = []
        numbers, boxes = self._tracker.expected(first.frame.index)
        limit = min(self._options.full_every - 1 - self._since_whole, max(1, self._at_once // max(1, len(numbers))))
        for item in list(self._queue)[:limit]:
            if not isinstance(item, _Queued) or item.cut:
                break
            batch.append(item)
        return batch, numbers, boxes

    def _search_regions(
        self, batch: Sequence[_Queued], numbers: NDArray[np.int32], boxes: NDArray[np.float64]
    ) -> list[_RegionPass]:
        region = self._place(numbers, boxes)
        images = [item.image for item in batch for _ in numbers]
        found = iter(self._detector.detect_regions(images, np.tile(region, (len(batch), 1)), self._options.region_px))
        passes = []
        places = boxes.copy()
        for _ in batch:
            own: list[Detections | None] = []
            for index, inside in enumerate(islice(found, len(numbers))):
                row = own_face(inside, places[index])
                own.append(None if row is None else inside.pick([row]))
                if row is not None:
                    places[index] = inside.box_xyxy[row]
            passes.append(_RegionPass(numbers, region, self._unclaimed(numbers, own)))
        return passes

    def _place(self, numbers: NDArray[np.int32], boxes: NDArray[np.float64]) -> NDArray[np.int32]:
        """Regions (M, 4), moved as seldom as possible: moving a region makes the box of its face jitter."""
        fresh = square_regions(boxes, self._options.region)
        for row, number in enumerate(numbers.tolist()):
            if number in self._seen:
                fresh[row] = self._regions.setdefault(number, fresh[row])
        return fresh

    def _unclaimed(self, numbers: NDArray[np.int32], own: list[Detections | None]) -> list[Detections | None]:
        """A track without a face on the frame before does not get a face that belongs to another track."""
        seen = [number in self._seen for number in numbers.tolist()]
        claimed = Detections.join(
            [face for face, was_seen in zip(own, seen, strict=True) if face is not None and was_seen]
        )
        return [
            None if face is not None and not was_seen and taken(face.box_xyxy, claimed.box_xyxy)[0] else face
            for face, was_seen in zip(own, seen, strict=True)
        ]

    def _is_doubtful(self, regions: _RegionPass) -> bool:
        for number, face, region in zip(regions.numbers.tolist(), regions.own, regions.region_xyxy, strict=True):
            if number not in self._seen:
                continue
            if face is None or near_edge(face.box_xyxy[0], region):
                return True
            if face.score[0] < self._usual.get(number, 0) - self._options.max_score_drop:
                return True
        boxes = [face.box_xyxy for face in regions.own if face is not None]
        return len(boxes) > 1 and two_claim_one(np.concatenate(boxes))

    def _whole(self, item: _Queued, regions: _RegionPass | None) -> Followed:
        """A pass over the whole picture; faces found only in the regions are kept."""
        faces = self._detector.detect(item.image)
        if not len(faces) and (item.cut or item.frame.index >= self._windows_from):
            faces = detect_in_tiles(self._detector, item.image)
            self._windows_from = item.frame.index + self._options.full_every
        if not item.cut and self._options.full_every > 1:
            if regions is None:
                regions = self._search_missing(item, faces)
            for face in regions.faces():
                faces = faces.with_new(face)
        self._since_whole = 0
        return self._done(item, faces, whole=True)

    def _search_missing(self, item: _Queued, faces: Detections) -> _RegionPass:
        """A pass over the regions of tracks whose face was not found in the whole picture."""
        numbers, boxes = self._tracker.expected(item.frame.index)
        missing = ~taken(boxes.astype(np.float32), faces.box_xyxy)
        if not missing.any():
            return _RegionPass(numbers[:0], np.empty((0, 4), np.int32), [])
        return self._search_regions([item], numbers[missing], boxes[missing])[0]

    def _done(self, item: _Queued, faces: Detections, whole: bool) -> Followed:
        tracks = self._tracker.update(item.frame.index, faces.box_xyxy, faces.score, item.cut)
        self._seen = frozenset(tracks[tracks > 0].tolist())
        for number, score in zip(tracks.tolist(), faces.score.tolist(), strict=True):
            self._usual[number] = _SCORE_MEMORY * self._usual.get(number, score) + (1 - _SCORE_MEMORY) * score
        live = set(self._tracker.expected(item.frame.index + 1)[0].tolist())
        self._usual = {number: score for number, score in self._usual.items() if number in live}
        box_of = dict(zip(tracks.tolist(), faces.box_xyxy, strict=True))
        self._regions = {
            number: region
            for number, region in self._regions.items()
            if number in box_of and not is_stale(box_of[number], region, self._options.region)
        }
        return Followed(item.frame, faces, tracks, whole)
