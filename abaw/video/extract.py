"""One pass over a video: detect, track, crop, encode, choose the person, write one row per decoded frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from abaw.core.config import to_plain
from abaw.core.errors import DataError
from abaw.core.progress import Progress, silent
from abaw.protocol.layout import Subject
from abaw.stores.crop import ALIGNED_112, Crop, crop_folders
from abaw.video.align import cut_crop
from abaw.video.detecting.detector import Detector
from abaw.video.options import ExtractOptions
from abaw.video.people.appearance import DEPTH, appearances
from abaw.video.people.corrections import Corrections
from abaw.video.people.face_spill import FaceSpill
from abaw.video.people.follow_faces import Followed, Follower
from abaw.video.people.smooth_landmarks import smooth_landmarks
from abaw.video.people.subject_stores import ExtractedStore, SubjectStores, close_calls
from abaw.video.people.track_book import TrackBook
from abaw.video.people.tracker import Tracker
from abaw.video.reading.frames import VideoReader
from abaw.video.reading.registry import open_video

_CROPS_AHEAD = 8

_Crops = tuple[list[list[bytes]], NDArray[np.float32]]
"""The encoded crops of the N faces of a frame, K lists of N for K kinds, and their appearances (N, D)."""


@dataclass(frozen=True, slots=True)
class ExtractedVideo:
    """The result of one video.

    stores: one kind of crop after another; frames: decoded; faces: frames with a person; skipped: all stores existed
    already.
    """

    video: str
    stores: tuple[ExtractedStore, ...]
    frames: int = 0
    faces: int = 0
    lost_frames: int = 0
    skipped: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def people(self) -> tuple[ExtractedStore, ...]:
        """One store per subject or track: those with the first kind of crop."""
        return tuple(store for store in self.stores if store.crop == self.stores[0].crop)


@dataclass(slots=True)
class _Pass:
    """What one pass over the video found."""

    frames: int = 0
    whole_passes: int = 0
    image_wh: tuple[int, int] = (0, 0)
    book: TrackBook = field(default_factory=TrackBook)


def extract_video(
    path: Path,
    out: Path,
    detector: Detector,
    subjects: Sequence[Subject] | None,
    options: ExtractOptions,
    corrections: Corrections | None = None,
    crops: Sequence[Crop] = (ALIGNED_112,),
    progress: Progress = silent,
    sub_folder: str = "",
) -> ExtractedVideo:
    """Write `<subject>.arrow` for each subject of the video at `path`, in memory that does not grow with it.

    subjects: people of this video, or None for one store `<video>_person<k>` each; corrections: people chosen by
    hand, a store that shows somebody else is then written again; crops: kinds of crop, all made in one pass. Stores of
    a single kind are written into `out`, those of several into one folder per kind in it, and there into `sub_folder`.
    Stores that exist already, of the same video and settings, are kept; if all do, the video is not read. A video
    without a face results in stores of nulls and a warning. Raises DataError for a file that cannot be read, StoreError
    if a different store has one of the names, and StorageError if the disk is full or not writable.
    """
    settings = {"detector": detector.identity, "options": to_plain(options)}
    wanted = {
        crop: SubjectStores(path, folder / sub_folder, crop, settings, corrections)
        for crop, folder in crop_folders(out, crops).items()
    }
    done = {
        crop: stores.done_people() if subjects is None else stores.done_subjects(subjects)
        for crop, stores in wanted.items()
    }
    missing = [crop for crop in crops if done[crop] is None]
    if not missing:
        return ExtractedVideo(path.stem, _in_order(done, crops), skipped=True)
    if len(crops) > 1:
        for stores in wanted.values():
            stores.require_automatic_choice(subjects or ())
    with FaceSpill(out, len(missing)) as spill:
        with open_video(path, options.reader, options.square_pixels) as video:
            found = _read(video, detector, options, missing, spill, progress)
        spill.finish()
        for place, crop in enumerate(missing):
            planned = (
                wanted[crop].plan_people(found.book, options.min_track_frames)
                if subjects is None
                else wanted[crop].plan_subjects(subjects, found.book)
            )
            rows = partial(spill.rows, crop=place)
            done[crop] = wanted[crop].write(planned, rows, found.book, _facts(video, found))
    result = ExtractedVideo(
        video=path.stem,
        stores=_in_order(done, crops),
        frames=found.frames,
        faces=found.book.frames_with_people,
        lost_frames=video.lost_frames,
    )
    return replace(result, warnings=tuple(_warnings(video, found, result.people)))


def _in_order(
    done: Mapping[Crop, Sequence[ExtractedStore] | None], crops: Sequence[Crop]
) -> tuple[ExtractedStore, ...]:
    return tuple(store for crop in crops for store in done[crop] or ())


def _read(
    video: VideoReader,
    detector: Detector,
    options: ExtractOptions,
    crops: Sequence[Crop],
    spill: FaceSpill,
    progress: Progress,
) -> _Pass:
    """Decoding, detection with tracking, and cropping each run in a separate thread."""
    found = _Pass()
    follower = Follower(detector, Tracker(options.max_gap, options.min_iou, options.start_score), options)
    with ThreadPoolExecutor(1, "abaw-crops") as pool:
        waiting: deque[tuple[Followed, Future[_Crops]]] = deque()
        for followed in smooth_landmarks(follower.follow(video), options.smooth_landmarks):
            waiting.append((followed, pool.submit(_crops, followed, crops, options.jpeg_quality)))
            if len(waiting) > _CROPS_AHEAD:
                _add(found, spill, *waiting.popleft())
            progress(followed.frame.index, video.header_frames)
        for done in waiting:
            _add(found, spill, *done)
    found.book.keep_people(min(options.weak_frames, found.frames))
    return found


def _add(found: _Pass, spill: FaceSpill, followed: Followed, cut: Future[_Crops]) -> None:
    frame, faces, tracks = followed.frame, followed.faces, followed.tracks
    found.frames = frame.index
    if frame.image is None:
        spill.add_missing(frame.index, frame.time_s, frame.fault)
        return
    image_wh = (frame.image.shape[1], frame.image.shape[0])
    if found.image_wh == (0, 0):
        found.image_wh = image_wh
    jpegs, seen = cut.result()
    found.book.add(frame.index, tracks, faces.box_xyxy, faces.score, image_wh, seen)
    spill.add(frame.index, frame.time_s, faces, jpegs, tracks.tolist())
    found.whole_passes += followed.whole


def _crops(followed: Followed, crops: Sequence[Crop], quality: int) -> _Crops:
    """Appearances are always those of aligned:112, so that the choice of people does not depend on `crops`."""
    image, faces = followed.frame.image, followed.faces
    if image is None:
        return [[] for _ in crops], np.empty((0, DEPTH), np.float32)
    cut = {
        crop: [
            cut_crop(image, crop, box, None if faces.landmarks_xy is None else faces.landmarks_xy[row])
            for row, box in enumerate(faces.box_xyxy)
        ]
        for crop in {ALIGNED_112, *crops}
    }
    jpegs = [[encode_crop(each, quality) for each in cut[crop]] for crop in crops]
    return jpegs, appearances(image, faces.box_xyxy, cut[ALIGNED_112])


def encode_crop(crop: NDArray[np.uint8], quality: int) -> bytes:
    """JPEG bytes of an RGB crop (H, W, 3) uint8."""
    encoded, data = cv2.imencode(".jpg", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not encoded:
        raise DataError(f"a crop of shape {crop.shape} could not be encoded as JPEG")
    return data.tobytes()


def _facts(video: VideoReader, found: _Pass) -> Mapping[str, Any]:
    """The metadata of the video itself."""
    return {
        "fps": video.fps,
        "frame_size_wh": list(found.image_wh),
        "num_frames": found.frames,
        "header_frames": video.header_frames,
        "hidden_frames": video.hidden_frames,
        "lost_frames": video.lost_frames,
        "bad_packets": video.bad_packets,
        "missing_frames": video.missing_frames,
        "backward_times": video.backward_times,
        "whole_looks": found.whole_passes,
        "num_tracks": len(found.book.summaries),
    }


def _warnings(video: VideoReader, found: _Pass, people: Sequence[ExtractedStore]) -> list[str]:
    lines = list(video.notes)
    if video.backward_times:
        lines.append(
            f"its time stamps run backwards (at {video.backward_times} frames); rows are in the order of the decoder"
        )
    if video.lost_frames:
        lines.append(
            f"damaged or cut off: {video.lost_frames} of the {video.header_frames} frames that the file states are lost"
            f" ({video.bad_packets} packets could not be decoded)"
        )
    elif video.bad_packets:
        lines.append(f"damaged: {video.bad_packets} packets could not be decoded and were skipped")
    if video.missing_frames:
        lines.append(f"damaged: {video.missing_frames} frames could not be decoded; their rows say why")
    if not found.book.summaries:
        lines.append("no face in this video")
    else:
        lines += [f"nobody found for {store.subject}: its store has no face" for store in people if not store.faces]
    lines += close_calls(people)
    return lines
