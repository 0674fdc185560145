"""Labels for unlabelled faces from an ensemble of static models, stored to be learned from.

The labels are distributions over the classes. They are smoothed over time for the frames of a video, corrected for the
ensemble's bias towards some classes, and left out where no class is likely enough. N faces, C class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from abaw.core.artifacts import provenance
from abaw.core.config import to_plain
from abaw.core.device import Device
from abaw.core.progress import Progress, silent
from abaw.data.face_set import FaceSet
from abaw.data.images import ImageReader
from abaw.inference.images import predict_probs
from abaw.models.image_input import image_input
from abaw.models.static import StaticModel, load_static
from abaw.protocol.classes import EXPRESSION_CLASSES, NUM_EXPRESSIONS, UNLABELLED
from abaw.semisup.label_settings import SoftLabelling
from abaw.sequence.filters import fill_gaps
from abaw.sequence.smooth import Smoothing, parse_smoothing
from abaw.stores.faces import IMAGE_SCHEMA, FaceStore, require_crop, write_image_faces
from abaw.stores.spec import Spec, trained_names

Probs = NDArray[np.float32]

_ROWS_AT_ONCE = 512


class Ensemble:
    """Static models that predict together: the mean of their probabilities, each averaged with the mirror image."""

    def __init__(self, checkpoints: Sequence[Path], device: Device) -> None:
        """Raises CheckpointError when one is missing, damaged or not static."""
        self._members: list[tuple[StaticModel, Spec]] = []
        for checkpoint in checkpoints:
            model, spec = load_static(checkpoint)
            self._members.append((model.to(device), spec))

    @property
    def names(self) -> list[str]:
        """The members' ids."""
        return [spec.weights_id for _, spec in self._members]

    @property
    def trained_on(self) -> list[str]:
        """The stores from which the members have learned, by name."""
        return sorted(set().union(*(trained_names(spec.training) for _, spec in self._members)))

    def __call__(self, faces: FaceSet) -> Probs:
        """Probabilities (N, C). Raises StoreError for a kind of crop that a member does not expect."""
        total = np.zeros((len(faces), NUM_EXPRESSIONS), dtype=np.float32)
        for model, spec in self._members:
            image = image_input(spec)
            for store in faces.stores:
                require_crop(store, image.crop, f"the static model {spec.weights_id}")
            total += predict_probs(model, ImageReader(faces, image.size, cache_mb=0), image, flip=True)
        mean: Probs = (total / len(self._members)).astype(np.float32)
        return mean


@dataclass(frozen=True, slots=True, eq=False)
class SoftLabels:
    """Labels of the faces of one store. probs: (N, C); labelled: (N,) False where no class is likely enough."""

    faces: FaceSet
    probs: Probs
    labelled: NDArray[np.bool_]

    @property
    def labels(self) -> NDArray[np.int64]:
        """The most likely classes, (N,), -1 without a label."""
        return np.where(self.labelled, self.probs.argmax(axis=1), UNLABELLED)


def label_faces(
    sets: Sequence[FaceSet],
    ensemble: Ensemble,
    settings: SoftLabelling,
    shares: NDArray[np.floating],
    thresholds: NDArray[np.floating],
    progress: Progress = silent,
) -> list[SoftLabels]:
    """Soft labels of sets of one store each; q̂ is their common mean prediction.

    shares: (C,), expected among the faces; thresholds: (C,), of `class_thresholds`.
    """
    smoothing = parse_smoothing(settings.smoothing)
    taken: list[FaceSet] = []
    predicted: list[Probs] = []
    for done, faces in enumerate(sets):
        probs = ensemble(faces)
        if faces.stores[0].is_video:
            probs = smoothed_over_time(probs, faces.rows, smoothing)[:: settings.every]
            faces = faces.take(np.arange(len(faces)) % settings.every == 0)
        taken.append(faces)
        predicted.append(probs)
        progress(done + 1, len(sets))
    marginal = np.concatenate(predicted).mean(axis=0)
    labels = [debiased(probs, shares, marginal, settings.debias) for probs in predicted]
    return [
        SoftLabels(faces, probs, probs.max(axis=1) >= thresholds[probs.argmax(axis=1)])
        for faces, probs in zip(taken, labels, strict=True)
    ]


