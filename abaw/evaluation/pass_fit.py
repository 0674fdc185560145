"""The fit of a hidden Markov pass: its WEIGHT and one bias per class, which together maximise macro F1.

Every value tried needs a pass over all videos. To make it cheap, neighbouring frames are pooled into blocks: their
evidence is summed, and the transitions are those of as many frames. Long videos are cut into pieces, which are
processed in parallel. The result is applied to frames, without these simplifications.
Shapes: T time, N blocks, P pieces, L blocks per piece, C class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.evaluation.metrics import Floats, macro_f1_of
from abaw.evaluation.selection import GRID, fit_class_bias
from abaw.protocol.classes import UNLABELLED
from abaw.sequence.hmm import Transitions
from abaw.sequence.hmm_batch import posterior_batch, viterbi_batch
from abaw.sequence.smooth import Smoothing, log_evidence

MAX_BLOCKS = 1 << 17
"""The largest number of blocks kept: 8 MB with eight classes."""

WEIGHTS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64)
"""The values of WEIGHT from which the search starts, at the frame rate of the transitions."""

_PIECE = 512
_LARGE_STEPS = (1.0, 0.5)
_SMALL_STEPS = (0.25,)
_ROUNDS = 3
_STARTS = 2
_MIN_GAIN = 1e-4


@dataclass(frozen=True, slots=True)
class _Blocks:
    """The blocks of one video. logs: (N, C) sums of log probabilities; sizes: (N,) frames; counts: (N, C) frames
    labelled with each class."""

    logs: NDArray[np.float32]
    sizes: NDArray[np.float32]
    counts: NDArray[np.float32]
    fold: int
    fps: float | None

    def halved(self) -> _Blocks:
        starts = np.arange(0, len(self.sizes), 2)
        logs, sizes, counts = (
            np.add.reduceat(values, starts, axis=0) for values in (self.logs, self.sizes, self.counts)
        )
        return replace(self, logs=logs, sizes=sizes, counts=counts)


class PooledVideos:
    """Videos with labels, as blocks of neighbouring frames; when there are too many blocks, two become one.

    frames: per block, a power of 2.
    """

    def __init__(self, max_blocks: int = MAX_BLOCKS) -> None:
        self.frames = 1
        self._max_blocks = max_blocks
        self._videos: list[_Blocks] = []

    def add(self, probs: NDArray[np.floating], labels: NDArray[np.integer], fold: int, fps: float | None) -> None:
        """Add one video. probs: (T, C), without gaps; labels: up to T, -1 for none."""
        if not len(probs):
            return
        counts = np.zeros(probs.shape, np.float32)
        known = np.flatnonzero(labels > UNLABELLED)
        counts[known, labels[known]] = 1
        logs = log_evidence(probs, np.zeros(probs.shape[1]), 1).astype(np.float32)
        video = _Blocks(logs, np.ones(len(probs), np.float32), counts, fold, fps)
        for _ in range(self.frames.bit_length() - 1):
            video = video.halved()
        self._videos.append(video)
        while sum(len(each.sizes) for each in self._videos) > max(self._max_blocks, len(self._videos)):
            self.frames *= 2
            self._videos = [each.halved() for each in self._videos]

    def fit(self, smoothing: Smoothing, without_fold: int | None = None) -> Smoothing:
        """Fit WEIGHT and bias of a pass on the videos, or on those outside a fold. The bias of the first class is 0.

        The search starts from several weights, and from no bias and the one that is best for single blocks. From the
        best of these it moves one number at a time, as long as macro F1 rises: in large steps on blocks of four times
        the size, then in small ones. The WEIGHT is that at the frame rate of the transitions. smoothing: `viterbi` or
        `forward_backward`; its WEIGHT is one of the starts. Raises DataError when no frame is annotated.
        """
        videos = [video for video in self._videos if video.fold != without_fold]
        if not any(video.counts.any() for video in videos):
            raise DataError("no frame is annotated with a class: there is no class bias to fit; give annotated videos")
        larger = [video.halved().halved() for video in videos]
        coarse, fine = _Score(larger, smoothing, 4 * self.frames), _Score(videos, smoothing, self.frames)
        biases = (np.zeros(videos[0].logs.shape[1]), _bias_of_blocks(larger))
        weights = sorted({*WEIGHTS, smoothing.value})
        starts = [np.array([*bias, np.log2(weight)]) for bias in biases for weight in weights]
        ranked = sorted(starts, key=coarse, reverse=True)
        best = max((_climb(coarse, start, _LARGE_STEPS) for start in ranked[:_STARTS]), key=fine)
        best = _climb(fine, best, _SMALL_STEPS)
        return replace(smoothing, value=_rounded(2 ** best[-1])).biased(best[:-1])


@dataclass(frozen=True, slots=True)
class _Pieces:
    """Pieces of videos of one frame rate, the longest first. logs: (P, L, C) and sizes: (P, L, 1), times the frame rate
    of the transitions over that of the videos, which makes the evidence of a second the same at all rates; counts: (P,
    L, C); lengths: (P,) blocks; transitions: from block to block."""

    logs: NDArray[np.float32]
    sizes: NDArray[np.float32]
    counts: NDArray[np.float32]
    lengths: NDArray[np.int64]
    transitions: Transitions


def _pieces(videos: Sequence[_Blocks], transitions: Transitions, frames: int) -> _Pieces:
    """frames: per block."""
    fps = videos[0].fps
    rate = transitions.fps / fps if transitions.fps and fps else 1.0
    chain = transitions.at(fps)
    parts = [(video, slice(start, start + _PIECE)) for video in videos for start in range(0, len(video.sizes), _PIECE)]
    parts = sorted(parts, key=lambda part: -len(part[0].sizes[part[1]]))
    lengths = np.array([len(video.sizes[part]) for video, part in parts])

    def padded(rows: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        whole = np.zeros((len(rows), int(lengths[0]), rows[0].shape[1]), np.float32)
        for place, row in zip(whole, rows, strict=True):
            place[: len(row)] = row
        return whole

    return _Pieces(
        rate * padded([video.logs[part] for video, part in parts]),
        rate * padded([video.sizes[part, None] for video, part in parts]),
        padded([video.counts[part] for video, part in parts]),
        lengths,
        Transitions(chain.initial, np.linalg.matrix_power(chain.matrix, frames)),
    )


class _Score:
    """Macro F1 of a pass with values (C + 1,): the biases and log2 of WEIGHT. Values are tried once."""

    def __init__(self, videos: Sequence[_Blocks], smoothing: Smoothing, frames: int) -> None:
        assert smoothing.transitions is not None
        self._backward = smoothing.name == "forward_backward"
        rates = dict.fromkeys(video.fps for video in videos)
        by_rate = [[video for video in videos if video.fps == fps] for fps in rates]
        self._parts = [_pieces(each, smoothing.transitions, frames) for each in by_rate]
        self._known: dict[bytes, float] = {}

    def __call__(self, values: Floats) -> float:
        key = values.tobytes()
        if key not in self._known:
            self._known[key] = self._macro_f1(values[:-1], 2 ** values[-1])
        return self._known[key]

    def _macro_f1(self, bias: Floats, weight: float) -> float:
        confusion = np.zeros((len(bias), len(bias)))
        for part in self._parts:
            evidence = weight * (part.logs + part.sizes * bias)
            if self._backward:
                predicted = posterior_batch(evidence, part.lengths, part.transitions).argmax(axis=-1)
            else:
                predicted = viterbi_batch(evidence, part.lengths, part.transitions)
            confusion += part.counts.reshape(-1, len(bias)).T @ np.eye(len(bias))[predicted.ravel()]
        return float(macro_f1_of(confusion))


def _bias_of_blocks(videos: Sequence[_Blocks]) -> Floats:
    """The bias (C,) that is best for single blocks."""
    names = ("logs", "sizes", "counts")
    logs, sizes, counts = (np.concatenate([getattr(video, name) for video in videos]) for name in names)
    means = logs / sizes[:, None]
    probs = np.exp(means - means.max(axis=1, keepdims=True))
    labels = np.where(counts.any(axis=1), counts.argmax(axis=1), UNLABELLED)
    return fit_class_bias(probs / probs.sum(axis=1, keepdims=True), labels)


def _climb(score: _Score, start: Floats, steps: Sequence[float]) -> Floats:
    best = start
    for step in steps:
        for _ in range(_ROUNDS):
            before = score(best)
            for index in range(1, len(best)):
                best = max((best, *(_moved(best, index, change) for change in (step, -step))), key=score)
            if score(best) <= before + _MIN_GAIN:
                break
    return best


def _moved(values: Floats, index: int, change: float) -> Floats:
    moved = values.copy()
    moved[index] = values[index] + change
    if index < len(values) - 1:
        moved[index] = np.clip(moved[index], GRID[0], GRID[-1])
    return moved


def _rounded(weight: float) -> float:
    """To three digits: what is printed is what was fitted."""
    return float(f"{weight:.3g}")
