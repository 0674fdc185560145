"""Flip-book clips: a timeline of classes, and frames of real pixels from stills of the class at that time.

Shapes: T time, C class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
from flipbook_stills import Still
from numpy.typing import NDArray

from abaw.core.artifacts import value_hash
from abaw.protocol.annotations import EXPRESSION_FOLDERS, write_annotation
from abaw.protocol.classes import EXPRESSION_CLASSES, NUM_EXPRESSIONS
from abaw.stores.crop import ALIGNED_PIXELS
from abaw.stores.faces import VIDEO_SCHEMA, write_video_faces
from abaw.video.extract import encode_crop

# Frames of each class in Aff-Wild2 (annotated, with a cropped image), as published for its two annotated parts.
CLASS_FRAMES: Mapping[str, tuple[int, ...]] = {
    "Train_Set": (177_198, 16_573, 10_771, 9_080, 95_463, 78_751, 31_615, 165_866),
    "Validation_Set": (82_258, 6_126, 5_296, 8_408, 34_511, 25_157, 12_332, 106_444),
}
FPS = 30.0
_ROWS = 256
_JPEG_QUALITY = 92


@dataclass(frozen=True, slots=True)
class Book:
    """How clips are made, at 30 frames per second.

    dwell: median length in frames of a segment of each class, log-normal with deviation `dwell_spread`. The length of
    segments in Aff-Wild2 is not published: these are our reading (short surprise, long neutral).
    clip: minimum and maximum frames of a clip.
    cast: minimum and maximum stills of a segment; hold: minimum and maximum frames that one is shown.
    dropped: share of frames without a face (published: 1.7 %), in segments of `drop_run` frames on average.
    delay: earliest and latest frame, relative to the true one, at which annotators changed the label.
    """

    dwell: tuple[int, ...] = (240, 120, 90, 90, 150, 210, 75, 210)
    dwell_spread: float = 0.7
    clip: tuple[int, int] = (600, 1800)
    hold: tuple[int, int] = (5, 25)
    cast: tuple[int, int] = (1, 6)
    dropped: float = 0.017
    drop_run: float = 8.0
    delay: tuple[int, int] = (-3, 12)


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """One clip before its pixels. shown: (T,) class of the still; labels: (T,) class as annotated; face: (T,) bool."""

    shown: NDArray[np.int8]
    labels: NDArray[np.int8]
    face: NDArray[np.bool_]


def draw_segments(num_frames: int, shares: Sequence[float], book: Book, rng: np.random.Generator) -> NDArray[np.int8]:
    """A semi-Markov chain of classes whose frames have the given shares in the long run, (T,). No class follows itself.

    The probability of a segment is the share of its class's frames divided by their mean dwell.
    """
    means = np.array(book.dwell) * np.exp(book.dwell_spread**2 / 2)
    segments = _without_repeats(np.array(shares) / means)
    labels = np.empty(0, dtype=np.int8)
    # A video begins in the middle of a segment, so the first segment is drawn by length.
    label = int(rng.choice(NUM_EXPRESSIONS, p=np.array(shares) / np.sum(shares)))
    while len(labels) < num_frames:
        length = max(1, round(book.dwell[label] * float(np.exp(book.dwell_spread * rng.standard_normal()))))
        labels = np.concatenate([labels, np.full(length, label, dtype=np.int8)])
        others = np.where(np.arange(NUM_EXPRESSIONS) == label, 0, segments)
        label = int(rng.choice(NUM_EXPRESSIONS, p=others / others.sum()))
    first = int(rng.integers(len(labels) - num_frames + 1))
    return labels[first : first + num_frames]


def _without_repeats(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights for drawing the next class, other than the last, that give segments these shares in the long run.

    In such a chain the share of a class is proportional to w (1 - w), with weights w that sum to 1.
    """
    target = shares / shares.sum()
    weights: NDArray[np.float64] = target
    for _ in range(200):
        weights = target / (1 - weights)
        weights /= weights.sum()
    return weights


def draw_timeline(shares: Sequence[float], book: Book, rng: np.random.Generator) -> Timeline:
    """One clip's classes, its labels with the annotators' delay at each border, and the frames that show a face."""
    num_frames = int(rng.integers(book.clip[0], book.clip[1] + 1))
    shown = draw_segments(num_frames, shares, book, rng)
    borders = np.flatnonzero(np.diff(shown)) + 1
    moved = borders + rng.integers(book.delay[0], book.delay[1] + 1, size=len(borders))
    # The order is kept: a slow annotator may skip a label, but a label never precedes the one that it follows.
    moved = np.maximum.accumulate(np.clip(moved, 1, num_frames))
    segment_classes = shown[np.concatenate([[0], borders])]
    labels = segment_classes[np.searchsorted(moved, np.arange(num_frames), side="right")]
    face = np.ones(num_frames, dtype=bool)
    for start in np.flatnonzero(rng.random(num_frames) < book.dropped / book.drop_run):
        face[start : start + rng.geometric(1 / book.drop_run)] = False
    return Timeline(shown, labels, face)


