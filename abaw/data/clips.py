"""Features and labels of whole videos in memory.

Shapes: T time, C class, D feature.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from abaw.core.artifacts import utf8
from abaw.core.errors import ConfigError, DataError
from abaw.protocol.classes import NUM_ACTION_UNITS, NUM_EXPRESSIONS, UNLABELLED
from abaw.protocol.labels import count_other_labels
from abaw.protocol.layout import parse_subject


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """One video. T is the larger of its numbers of frames and annotation lines: neither tail is dropped.

    features: (T, D) float16, 0 where not present; present: (T,) a face was found; labels: (T,) int8, -1 for none. For
    other tasks, None when not requested: valence_arousal: (T, 2) float32, NaN for none; action_units: (T, 12) int8, 1
    on, 0 off, -1 for none.
    """

    name: str
    features: NDArray[np.float16]
    present: NDArray[np.bool_]
    labels: NDArray[np.int8]
    valence_arousal: NDArray[np.float32] | None = None
    action_units: NDArray[np.int8] | None = None

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
    """Videos with features of the same kind.

    backbone: `weights_id` of the static checkpoint that made them, joined by `+` for several sources; feature_dim: D;
    backbone_videos: names of the faces stores on which these checkpoints were trained.
    """

    clips: tuple[Clip, ...]
    backbone: str
    feature_dim: int
    backbone_videos: tuple[str, ...] = ()

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
        """16 hexadecimal digits that identify the videos, their lengths, faces and labels."""
        digest = hashlib.sha256()
        for clip in self.clips:
            digest.update(utf8(f"{clip.name} {len(clip)}\n"))
            digest.update(clip.labels.tobytes() + clip.present.tobytes())
            for values in (clip.valence_arousal, clip.action_units):
                digest.update(b"" if values is None else values.tobytes())
        return digest.hexdigest()[:16]

    def subset(self, clips: Sequence[Clip]) -> ClipSet:
        return replace(self, clips=tuple(clips))

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation, (D,) each, over all frames with a face. Raises DataError when there is none."""
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


def split_by_video(clips: ClipSet, fraction: float, generator: np.random.Generator) -> tuple[ClipSet, ClipSet]:
    """Split into (training, held-out) with no video in both; people of one video stay together.

    The best of 200 random choices is taken. What counts first is that every class is on both sides; then the class
    shares and the requested fraction of labelled frames. Without any expression label, the action units take the place
    of the classes. A video without such labels is never held out. Raises ConfigError
    when fewer than two videos have labels, or the fraction is not between 0 and 1.
    """
    if not 0 < fraction < 1:
        raise ConfigError(f"holdout {fraction}: expected a fraction between 0 and 1 of the training videos")
    video_of = [parse_subject(clip.name).video for clip in clips.clips]
    by_class = [clip.class_counts() for clip in clips.clips]
    by_other = [count_other_labels(clip.valence_arousal, clip.action_units) for clip in clips.clips]
    labelled = by_class if any(map(np.any, by_class)) else by_other
    videos = sorted({video for video, each in zip(video_of, labelled, strict=True) if each.any()})
    if len(videos) < 2:
        raise ConfigError(f"holdout {fraction} needs at least 2 annotated videos, found {len(videos)}; use --holdout 0")
    counts = np.zeros((len(videos), len(labelled[0])))
    for video, each in zip(video_of, labelled, strict=True):
        if each.any():
            counts[videos.index(video)] += each
    num_held = min(max(1, round(fraction * len(videos))), len(videos) - 1)
    choices = [generator.permutation(len(videos))[:num_held] for _ in range(200)]
    best = min(choices, key=lambda chosen: _mismatch(counts, chosen, fraction))
    held = {videos[index] for index in best}
    parts: tuple[list[Clip], list[Clip]] = ([], [])
    for video, clip in zip(video_of, clips.clips, strict=True):
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
