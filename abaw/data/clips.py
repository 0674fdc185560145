"""Features and labels of whole videos in memory, and windows cut from them for training.

Shapes: B batch, T time, C class, D feature.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from abaw.core.errors import ConfigError, DataError
from abaw.core.progress import Progress, silent
from abaw.protocol.annotations import Annotation
from abaw.protocol.classes import NUM_EXPRESSIONS, UNLABELLED
from abaw.protocol.layout import parse_subject
from abaw.stores.arrow import StoreError
from abaw.stores.features import FeatureStore, open_features

_NAMES_SHOWN = 8


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """One video. T covers its frames and its annotation lines, whichever are more: neither tail is dropped.

    features: (T, D) float16, zeros where not present; present: (T,) a face was found; labels: (T,) int8, -1 for none.
    """

    name: str
    features: NDArray[np.float16]
    present: NDArray[np.bool_]
    labels: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def has_labels(self) -> bool:
        return bool((self.labels > UNLABELLED).any())

    def class_counts(self) -> NDArray[np.int64]:
        """(C,) annotated frames of each class."""
        return np.bincount(self.labels[self.labels > UNLABELLED], minlength=NUM_EXPRESSIONS)


@dataclass(frozen=True, slots=True, eq=False)
class ClipSet:
    """Videos whose features one backbone made. backbone: `weights_id` of its checkpoint; feature_dim: D."""

    clips: tuple[Clip, ...]
    backbone: str
    feature_dim: int

    def class_counts(self) -> NDArray[np.int64]:
        """(C,) annotated frames of each class."""
        counts: NDArray[np.int64] = np.sum([clip.class_counts() for clip in self.clips], axis=0)
        return counts

    def fingerprint(self) -> str:
        """16 digits that stand for the videos, their lengths, faces and labels."""
        digest = hashlib.sha256()
        for clip in self.clips:
            digest.update(f"{clip.name} {len(clip)}\n".encode())
            digest.update(clip.labels.tobytes() + clip.present.tobytes())
        return digest.hexdigest()[:16]

    def subset(self, clips: Sequence[Clip]) -> ClipSet:
        return ClipSet(tuple(clips), self.backbone, self.feature_dim)

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (D,) of the features of all frames with a face. Raises DataError without one."""
        count = sum(int(clip.present.sum()) for clip in self.clips)
        if count == 0:
            raise DataError("no frame of the training videos shows a face: there is nothing to learn from")
        mean = sum(clip.features[clip.present].sum(axis=0, dtype=np.float64) for clip in self.clips) / count
        variance = sum(_squares(clip, mean) for clip in self.clips) / count
        return torch.tensor(mean, dtype=torch.float32), torch.tensor(np.sqrt(variance), dtype=torch.float32)


