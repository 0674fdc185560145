"""Scores of per-frame labels: macro F1 over the eight classes without frames labelled -1, and its details.

All scores follow from one confusion matrix per video.
Shapes: V videos, T time, C class.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.protocol.classes import NUM_EXPRESSIONS, UNLABELLED

Labels = NDArray[np.integer]
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Scores of one class. support: its annotated frames. A ratio with denominator 0 counts as 0."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Scores of one set of annotated frames.

    per_class: C of them; confusion: (C, C) frame counts, rows annotated, columns predicted.
    """

    num_frames: int
    macro_f1: float
    accuracy: float
    per_class: tuple[ClassScore, ...]
    confusion: Counts


@dataclass(frozen=True, slots=True, eq=False)
class ScoredVideo:
    """The frames of one video that have both an annotation line and a prediction row.

    labels: (T,) annotated class, -1 for none; predicted: (T,) class; valid: (T,) whether the frame has a face.
    Raises DataError when the lengths differ.
    """

    name: str
    labels: NDArray[np.int8]
    predicted: NDArray[np.int8]
    valid: NDArray[np.bool_]

    def __post_init__(self) -> None:
        lengths = (len(self.labels), len(self.predicted), len(self.valid))
        if len(set(lengths)) != 1:
            raise DataError(f"{self.name}: labels, predictions and face mask differ in length: {lengths}")


@dataclass(frozen=True, slots=True, eq=False)
class VideoTally:
    """Frame counts of a scored video in both conventions, (C, C) each, rows annotated, columns predicted."""

    name: str
    confusion: Counts
    confusion_with_face: Counts


@dataclass(frozen=True, slots=True)
class VideoScore:
    """Scores of one video over all its annotated frames, and over those with a face; NaN without such frames.

    macro_f1 here is the mean over the classes annotated in the video: other classes cannot be scored in it.
    """

    name: str
    num_frames: int
    num_frames_with_face: int
    num_classes: int
    macro_f1: float
    macro_f1_with_face: float
    accuracy: float


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Scores in both common conventions: over all annotated frames, and only over those with a face (None without any).

    videos: V of them; confusions, confusions_with_face: (V, C, C) each, in the order of the videos.
    """

    all_frames: Scores
    with_face: Scores | None
    videos: tuple[VideoScore, ...]
    confusions: Counts
    confusions_with_face: Counts


def confusion_of(labels: Labels, predicted: Labels, num_classes: int = NUM_EXPRESSIONS) -> Counts:
    """Frame counts (C, C), rows annotated, columns predicted; frames labelled -1 are left out.

    labels, predicted: (N,) each. Raises DataError when a label or a prediction of the other frames is not a class.
    """
    known = labels > UNLABELLED
    labels, predicted = labels[known], predicted[known]
    for what, values in (("label", labels), ("prediction", predicted)):
        if values.size and (values.min() < 0 or values.max() >= num_classes):
            raise DataError(f"expected every {what} in 0..{num_classes - 1}, found {values.min()}..{values.max()}")
    cells = labels.astype(np.int64) * num_classes + predicted
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes).astype(np.int64)


def tally(video: ScoredVideo, num_classes: int = NUM_EXPRESSIONS) -> VideoTally:
    """Count a video's frames. Raises DataError when a label or a prediction is not a class."""
    return VideoTally(
        video.name,
        confusion_of(video.labels, video.predicted, num_classes),
        confusion_of(video.labels[video.valid], video.predicted[video.valid], num_classes),
    )


def class_f1_of(confusion: NDArray[np.number]) -> Floats:
    """F1 of each class, (…, C), 0 for a class that never occurs. confusion: (…, C, C), rows annotated."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return _ratio(2 * hits, confusion.sum(axis=-1) + confusion.sum(axis=-2))


def macro_f1_of(confusion: NDArray[np.number]) -> Floats:
    """Unweighted mean of the classes' F1, (…). confusion: (…, C, C), rows annotated."""
    means: Floats = class_f1_of(confusion).mean(axis=-1)
    return means


