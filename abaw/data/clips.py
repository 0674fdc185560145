"""Features and labels of whole videos.

Shapes: T time, S source, C class, D feature.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from abaw.core.artifacts import utf8
from abaw.core.errors import ConfigError, DataError
from abaw.protocol.classes import NUM_ACTION_UNITS, NUM_EXPRESSIONS, UNLABELLED
from abaw.protocol.labels import count_other_labels
from abaw.protocol.layout import video_of
from abaw.stores.sources import FACE, Source, chosen_sources, joined_backbone
from abaw.stores.stored_features import StoredFeatures

_FramesOfSource = tuple[NDArray[np.float16] | StoredFeatures, NDArray[np.bool_]]
"""Features (T, D) and present (T,) of one source in one video."""


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """One video. T is the larger of its numbers of frames and annotation lines: neither tail is dropped.

    features: (T, D) float16, those of all sources side by side, 0 where not present, an array or left in the stores;
    present: (T, S) the frame has a
    feature of that source; face: (T,) it has a face, also where the sources in `features` do not depend on it; labels:
    (T,) int8, -1 for none; fps: frames per second, None when not recorded. For other tasks, None when not requested:
    valence_arousal: (T, 2) float32, NaN for none; action_units: (T, 12) int8, 1 on, 0 off, -1 for none.
    """

    name: str
    features: NDArray[np.float16] | StoredFeatures
    present: NDArray[np.bool_]
    face: NDArray[np.bool_]
    labels: NDArray[np.int8]
    valence_arousal: NDArray[np.float32] | None = None
    action_units: NDArray[np.int8] | None = None
    fps: float | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def labelled(self) -> NDArray[np.bool_]:
        """(T,) True where any task has a label."""
        known = self.labels > UNLABELLED
        if self.valence_arousal is not None:
            known = known | ~np.isnan(self.valence_arousal).any(axis=1)
        if self.action_units is not None:
            known = known | (self.action_units > UNLABELLED).any(axis=1)
        return known

    def class_counts(self) -> NDArray[np.int64]:
        """Labelled frames per class, (C,)."""
        return np.bincount(self.labels[self.labels > UNLABELLED], minlength=NUM_EXPRESSIONS)


@dataclass(frozen=True, slots=True, eq=False)
class ClipSet:
    """Videos with features of the same sources.

    sources: S, in the order of the features; trained_on: per source, the names of the stores from which its backbone
    has learned.
    """

    clips: tuple[Clip, ...]
    sources: tuple[Source, ...]
    trained_on: tuple[tuple[str, ...], ...] = ()

    @property
    def backbone(self) -> str:
        """The sources' backbones, joined by `+`."""
        return joined_backbone(self.sources)

    @property
    def feature_dim(self) -> int:
        """D, of all sources together."""
        return sum(source.dim for source in self.sources)

    @property
    def backbone_videos(self) -> tuple[str, ...]:
        """The names of the stores on which any of the backbones was trained."""
        return tuple(sorted({name for names in self.trained_on for name in names}))

    def class_counts(self) -> NDArray[np.int64]:
        """Labelled frames per class, (C,)."""
        counts: NDArray[np.int64] = np.sum([clip.class_counts() for clip in self.clips], axis=0)
        return counts

    def action_unit_counts(self) -> NDArray[np.int64]:
        """Frames in which each action unit is annotated as off and as on, (12, 2)."""
        counts = np.zeros((NUM_ACTION_UNITS, 2), dtype=np.int64)
        for clip in self.clips:
            if clip.action_units is not None:
                counts += np.stack([(clip.action_units == value).sum(axis=0) for value in (0, 1)], axis=1)
        return counts

    def fingerprint(self) -> str:
        """16 hexadecimal digits that identify the videos, their lengths, present features and labels."""
        digest = hashlib.sha256()
        for clip in self.clips:
            digest.update(utf8(f"{clip.name} {len(clip)}\n"))
            digest.update(clip.labels.tobytes() + clip.present.tobytes())
            for values in (clip.valence_arousal, clip.action_units):
                digest.update(b"" if values is None else values.tobytes())
        return digest.hexdigest()[:16]

    def features_fingerprint(self) -> str:
        """16 hexadecimal digits that identify the features of the videos."""
        digest = hashlib.sha256()
        for clip in self.clips:
            if isinstance(clip.features, StoredFeatures):
                digest.update(utf8(f"{clip.name} {clip.features.fingerprints}\n"))
            else:
                digest.update(utf8(f"{clip.name}\n") + clip.features.tobytes())
        return digest.hexdigest()[:16]

    def subset(self, clips: Sequence[Clip]) -> ClipSet:
        return replace(self, clips=tuple(clips))

    def using(self, choice: str | None) -> ClipSet:
        """With the chosen sources alone (see `chosen_sources`); what is known of faces stays.

        No features are copied, unless they are arrays and the sources do not adjoin. Raises ConfigError for a source
        that does not exist.
        """
        indices = list(chosen_sources(choice, [source.name for source in self.sources]))
        if len(indices) == len(self.sources):
            return self
        return ClipSet(
            tuple(
                replace(clip, features=self._features(clip, indices), present=clip.present[:, indices])
                for clip in self.clips
            ),
            tuple(self.sources[index] for index in indices),
            tuple(self.trained_on[index] for index in indices) if self.trained_on else (),
        )

    def statistics(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and standard deviation, (D,) each: per source over the frames that have it, 0 for a source without any.

        Raises DataError when no frame has any source.
        """
        if not any(clip.present.any() for clip in self.clips):
            missing = "shows a face" if all(source.modality == FACE for source in self.sources) else "has a feature"
            raise DataError(f"no frame of the training videos {missing}: there is nothing to learn from")
        parts = [
            _statistics([(self._features(clip, [index]), clip.present[:, index]) for clip in self.clips])
            for index in range(len(self.sources))
        ]
        mean, deviation = (np.concatenate(each) for each in zip(*parts, strict=True))
        return mean.astype(np.float32), deviation.astype(np.float32)

    def _features(self, clip: Clip, indices: Sequence[int]) -> NDArray[np.float16] | StoredFeatures:
        """Those of some sources alone; indices: rising."""
        if isinstance(clip.features, StoredFeatures):
            return clip.features.of_sources(indices)
        return clip.features[:, source_columns(self.sources, indices)]


def source_columns(sources: Sequence[Source], indices: Sequence[int]) -> slice | NDArray[np.int64]:
    """The columns of the features of some sources: a slice, of which numpy makes no copy, where the sources adjoin.

    sources: all sources in the features; indices: of those wanted, rising.
    """
    starts = np.cumsum([0, *(source.dim for source in sources)])
    if indices[-1] - indices[0] == len(indices) - 1:
        return slice(int(starts[indices[0]]), int(starts[indices[-1] + 1]))
    return np.concatenate([np.arange(starts[index], starts[index + 1]) for index in indices])


def _statistics(parts: Sequence[_FramesOfSource]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of one source, (D,) each, 0 where no frame has it. parts: of each video."""
    count = max(1, sum(int(present.sum()) for _, present in parts))
    mean = np.sum([features[:][present].sum(axis=0, dtype=np.float64) for features, present in parts], axis=0) / count
    variance = np.sum([_squares(features[:][present], mean) for features, present in parts], axis=0) / count
    return mean, np.sqrt(variance)


def _squares(features: NDArray[np.float16], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = features.astype(np.float32) - mean.astype(np.float32)
    squares: NDArray[np.float64] = np.square(centred).sum(axis=0, dtype=np.float64)
    return squares


def label_counts(clips: Sequence[Clip]) -> list[NDArray[np.int64]]:
    """Labelled frames of each video, to balance parts of a set: per class, or, without any expression label, per action
    unit and with valence and arousal (`count_other_labels`)."""
    by_class = [clip.class_counts() for clip in clips]
    if any(map(np.any, by_class)):
        return by_class
    return [count_other_labels(clip.valence_arousal, clip.action_units) for clip in clips]


def split_by_video(clips: ClipSet, fraction: float, generator: np.random.Generator) -> tuple[ClipSet, ClipSet]:
    """Split into (training, held-out) with no video in both; people of one video stay together.

    The best of 200 random choices is taken. What counts first is that every class is on both sides; then the class
    shares and the requested fraction of labelled frames. Without any expression label, the action units take the place
    of the classes. A video without such labels is never held out. Raises ConfigError
    when fewer than two videos have labels, or the fraction is not between 0 and 1.
    """
    if not 0 < fraction < 1:
        raise ConfigError(f"holdout {fraction}: expected a fraction between 0 and 1 of the training videos")
    of_clip = [video_of(clip.name) for clip in clips.clips]
    labelled = label_counts(clips.clips)
    videos = sorted({video for video, each in zip(of_clip, labelled, strict=True) if each.any()})
    if len(videos) < 2:
        raise ConfigError(f"holdout {fraction} needs at least 2 annotated videos, found {len(videos)}; use --holdout 0")
    counts = np.zeros((len(videos), len(labelled[0])))
    for video, each in zip(of_clip, labelled, strict=True):
        if each.any():
            counts[videos.index(video)] += each
    num_held = min(max(1, round(fraction * len(videos))), len(videos) - 1)
    choices = [generator.permutation(len(videos))[:num_held] for _ in range(200)]
    best = min(choices, key=lambda chosen: _mismatch(counts, chosen, fraction))
    held = {videos[index] for index in best}
    parts: tuple[list[Clip], list[Clip]] = ([], [])
    for video, clip in zip(of_clip, clips.clips, strict=True):
        parts[video in held].append(clip)
    return clips.subset(parts[0]), clips.subset(parts[1])


def _mismatch(counts: NDArray[np.float64], chosen: NDArray[np.int64], fraction: float) -> float:
    """How badly the chosen videos represent all of them; 0 is best. counts: (videos, classes or other labels)."""
    whole = counts.sum(axis=0)
    held = counts[chosen].sum(axis=0)
    missing = ((held == 0) | (held == whole)) & (whole > 0)
    shares = np.abs(held / max(held.sum(), 1) - whole / max(whole.sum(), 1)).sum()
    size = abs(held.sum() / max(whole.sum(), 1) - fraction)
    return float(10 * missing.sum() + shares + size)