def _squares(clip: Clip, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = clip.features[clip.present].astype(np.float32) - mean.astype(np.float32)
    squares: NDArray[np.float64] = np.square(centred).sum(axis=0, dtype=np.float64)
    return squares


def check_frames(store: FeatureStore) -> None:
    """Raise StoreError unless the rows are the frames 1, 2, …, T: labels are matched to rows by place."""
    if not np.array_equal(store.frames, np.arange(1, len(store) + 1)):
        raise StoreError(
            f"{store.store.path}: expected a row for each frame, 1 to {len(store)}; write it again with `abaw features`"
        )


def read_clips(
    stores: Sequence[Path], annotations: Mapping[str, Annotation], progress: Progress = silent
) -> tuple[ClipSet, list[str]]:
    """Read the features of every annotated video once, with its labels; names must be equal (`<name>.arrow`, `.txt`).

    Returns the clips and warnings: annotations without a store, stores without an annotation, lengths that differ.
    Raises DataError when no name matches, and StoreError when a store is damaged or two backbones made the stores.
    """
    paths = {path.stem: path for path in stores}
    names = [name for name in paths if name in annotations]
    if not names:
        raise DataError(
            f"no annotation matches a feature store: the annotations are of {_some(list(annotations))}; "
            f"the stores are of {_some(list(paths))}; give the --features and --annotations of the same videos"
        )
    opened = [open_features(paths[name]) for name in names]
    _require_one_backbone(opened)
    clips = []
    for index, store in enumerate(opened):
        clips.append(_read_clip(store, annotations[store.name]))
        progress(index + 1, len(opened))
    warnings = _unmatched(paths, annotations) + _odd_lengths(opened, annotations)
    return ClipSet(tuple(clips), opened[0].backbone, opened[0].feature_dim), warnings


def _require_one_backbone(stores: Sequence[FeatureStore]) -> None:
    first = stores[0]
    for store in stores[1:]:
        if (store.backbone, store.feature_dim) != (first.backbone, first.feature_dim):
            raise StoreError(
                f"{store.store.path}: made by backbone {store.backbone} ({store.feature_dim} features), but "
                f"{first.store.path.name} by {first.backbone} ({first.feature_dim}); "
                "write all of them with one checkpoint (`abaw features`)"
            )


def _read_clip(store: FeatureStore, annotation: Annotation) -> Clip:
    check_frames(store)
    num_frames = max(len(store), len(annotation.labels))
    features = np.zeros((num_frames, store.feature_dim), dtype=np.float16)
    features[: len(store)] = store.features()
    present = np.zeros(num_frames, dtype=np.bool_)
    present[: len(store)] = store.valid
    return Clip(store.name, features, present, annotation.for_frames(num_frames))


def _unmatched(paths: Mapping[str, Path], annotations: Mapping[str, Annotation]) -> list[str]:
    without_store = [name for name in annotations if name not in paths]
    without_labels = [name for name in paths if name not in annotations]
    warnings = []
    if without_store:
        warnings.append(f"{len(without_store)} annotation files have no feature store: {_some(without_store)}")
    if without_labels:
        warnings.append(
            f"{len(without_labels)} feature stores have no annotation here and are not used: {_some(without_labels)}"
        )
    return warnings


def _odd_lengths(stores: Sequence[FeatureStore], annotations: Mapping[str, Annotation]) -> list[str]:
    extra = {store.name: len(annotations[store.name].labels) - len(store) for store in stores}
    odd = [f"{name} {lines:+d}" for name, lines in extra.items() if lines]
    if not odd:
        return []
    return [
        f"{len(odd)} label files are longer (+) or shorter (-) than their video: {_some(odd)}; frames without a line "
        "count as not labelled, lines without a frame as frames without a face"
    ]


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN])
    return f"{shown} and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else shown


def split_by_video(clips: ClipSet, fraction: float, generator: np.random.Generator) -> tuple[ClipSet, ClipSet]:
    """Split into (training, held-out) so that no video is in both; the two people of one video stay together.

    Of 200 random choices the one is taken whose held-out part looks most like the whole: every class on both sides
    before anything else, then the class shares and the wanted fraction of labelled frames. A video without a label is
    never held out. Raises ConfigError when there are fewer than two videos or the fraction is not between 0 and 1.
    """
    if not 0 < fraction < 1:
        raise ConfigError(f"holdout {fraction}: expected a fraction between 0 and 1 of the training videos")
    video_of = [parse_subject(clip.name).video for clip in clips.clips]
    videos = sorted({video for video, clip in zip(video_of, clips.clips, strict=True) if clip.has_labels})
    if len(videos) < 2:
        raise ConfigError(f"holdout {fraction} needs at least 2 annotated videos, found {len(videos)}; use --holdout 0")
    counts = np.zeros((len(videos), NUM_EXPRESSIONS))
    for video, clip in zip(video_of, clips.clips, strict=True):
        if clip.has_labels:
            counts[videos.index(video)] += clip.class_counts()
    num_held = min(max(1, round(fraction * len(videos))), len(videos) - 1)
    choices = [generator.permutation(len(videos))[:num_held] for _ in range(200)]
    best = min(choices, key=lambda chosen: _unlikeness(counts, chosen, fraction))
    held = {videos[index] for index in best}
    parts: tuple[list[Clip], list[Clip]] = ([], [])
    for video, clip in zip(video_of, clips.clips, strict=True):
        parts[video in held].append(clip)
    return clips.subset(parts[0]), clips.subset(parts[1])


