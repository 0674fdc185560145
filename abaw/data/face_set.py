"""Faces to train on: stills and video frames, with labels (from the store or annotation files) or without."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from abaw.core.artifacts import value_hash
from abaw.core.errors import ConfigError, DataError
from abaw.protocol.annotations import Annotation, read_annotations
from abaw.protocol.classes import EXPRESSION_CLASSES, NUM_EXPRESSIONS, UNLABELLED
from abaw.protocol.layout import video_of
from abaw.stores.arrow import SUFFIX, StoreError
from abaw.stores.faces import FaceStore, open_faces


@dataclass(frozen=True, slots=True, eq=False)
class FaceSet:
    """N crops, which stay on disk until they are read.

    store_index: (N,) into `stores`; rows: (N,) into that store; labels: (N,) 0..7, -1 for none; votes: (N, C) shares of
    the annotators' votes: 1 at the label where no votes are stored, all 0 without a label; groups: (N,) one number per
    video, -1 for a still.
    """

    stores: tuple[FaceStore, ...]
    store_index: NDArray[np.int32]
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    votes: NDArray[np.float32]
    groups: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.rows)

    def jpeg(self, index: int) -> bytes:
        """The encoded crop of a sample. Raises DataError when the row has none."""
        value = self.stores[int(self.store_index[index])].jpeg(int(self.rows[index]))
        if value is None:
            raise DataError(f"{self.name(index)}: has no face; write the store again")
        return value

    def name(self, index: int) -> str:
        """`<store>:<image or frame>`, for messages."""
        store = self.stores[int(self.store_index[index])]
        return f"{store.store.path}:{store.keys[int(self.rows[index])].as_py()}"

    def photos(self) -> NDArray[np.int64]:
        """The number of each sample's photo, (N,); crops of one still from different detectors share it."""
        keys = [self._photo(index) for index in range(len(self))]
        return np.unique(np.array(keys), return_inverse=True)[1]

    def _photo(self, index: int) -> str:
        store = self.stores[int(self.store_index[index])]
        key = str(store.keys[int(self.rows[index])].as_py())
        return f"{store.store.path}:{key}" if store.is_video else f"{store.meta.get('source')}:{key}"

    def take(self, chosen: NDArray[np.bool_]) -> FaceSet:
        """The samples where `chosen`, (N,), is True."""
        return FaceSet(
            self.stores,
            self.store_index[chosen],
            self.rows[chosen],
            self.labels[chosen],
            self.votes[chosen],
            self.groups[chosen],
        )

    def without_labels(self) -> FaceSet:
        """The same faces without their labels and votes."""
        return replace(self, labels=np.full_like(self.labels, UNLABELLED), votes=np.zeros_like(self.votes))

    def fingerprint(self) -> str:
        """Identifies the stores, the chosen samples and their labels."""
        sources = [store.fingerprint for store in self.stores]
        chosen = np.stack([self.store_index.astype(np.int64), self.rows, self.labels])
        digest = hashlib.sha256(chosen.tobytes())
        digest.update(self.votes.tobytes())
        return value_hash([*sources, digest.hexdigest()])

    def class_counts(self) -> NDArray[np.int64]:
        """Samples per class, (C,)."""
        return np.bincount(self.labels[self.labels != UNLABELLED], minlength=NUM_EXPRESSIONS)


def labelled_stills(path: Path) -> FaceSet:
    """The stills of an image set that have a face and a label. Raises StoreError without any, and as `stills` does."""
    faces = stills(path)
    found = faces.take(faces.labels != UNLABELLED)
    if not len(found):
        raise StoreError(f"{path}: none of its {len(faces)} faces has a label; give a labelled image set")
    return found


def unlabelled_faces(path: Path, every: int) -> FaceSet:
    """The stills with a face of an image set, or every n-th frame with a face of a video; labels are ignored.

    every: n. Raises ConfigError when it is below 1, and StoreError when there is no face and as `stills` does.
    """
    if every < 1:
        raise ConfigError(f"every is {every}; expected at least 1 (each frame)")
    store = open_faces(path)
    if not store.is_video:
        return stills(path).without_labels()
    rows = np.flatnonzero(store.valid)[::every]
    if not len(rows):
        raise StoreError(f"{path}: none of its {len(store)} frames shows a face; extract it with another detector")
    return _samples([store], [rows], [np.full(len(rows), UNLABELLED, dtype=np.int8)], [0])


def stills(path: Path) -> FaceSet:
    """The stills with a face of an image set, with their labels if they have any.

    Raises StoreError when the store is damaged, holds a video or no face, or has other classes.
    """
    store = open_faces(path)
    labels = store.labels
    classes = store.meta.get("classes")
    if classes is not None and tuple(classes) != EXPRESSION_CLASSES:
        raise StoreError(
            f"{path}: class order differs: expected {', '.join(EXPRESSION_CLASSES)}; found {', '.join(classes)}"
        )
    rows = np.flatnonzero(store.valid)
    if not len(rows):
        raise StoreError(f"{path}: none of its {len(store)} images shows a face; import it with another detector")
    faces = _samples([store], [rows], [labels[rows]], [-1])
    votes = store.votes[rows]
    voted = ~np.isnan(votes).any(axis=1)
    faces.votes[voted] = votes[voted]
    return faces