def smoothed_over_time(probs: Probs, rows: NDArray[np.int64], smoothing: Smoothing) -> Probs:
    """Probabilities (N, C) of a video's frames with a face, smoothed; frames in between are interpolated first.

    rows: (N,) increasing, of the frames in the video.
    """
    span = rows - rows[0]
    known = np.zeros(int(span[-1]) + 1, dtype=bool)
    known[span] = True
    frames = np.zeros((len(known), probs.shape[1]), dtype=np.float32)
    frames[known] = probs
    smooth: Probs = smoothing(fill_gaps(frames, known, 1 / probs.shape[1]))[known]
    return smooth


def debiased(probs: Probs, shares: NDArray[np.floating], marginal: NDArray[np.floating], weight: float) -> Probs:
    """`p̃ ∝ p · (π / q̂)^λ`, (N, C).

    With λ = 1 this is distribution alignment (arXiv 1911.09785); with equal shares π it is DebiasPL's correction (arXiv
    2201.01490), which expects all classes equally often. probs: (N, C); shares: π, (C,); marginal: q̂, (C,); weight: λ.
    """
    corrected = probs * (shares / np.maximum(marginal, 1e-6)) ** weight
    normalised: Probs = (corrected / corrected.sum(axis=1, keepdims=True)).astype(np.float32)
    return normalised


def class_thresholds(probs: Probs, labels: NDArray[np.integer], settings: SoftLabelling) -> NDArray[np.float64]:
    """The minimum probability per class, (C,): Ada-CM's margin (arXiv 2203.12341) at the end of training.

    `T_c = max(lowest, highest · mean{max p(x): x labelled and correctly predicted as c})`; `lowest` for a class without
    a correct prediction. probs: (N, C) of labelled faces; labels: (N,); N may be 0.
    """
    thresholds = np.full(probs.shape[1], settings.lowest)
    confidence, predicted = probs.max(axis=1), probs.argmax(axis=1)
    for label in range(probs.shape[1]):
        correct = confidence[(predicted == label) & (labels == label)]
        if len(correct):
            thresholds[label] = max(settings.lowest, settings.highest * float(correct.mean()))
    return thresholds


def write_soft_labels(path: Path, made: SoftLabels, teachers: Ensemble, settings: SoftLabelling) -> None:
    """Write the faces of one store as an image set with labels and votes; a frame is named VIDEO:FRAME.

    Its metadata name the faces from which the teachers have learned.

    Raises StorageError when writing fails.
    """
    (store,) = made.faces.stores
    copied = {name: store.meta[name] for name in ("crop", "crop_size", "detector") if name in store.meta}
    meta = provenance(
        source=store.name if store.is_video else store.meta.get("source"),
        classes=list(EXPRESSION_CLASSES),
        images=len(made.faces),
        soft_labels={"teachers": teachers.names, **to_plain(settings)},
        trained_on=teachers.trained_on,
        **copied,
    )
    write_image_faces(path, _batches(store, made), meta)


def _batches(store: FaceStore, made: SoftLabels) -> Iterator[pa.RecordBatch]:
    labels = made.labels
    for start in range(0, len(labels), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        yield _batch(store, made.faces.rows[part], labels[part], made.probs[part])


def _batch(store: FaceStore, rows: NDArray[np.int64], labels: NDArray[np.int64], probs: Probs) -> pa.RecordBatch:
    faces = store.store.table.take(pa.array(rows))
    keys = faces.column(store.key).to_pylist()
    absent = labels == UNLABELLED
    columns: Mapping[str, Any] = {
        "image": [f"{store.name}:{key}" if store.is_video else key for key in keys],
        "label": [None if none else int(label) for label, none in zip(labels, absent, strict=True)],
        "votes": [None if none else row for row, none in zip(probs.tolist(), absent, strict=True)],
    }
    return pa.record_batch(
        [
            pa.array(columns[field.name], field.type)
            if field.name in columns
            else faces.column(field.name).combine_chunks()
            for field in IMAGE_SCHEMA
        ],
        schema=IMAGE_SCHEMA,
    )
