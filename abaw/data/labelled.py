"""Labelled faces: stills with a label in their store, and frames of videos with annotation files beside the stores."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from abaw.core.artifacts import quick_hash, value_hash
from abaw.core.errors import ConfigError, DataError
from abaw.protocol.annotations import Annotation, read_annotations
from abaw.protocol.classes import EXPRESSION_CLASSES, NUM_EXPRESSIONS, UNLABELLED
from abaw.protocol.layout import parse_subject
from abaw.stores.arrow import SUFFIX, StoreError
from abaw.stores.faces import FaceStore, open_faces


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFaces:
    """N labelled crops, on disk until read.

    store_index: (N,) into `stores`; rows: (N,) row of that store; labels: (N,) 0..7; groups: (N,) frames of one video
    share a number, -1 for a still.
    """

    stores: tuple[FaceStore, ...]
    store_index: NDArray[np.int32]
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    groups: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.rows)

    def jpeg(self, index: int) -> bytes:
        """The encoded crop of a sample."""
        value = self.stores[int(self.store_index[index])].jpeg(int(self.rows[index]))
        if value is None:
            raise DataError(f"{self.name(index)}: no face there; write the store again")
        return value

    def name(self, index: int) -> str:
        """`<store>:<image or frame>`, for messages."""
        store = self.stores[int(self.store_index[index])]
        return f"{store.store.path}:{store.keys[int(self.rows[index])].as_py()}"

    def take(self, chosen: NDArray[np.bool_]) -> LabelledFaces:
        """The samples where `chosen`, (N,), is True."""
        return LabelledFaces(
            self.stores, self.store_index[chosen], self.rows[chosen], self.labels[chosen], self.groups[chosen]
        )

    def fingerprint(self) -> str:
        """Stands for the stores, the samples chosen and their labels."""
        sources = [store.meta.get("fingerprint") or quick_hash(store.store.path) for store in self.stores]
        chosen = np.stack([self.store_index.astype(np.int64), self.rows, self.labels])
        return value_hash([*sources, hashlib.sha256(chosen.tobytes()).hexdigest()])

    def class_counts(self) -> NDArray[np.int64]:
        """Samples a class, (C,)."""
        return np.bincount(self.labels, minlength=NUM_EXPRESSIONS)


def labelled_stills(path: Path) -> LabelledFaces:
    """The stills of one image set that have a face and a label.

    Raises StoreError when the store is damaged, holds a video, has no label, other classes, or a label outside 0..7.
    """
    store = open_faces(path)
    labels = store.labels
    classes = store.meta.get("classes")
    if classes is not None and tuple(classes) != EXPRESSION_CLASSES:
        raise StoreError(
            f"{path}: class order differs: expected {', '.join(EXPRESSION_CLASSES)}; found {', '.join(classes)}"
        )
    wrong = (labels < UNLABELLED) | (labels >= NUM_EXPRESSIONS)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise StoreError(
            f"{path}:{store.keys[row].as_py()}: expected a label from 0 to {NUM_EXPRESSIONS - 1}, found {labels[row]}"
        )
    rows = np.flatnonzero((labels != UNLABELLED) & store.valid)
    if not len(rows):
        raise StoreError(
            f"{path}: none of its {len(store)} images has both a face and a label; give a labelled image set"
        )
    return _samples([store], [rows], [labels[rows]], [-1])


def labelled_frames(faces: Path, annotations: Path, every: int) -> tuple[LabelledFaces, list[str]]:
    """Every `every`-th of the frames of each annotated video that have a face and a label, and the names left out.

    faces: folder of stores, one a video or person, named as the annotation files are. A person of a two-person video
    shares the group of that video. Raises DataError when no annotated video has a store or no frame is left.
    """
    if every < 1:
        raise ConfigError(f"every is {every}; expected at least 1 (each labelled frame)")
    found = read_annotations(annotations)
    present = {name: faces / f"{name}{SUFFIX}" for name in found if (faces / f"{name}{SUFFIX}").exists()}
    missing = sorted(set(found) - set(present))
    if not present:
        raise DataError(f"{faces}: none of the {len(found)} annotated videos ({missing[0]}, …) has a store there")
    videos = sorted({parse_subject(name).video for name in present})
    stores, rows, labels, groups = [], [], [], []
    for name, path in sorted(present.items()):
        store = open_faces(path)
        chosen, chosen_labels = _labelled_rows(store, found[name])
        stores.append(store)
        rows.append(chosen[::every])
        labels.append(chosen_labels[::every])
        groups.append(videos.index(parse_subject(name).video))
    samples = _samples(stores, rows, labels, groups)
    if not len(samples):
        raise DataError(f"{faces}: no frame of {len(present)} annotated videos has both a face and a label")
    return samples, missing


def _labelled_rows(store: FaceStore, annotation: Annotation) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    """Rows of a video's store with a face and a label, and these labels. Frame k has label line k."""
    if not store.is_video:
        raise StoreError(f"{store.store.path}: expected the faces of a video, found those of an image set")
    frames = store.keys.to_numpy()
    labels = annotation.for_frames(int(frames.max(initial=0)))[frames - 1]
    rows = np.flatnonzero((labels != UNLABELLED) & store.valid)
    return rows, labels[rows]


def _samples(
    stores: Sequence[FaceStore],
    rows: Sequence[NDArray[np.int64]],
    labels: Sequence[NDArray[np.int8]],
    groups: Sequence[int],
) -> LabelledFaces:
    """Arrays, one a store, as one set; `groups` holds one number a store."""
    counts = [len(part) for part in rows]
    return LabelledFaces(
        tuple(stores),
        np.repeat(np.arange(len(stores), dtype=np.int32), counts),
        np.concatenate(rows).astype(np.int64),
        np.concatenate(labels).astype(np.int64),
        np.repeat(np.array(groups, dtype=np.int32), counts),
    )


def join(parts: Sequence[LabelledFaces]) -> LabelledFaces:
    """Several sets as one. Raises DataError when there is none; groups of different parts stay apart."""
    if not parts:
        raise DataError("no labelled faces: give labelled image sets, or videos with their annotations")
    stores: list[FaceStore] = []
    indices, groups = [], []
    first_group = 0
    for part in parts:
        indices.append(part.store_index + len(stores))
        groups.append(np.where(part.groups >= 0, part.groups + first_group, -1))
        stores += part.stores
        first_group += int(part.groups.max(initial=-1)) + 1
    return LabelledFaces(
        tuple(stores),
        np.concatenate(indices).astype(np.int32),
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate(groups).astype(np.int32),
    )
