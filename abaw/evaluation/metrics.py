"""Scores of per-frame labels: macro F1 over the eight classes, frames labelled -1 left out, and what explains it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

from abaw.core.errors import DataError
from abaw.protocol.classes import NUM_EXPRESSIONS, UNLABELLED

Labels = NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class. support: annotated frames of the class; a ratio with nothing below the line counts as 0."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What one set of annotated frames scores.

    per_class: by class, C of them; confusion: (C, C) frame counts, rows annotated, columns predicted.
    """

    num_frames: int
    macro_f1: float
    accuracy: float
    per_class: tuple[ClassScore, ...]
    confusion: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ScoredVideo:
    """The frames of one video that have both an annotation line and a prediction row.

    labels: (T,) annotation, -1 for none; predicted: (T,) class; valid: (T,) the frame shows a face.
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


@dataclass(frozen=True, slots=True)
class VideoScore:
    """One video over all its annotated frames, and over those with a face. NaN where there is no such frame.

    macro_f1 here is the mean over the classes annotated in the video: a class it never shows cannot be scored in it.
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
    """Both conventions of the field: all annotated frames, and only those with a face image (None: there is none)."""

    all_frames: Scores
    with_face: Scores | None
    videos: tuple[VideoScore, ...]


def macro_f1(labels: Labels, predicted: Labels, num_classes: int = NUM_EXPRESSIONS) -> float:
    """Unweighted mean of the F1 of all `num_classes` classes over the frames labelled 0 or above; NaN without one.

    labels (N,), predicted (N,). A class that is neither annotated nor predicted counts as 0.
    """
    known = labels > UNLABELLED
    if not known.any():
        return float("nan")
    classes = range(num_classes)
    return float(f1_score(labels[known], predicted[known], labels=classes, average="macro", zero_division=0))


def score_frames(labels: Labels, predicted: Labels, num_classes: int = NUM_EXPRESSIONS) -> Scores:
    """All scores of one set of frames. labels (N,) with -1 for no annotation, predicted (N,) in 0..C-1.

    Raises DataError when no frame is annotated, or when a prediction is no class.
    """
    known = labels > UNLABELLED
    if not known.any():
        raise DataError("no frame is annotated with a class: there is nothing to score")
    labels, predicted = labels[known], predicted[known]
    for what, values in (("label", labels), ("prediction", predicted)):
        if values.min() < 0 or values.max() >= num_classes:
            raise DataError(f"expected every {what} in 0..{num_classes - 1}, found {values.min()}..{values.max()}")
    classes = range(num_classes)
    columns = precision_recall_fscore_support(labels, predicted, labels=classes, average=None, zero_division=0)
    per_class = tuple(ClassScore(float(p), float(r), float(f), int(n)) for p, r, f, n in zip(*columns, strict=True))
    return Scores(
        num_frames=len(labels),
        macro_f1=float(np.mean([score.f1 for score in per_class])),
        accuracy=float(np.mean(labels == predicted)),
        per_class=per_class,
        confusion=confusion_matrix(labels, predicted, labels=classes).astype(np.int64),
    )


def evaluate(videos: Sequence[ScoredVideo], num_classes: int = NUM_EXPRESSIONS) -> Evaluation:
    """Score a set of videos together, in both conventions, and each video by itself.

    Raises DataError when no frame of any video is annotated.
    """
    if not videos:
        raise DataError("no video to score")
    labels = np.concatenate([video.labels for video in videos])
    predicted = np.concatenate([video.predicted for video in videos])
    valid = np.concatenate([video.valid for video in videos])
    with_face = (labels[valid] > UNLABELLED).any()
    return Evaluation(
        all_frames=score_frames(labels, predicted, num_classes),
        with_face=score_frames(labels[valid], predicted[valid], num_classes) if with_face else None,
        videos=tuple(_score_video(video) for video in videos),
    )


def _score_video(video: ScoredVideo) -> VideoScore:
    known = video.labels > UNLABELLED
    seen = known & video.valid
    return VideoScore(
        name=video.name,
        num_frames=int(known.sum()),
        num_frames_with_face=int(seen.sum()),
        num_classes=len(np.unique(video.labels[known])),
        macro_f1=_present_macro_f1(video.labels[known], video.predicted[known]),
        macro_f1_with_face=_present_macro_f1(video.labels[seen], video.predicted[seen]),
        accuracy=float(np.mean(video.labels[known] == video.predicted[known])) if known.any() else float("nan"),
    )


def _present_macro_f1(labels: Labels, predicted: Labels) -> float:
    """Mean F1 over the classes among `labels` (N,), all annotated; NaN when N = 0."""
    if not len(labels):
        return float("nan")
    return float(f1_score(labels, predicted, labels=np.unique(labels), average="macro", zero_division=0))