def crops(timeline: Timeline, stills: Sequence[Still], book: Book, rng: np.random.Generator) -> Iterator[bytes | None]:
    """JPEG bytes of every frame, None where there is no face.

    A segment has a few stills. One at a time is held for some frames, with its own position, size and brightness that
    drift a little from frame to frame. Neighbouring frames therefore err together, and so does much of a segment, as in
    a video of one person whose way of showing an expression is misread repeatedly.
    """
    by_class = [[still for still in stills if still.label == label] for label in range(NUM_EXPRESSIONS)]
    left, still, pose, mirror, last = 0, stills[0], np.zeros(4), False, -1
    cast = np.empty(0, dtype=np.int64)
    for label, face in zip(timeline.shown.tolist(), timeline.face.tolist(), strict=True):
        if label != last:
            cast = rng.integers(len(by_class[label]), size=rng.integers(book.cast[0], book.cast[1] + 1))
        if left == 0 or label != last:
            left = int(rng.integers(book.hold[0], book.hold[1] + 1))
            still = by_class[label][int(rng.choice(cast))]
            pose, mirror = rng.standard_normal(4) * (1.0, 1.0, 0.03, 0.06), bool(rng.random() < 0.5)
        left, last = left - 1, label
        pose = pose + rng.standard_normal(4) * (0.15, 0.15, 0.004, 0.01)
        yield encode_crop(drawn(still.pixels, pose, mirror), _JPEG_QUALITY) if face else None


def drawn(pixels: NDArray[np.uint8], pose: NDArray[np.float64], mirror: bool) -> NDArray[np.uint8]:
    """A still as a crop (112, 112, 3). pose: shift in pixels of the still, right and down, zoom and brightness - 1."""
    source = pixels[:, ::-1] if mirror else pixels
    side = source.shape[0]
    zoom = ALIGNED_PIXELS / side * (1 + pose[2])
    middle = (ALIGNED_PIXELS - 1) / 2
    matrix = np.array([[zoom, 0, middle - zoom * ((side - 1) / 2 - pose[0])], [0, zoom, 0]])
    matrix[1, 2] = middle - zoom * ((side - 1) / 2 - pose[1])
    crop = cv2.warpAffine(source, matrix, (ALIGNED_PIXELS, ALIGNED_PIXELS), borderMode=cv2.BORDER_REPLICATE)
    lit = np.clip(crop * (1 + pose[3]), 0, 255).astype(np.uint8)
    return np.repeat(lit[:, :, None], 3, axis=2)


Maker = Callable[[Sequence[float], np.random.Generator], tuple[Timeline, Iterator[bytes | None]]]
"""Class shares -> a timeline and the JPEG bytes of its frames, which are drawn when they are taken."""


def maker(stills: Sequence[Still], book: Book) -> Maker:
    """Clips of `draw_timeline` and `crops`."""

    def make(shares: Sequence[float], rng: np.random.Generator) -> tuple[Timeline, Iterator[bytes | None]]:
        timeline = draw_timeline(shares, book, rng)
        return timeline, crops(timeline, stills, book, rng)

    return make


def write_clips(
    folder: Path,
    split: str,
    num_clips: int,
    make: Maker,
    rng: np.random.Generator,
    shares: Sequence[float] | None = None,
) -> list[Path]:
    """Write `num_clips` clips: one faces store each to `folder`/faces, labels of `split` below `folder`/annotations.

    split: Train_Set or Validation_Set; shares: class shares of the frames, None for those of that split. Returns the
    paths of the faces stores.
    """
    shares = CLASS_FRAMES[split] if shares is None else shares
    paths = []
    for index in range(num_clips):
        name = f"{folder.name}{index:03d}"
        timeline, images = make(shares, rng)
        annotation = folder / "annotations" / EXPRESSION_FOLDERS[0] / split / f"{name}.txt"
        annotation.parent.mkdir(parents=True, exist_ok=True)
        write_annotation(annotation, timeline.labels)
        path = folder / "faces" / f"{name}.arrow"
        path.parent.mkdir(parents=True, exist_ok=True)
        meta = {
            "fps": FPS,
            "classes": list(EXPRESSION_CLASSES),
            "crop_size": ALIGNED_PIXELS,
            "fingerprint": value_hash([name, split, timeline.shown.tolist(), int(rng.integers(2**31))]),
        }
        write_video_faces(path, _batches(images, len(timeline.shown)), meta)
        paths.append(path)
    return paths


def _batches(images: Iterator[bytes | None], num_frames: int) -> Iterator[pa.RecordBatch]:
    for start in range(0, num_frames, _ROWS):
        frames = range(start + 1, min(start + _ROWS, num_frames) + 1)
        rows = [{"frame": frame, "time_s": (frame - 1) / FPS, "jpeg": next(images)} for frame in frames]
        yield pa.RecordBatch.from_pylist(rows, schema=VIDEO_SCHEMA)