def _unlikeness(counts: NDArray[np.float64], chosen: NDArray[np.int64], fraction: float) -> float:
    """counts: (videos, C). How badly the chosen videos stand for all of them; 0 is best."""
    whole = counts.sum(axis=0)
    held = counts[chosen].sum(axis=0)
    missing = ((held == 0) | (held == whole)) & (whole > 0)
    shares = np.abs(held / max(held.sum(), 1) - whole / max(whole.sum(), 1)).sum()
    size = abs(held.sum() / max(whole.sum(), 1) - fraction)
    return float(10 * missing.sum() + shares + size)


class WindowBatch(NamedTuple):
    """Windows of B videos. features: (B, T, D) float16; present: (B, T) a face was found; inside: (B, T) no padding;
    labels: (B, T) int64, -1 for none and for padding; ids: `video:first frame` of each."""

    features: Tensor
    present: Tensor
    inside: Tensor
    labels: Tensor
    ids: tuple[str, ...]


class WindowSampler:
    """Draws training windows, each around a labelled frame, so that no window is without a label.

    length: frames a window; batch_size: B; by: `frame` draws every labelled frame equally often, `class` draws a class
    first and then one of its frames. A video shorter than a window is padded.
    Raises DataError when no frame is labelled.
    """

    def __init__(self, clips: ClipSet, length: int, batch_size: int, by: Literal["frame", "class"]) -> None:
        self._clips, self._length, self._batch_size = clips.clips, length, batch_size
        self._ends = np.cumsum([len(clip) for clip in clips.clips])
        labels = np.concatenate([clip.labels for clip in clips.clips])
        groups = [labels > UNLABELLED] if by == "frame" else [labels == index for index in range(NUM_EXPRESSIONS)]
        self._frames = [frames for frames in map(np.flatnonzero, groups) if len(frames)]
        if not self._frames:
            raise DataError("no frame of the training videos is labelled: there is nothing to learn from")

    def __call__(self, generator: np.random.Generator) -> WindowBatch:
        """A batch that depends on the generator's state alone."""
        return _stack([self._draw(generator) for _ in range(self._batch_size)], self._length)

    def _draw(self, generator: np.random.Generator) -> tuple[Clip, int]:
        """A video and the first frame of the window in it."""
        frames = self._frames[generator.integers(len(self._frames))]
        place = int(frames[generator.integers(len(frames))])
        index = int(np.searchsorted(self._ends, place, side="right"))
        clip = self._clips[index]
        frame = place - (int(self._ends[index]) - len(clip))
        start = frame - int(generator.integers(self._length))
        return clip, min(max(start, 0), max(0, len(clip) - self._length))


def _stack(windows: Sequence[tuple[Clip, int]], length: int) -> WindowBatch:
    shape = (len(windows), length)
    features = np.zeros((*shape, windows[0][0].features.shape[1]), dtype=np.float16)
    present, inside = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
    labels = np.full(shape, UNLABELLED, dtype=np.int64)
    for row, (clip, start) in enumerate(windows):
        part = slice(start, start + length)
        size = len(clip.labels[part])
        features[row, :size] = clip.features[part]
        present[row, :size] = clip.present[part]
        labels[row, :size] = clip.labels[part]
        inside[row, :size] = True
    ids = tuple(f"{clip.name}:{start + 1}" for clip, start in windows)
    return WindowBatch(
        torch.from_numpy(features),
        torch.from_numpy(present),
        torch.from_numpy(inside),
        torch.from_numpy(labels),
        ids,
    )
