"""Training batches: windows cut from videos.

Shapes: B batch, T time, S source, C class, D feature.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from abaw.core.data_parallel import WHOLE, Part
from abaw.core.errors import DataError
from abaw.data.clips import Clip, ClipSet
from abaw.protocol.classes import NUM_EXPRESSIONS, UNLABELLED


class WindowBatch(NamedTuple):
    """B windows. features: (B, T, D) float16; present: (B, T, S) the frame has a feature of that source; inside: (B, T)
    False for padding; labels: (B, T) int64, -1 for none and for padding; ids: `video:first frame` of each window. For
    other tasks, None when not requested: valence_arousal: (B, T, 2), NaN for none; action_units: (B, T, 12) int8, -1
    for none."""

    features: Tensor
    present: Tensor
    inside: Tensor
    labels: Tensor
    ids: tuple[str, ...]
    valence_arousal: Tensor | None = None
    action_units: Tensor | None = None


class WindowSampler:
    """Draws training windows, each around a labelled frame: every window has a label.

    length: frames per window; batch_size: B; by: `frame` draws all labelled frames equally often, `class` first draws a
    class and then one of its frames. Frames with labels only for other tasks are drawn in proportion to their share of
    the labelled frames. A video shorter than a window is padded. Raises DataError when no frame is labelled.
    """

    def __init__(self, clips: ClipSet, length: int, batch_size: int, by: Literal["frame", "class"]) -> None:
        self._clips, self._length, self._batch_size = clips.clips, length, batch_size
        self._ends = np.cumsum([len(clip) for clip in clips.clips])
        labels = np.concatenate([clip.labels for clip in clips.clips])
        known = np.concatenate([clip.labelled() for clip in clips.clips])
        if not known.any():
            raise DataError("no frame of the training videos is labelled: there is nothing to learn from")
        classes = (
            [known & (labels > UNLABELLED)] if by == "frame" else [labels == each for each in range(NUM_EXPRESSIONS)]
        )
        self._classes = [frames for frames in map(np.flatnonzero, classes) if len(frames)]
        self._others = np.flatnonzero(known & (labels == UNLABELLED))
        self._other_share = len(self._others) / int(known.sum())

    def __call__(self, generator: np.random.Generator, part: Part = WHOLE) -> WindowBatch:
        """A part, of B windows, of a batch that depends only on the generator's state and the number of parts."""
        windows = [self._draw(generator) for _ in range(self._batch_size * part.count)]
        return _stack(windows[part.of(self._batch_size)], self._length)

    def class_counts(self, generator: np.random.Generator, draws: int) -> NDArray[np.int64]:
        """Labelled frames of each class, (C,), in `draws` windows."""
        counts = np.zeros(NUM_EXPRESSIONS, dtype=np.int64)
        for _ in range(draws):
            clip, start = self._draw(generator)
            labels = clip.labels[start : start + self._length]
            counts += np.bincount(labels[labels > UNLABELLED], minlength=NUM_EXPRESSIONS)
        return counts

    def _draw(self, generator: np.random.Generator) -> tuple[Clip, int]:
        """A video and the first frame, from 0, of a window in it."""
        other = self._other_share > 0 and generator.random() < self._other_share
        frames = self._others if other else self._classes[generator.integers(len(self._classes))]
        position = int(frames[generator.integers(len(frames))])  # among the frames of all videos
        index = int(np.searchsorted(self._ends, position, side="right"))
        clip = self._clips[index]
        frame = position - (int(self._ends[index]) - len(clip))
        start = frame - int(generator.integers(self._length))
        return clip, min(max(start, 0), max(0, len(clip) - self._length))


def _stack(windows: Sequence[tuple[Clip, int]], length: int) -> WindowBatch:
    parts = [(clip, slice(start, start + length)) for clip, start in windows]
    return WindowBatch(
        _padded([clip.features[part] for clip, part in parts], length, 0),
        _padded([clip.present[part] for clip, part in parts], length, False),
        _padded([np.ones_like(clip.face[part]) for clip, part in parts], length, False),
        _padded([clip.labels[part] for clip, part in parts], length, UNLABELLED).long(),
        tuple(f"{clip.name}:{start + 1}" for clip, start in windows),
        _padded_optional([(clip.valence_arousal, part) for clip, part in parts], length, np.nan),
        _padded_optional([(clip.action_units, part) for clip, part in parts], length, UNLABELLED),
    )


def _padded_optional(parts: Sequence[tuple[NDArray[Any] | None, slice]], length: int, filler: float) -> Tensor | None:
    present = [values[part] for values, part in parts if values is not None]
    return _padded(present, length, filler) if present else None


def _padded(parts: Sequence[NDArray[Any]], length: int, filler: float) -> Tensor:
    """(B, length, …) from pieces of at most that length."""
    whole = np.full((len(parts), length, *parts[0].shape[1:]), filler, dtype=parts[0].dtype)
    for row, values in enumerate(parts):
        whole[row, : len(values)] = values
    return torch.from_numpy(whole)