def labelled_frames(faces: Path, annotations: Path, every: int) -> tuple[FaceSet, list[str]]:
    """Every n-th frame with a face and a label of each annotated video, and the names of videos without a store.

    faces: folder of stores, one per video or person, with the names of the annotation files; every: n. The people of
    one video share its group. Raises ConfigError when n is below 1, and DataError when no annotated video has a store
    or no frame is left.
    """
    if every < 1:
        raise ConfigError(f"every is {every}; expected at least 1 (each labelled frame)")
    found = read_annotations(annotations)
    present = {name: faces / f"{name}{SUFFIX}" for name in found if (faces / f"{name}{SUFFIX}").exists()}
    missing = sorted(set(found) - set(present))
    if not present:
        raise DataError(f"{faces}: has no store of any of the {len(found)} annotated videos ({missing[0]}, …)")
    videos = sorted({video_of(name) for name in present})
    stores, rows, labels, groups = [], [], [], []
    for name, path in sorted(present.items()):
        store = open_faces(path)
        chosen, chosen_labels = _labelled_rows(store, found[name])
        stores.append(store)
        rows.append(chosen[::every])
        labels.append(chosen_labels[::every])
        groups.append(videos.index(video_of(name)))
    samples = _samples(stores, rows, labels, groups)
    if not len(samples):
        raise DataError(f"{faces}: no frame of {len(present)} annotated videos has both a face and a label")
    return samples, missing


def unlabelled_frames(faces: Path, annotations: Path, every: int) -> FaceSet | None:
    """Every n-th frame with a face and without a label of each annotated video; None when every frame has a label.

    faces, annotations, every: as in `labelled_frames`, which has the errors.
    """
    stores, rows = [], []
    for name, annotation in sorted(read_annotations(annotations).items()):
        path = faces / f"{name}{SUFFIX}"
        if not path.exists():
            continue
        store = open_faces(path)
        labelled, _ = _labelled_rows(store, annotation)
        found = np.setdiff1d(np.flatnonzero(store.valid), labelled)[::every]
        if len(found):
            stores.append(store)
            rows.append(found)
    labels = [np.full(len(found), UNLABELLED, dtype=np.int8) for found in rows]
    return _samples(stores, rows, labels, range(len(stores))) if stores else None


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
) -> FaceSet:
    """One set from several stores; each argument has one entry per store."""
    counts = [len(part) for part in rows]
    all_labels = np.concatenate(labels).astype(np.int64)
    return FaceSet(
        tuple(stores),
        np.repeat(np.arange(len(stores), dtype=np.int32), counts),
        np.concatenate(rows).astype(np.int64),
        all_labels,
        (all_labels[:, None] == np.arange(NUM_EXPRESSIONS)).astype(np.float32),
        np.repeat(np.array(groups, dtype=np.int32), counts),
    )


def without_photos_of(faces: FaceSet, others: FaceSet) -> FaceSet:
    """The samples whose photo, whatever its crop, is none of the photos of `others`."""
    photos = join([faces, others]).photos()
    return faces.take(~np.isin(photos[: len(faces)], photos[len(faces) :]))


def without_videos_of(faces: FaceSet, others: FaceSet) -> FaceSet:
    """The samples that are not from a video, whoever is seen in it, of which `others` has frames.

    Frames with soft labels (`abaw label-faces`) are in image sets whose source is the video.
    """
    used = [others.stores[index] for index in np.unique(others.store_index[others.groups >= 0])]
    videos = {video_of(store.store.path.stem) for store in used}
    names = [store.store.path.stem if store.is_video else str(store.meta.get("source")) for store in faces.stores]
    shared = [video_of(name) in videos for name in names]
    return faces.take(~np.array(shared)[faces.store_index])


def join(parts: Sequence[FaceSet]) -> FaceSet:
    """Join several sets; groups of different parts stay different. Raises DataError when there are no parts."""
    if not parts:
        raise DataError("no faces: give image sets or videos")
    stores: list[FaceStore] = []
    indices, groups = [], []
    first_group = 0
    for part in parts:
        indices.append(part.store_index + len(stores))
        groups.append(np.where(part.groups >= 0, part.groups + first_group, -1))
        stores += part.stores
        first_group += int(part.groups.max(initial=-1)) + 1
    return FaceSet(
        tuple(stores),
        np.concatenate(indices).astype(np.int32),
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.votes for part in parts]),
        np.concatenate(groups).astype(np.int32),
    )