def _ratio(numerator: NDArray[np.number], denominator: NDArray[np.number]) -> Floats:
    """The ratio, 0 where the denominator is 0."""
    ratios: Floats = np.divide(numerator, np.where(denominator > 0, denominator, 1), dtype=np.float64)
    return ratios


def macro_f1(labels: Labels, predicted: Labels, num_classes: int = NUM_EXPRESSIONS) -> float:
    """Unweighted mean of the F1 of all `num_classes` classes over the annotated frames; NaN without any.

    labels: (N,), -1 for none; predicted: (N,). A class that is neither annotated nor predicted counts as 0.
    """
    confusion = confusion_of(labels, predicted, num_classes)
    return float(macro_f1_of(confusion)) if confusion.any() else float("nan")


def score_frames(labels: Labels, predicted: Labels, num_classes: int = NUM_EXPRESSIONS) -> Scores:
    """All scores of one set of frames. labels: (N,), -1 for none; predicted: (N,) in 0..C-1.

    Raises DataError when no frame is annotated, or when a label or a prediction is not a class.
    """
    return score_confusion(confusion_of(labels, predicted, num_classes))


def score_confusion(confusion: Counts) -> Scores:
    """All scores of frame counts (C, C), rows annotated. Raises DataError when all counts are 0."""
    num_frames = int(confusion.sum())
    if not num_frames:
        raise DataError("no frame is annotated with a class: there is nothing to score; give annotated videos")
    hits, annotated, predicted = np.diagonal(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    f1 = class_f1_of(confusion)
    columns = (_ratio(hits, predicted), _ratio(hits, annotated), f1, annotated)
    return Scores(
        num_frames=num_frames,
        macro_f1=float(f1.mean()),
        accuracy=float(hits.sum() / num_frames),
        per_class=tuple(ClassScore(float(p), float(r), float(f), int(n)) for p, r, f, n in zip(*columns, strict=True)),
        confusion=confusion,
    )


def evaluate(videos: Sequence[ScoredVideo], num_classes: int = NUM_EXPRESSIONS) -> Evaluation:
    """Score a set of videos together, in both conventions, and each video separately.

    Raises DataError when no frame of any video is annotated.
    """
    return evaluate_tallies(tally(video, num_classes) for video in videos)


def evaluate_tallies(tallies: Iterable[VideoTally]) -> Evaluation:
    """As `evaluate`, from the videos' frame counts. Raises DataError without any video or annotated frame."""
    videos = tuple(tallies)
    if not videos:
        raise DataError("no video to score; give at least one")
    confusions = np.stack([video.confusion for video in videos])
    with_face = np.stack([video.confusion_with_face for video in videos])
    return Evaluation(
        all_frames=score_confusion(confusions.sum(axis=0)),
        with_face=score_confusion(with_face.sum(axis=0)) if with_face.any() else None,
        videos=tuple(_score_video(video) for video in videos),
        confusions=confusions,
        confusions_with_face=with_face,
    )


def _score_video(video: VideoTally) -> VideoScore:
    num_frames = int(video.confusion.sum())
    return VideoScore(
        name=video.name,
        num_frames=num_frames,
        num_frames_with_face=int(video.confusion_with_face.sum()),
        num_classes=int((video.confusion.sum(axis=1) > 0).sum()),
        macro_f1=_present_macro_f1(video.confusion),
        macro_f1_with_face=_present_macro_f1(video.confusion_with_face),
        accuracy=float(np.trace(video.confusion) / num_frames) if num_frames else float("nan"),
    )


def _present_macro_f1(confusion: Counts) -> float:
    """Mean F1 over the classes annotated in the counts (C, C); NaN without any."""
    present = confusion.sum(axis=1) > 0
    return float(class_f1_of(confusion)[present].mean()) if present.any() else float("nan")
