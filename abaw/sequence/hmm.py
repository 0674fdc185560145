"""Hidden Markov passes over the frames of one video: the most likely path of classes, and the posterior of each frame.

The class is the hidden state, and a model's prediction for a frame is its evidence. Both passes are exact and take
O(T · C³) in about 4 √T numpy steps. The video is cut into about √T blocks, which are processed in parallel: first for
every class before the block; then the blocks are joined; then each block is processed again for its actual class.
Shapes: T time, C class, B blocks, L frames per block.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import ConfigError, DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Transitions:
    """The probabilities of classes following each other from one frame to the next.

    initial: (C,) probability of each class at the first frame, which is also its share of all frames; matrix: (C, C)
    from row to column, rows sum to 1. All are above 0: unseen transitions are unlikely, not impossible. fps: frames per
    second at which they were counted, None when unknown. Raises DataError for any other values.
    """

    initial: Floats
    matrix: Floats
    fps: float | None = None

    def __post_init__(self) -> None:
        if self.fps is not None and not 0 < self.fps < math.inf:
            raise DataError(f"transitions: counted at {self.fps:g} frames per second; expected a number above 0")
        num = len(self.initial)
        if num == 0 or self.matrix.shape != (num, num):
            raise DataError(f"transitions: expected ({num}, {num}) for {num} classes, found {self.matrix.shape}")
        for what, values in (("initial", self.initial), ("matrix", self.matrix)):
            if not ((values > 0).all() and np.allclose(values.sum(axis=-1), 1)):
                raise DataError(f"transitions: {what} must hold probabilities above 0 that sum to 1")

    @property
    def num_classes(self) -> int:
        return len(self.initial)

    def at(self, fps: float | None) -> Transitions:
        """The same chain at another frame rate; unchanged when either rate is unknown.

        A class lasts for a given time with the same probability at every rate, and the same classes follow it.
        """
        if self.fps is None or fps is None or self.num_classes == 1:
            return self
        others = self.matrix * (1 - np.eye(self.num_classes))
        leave = others.sum(axis=1, keepdims=True)
        new_leave = -np.expm1(self.fps / fps * np.log1p(-leave))
        return Transitions(self.initial, others * (new_leave / leave) + np.diag(1 - new_leave[:, 0]), fps)


def count_transitions(
    labels: Iterable[NDArray[np.integer]], num_classes: int, smoothing: float = 1.0, fps: float | None = None
) -> Transitions:
    """Count how often each class follows another in the labels of several videos.

    labels: (T,) per video, -1 for none, which breaks the chain; smoothing: added to every count; fps: frame rate of the
    videos, None when unknown. `initial` is the share of each class among all labelled frames. Raises ConfigError when
    the smoothing is not above 0, and DataError when no two neighbouring frames have labels.
    """
    if not smoothing > 0:
        raise ConfigError(f"smoothing of transition counts is {smoothing:g}; expected more than 0")
    pairs = np.zeros(num_classes * num_classes)
    frames = np.zeros(num_classes)
    for video in labels:
        values = video.astype(np.int64)
        frames += np.bincount(values[values >= 0], minlength=num_classes)
        both = (values[:-1] >= 0) & (values[1:] >= 0)
        pairs += np.bincount(values[:-1][both] * num_classes + values[1:][both], minlength=num_classes**2)
    if not pairs.any():
        raise DataError("transitions: no two neighbouring frames are labelled; give the annotations of whole videos")
    matrix = pairs.reshape(num_classes, num_classes) + smoothing
    initial = frames + smoothing
    return Transitions(initial / initial.sum(), matrix / matrix.sum(axis=1, keepdims=True), fps)


def viterbi(log_evidence: Floats, transitions: Transitions) -> NDArray[np.int8]:
    """The most likely path of classes, (T,).

    log_evidence: (T, C), finite. Raises DataError when it is not finite or its number of classes is not that of the
    transitions.
    """
    evidence = _checked(log_evidence, transitions)
    if len(evidence) == 0:
        return np.zeros(0, dtype=np.int8)
    steps = np.log(transitions.matrix)
    start = np.log(transitions.initial) + evidence[0]
    blocks, inside = _blocks(evidence[1:])
    if not len(blocks):
        return np.array([start.argmax()], dtype=np.int8)
    entered, left = _join_best(start, _best_through(blocks, inside, steps))
    inner = _best_inside(blocks, inside, steps, entered, left)
    return np.concatenate([entered[:1], inner.reshape(-1)[: len(evidence) - 1]]).astype(np.int8)


def forward_backward(log_evidence: Floats, transitions: Transitions) -> Floats:
    """The probability of each class at each frame, given the evidence of all frames, (T, C).

    log_evidence: (T, C), finite. Raises DataError as `viterbi` does.
    """
    evidence = _checked(log_evidence, transitions)
    if len(evidence) == 0:
        return evidence
    scaled = np.exp(evidence - evidence.max(axis=1, keepdims=True))
    start = _normalised(transitions.initial * scaled[0])
    blocks, inside = _blocks(scaled[1:])
    if not len(blocks):
        return start[None]
    alphas, betas = _join_sums(start, *_sum_through(blocks, inside, transitions.matrix))
    before = _forward_inside(blocks, inside, transitions.matrix, alphas)
    after = _backward_inside(blocks, inside, transitions.matrix, betas)
    inner = _normalised(before * after).reshape(-1, evidence.shape[1])[: len(evidence) - 1]
    after_first = transitions.matrix @ (blocks[0, 0] * after[0, 0])
    return np.concatenate([_normalised(start * after_first)[None], inner])


def _checked(log_evidence: Floats, transitions: Transitions) -> Floats:
    if log_evidence.ndim != 2 or log_evidence.shape[1] != transitions.num_classes:
        raise DataError(
            f"transitions of {transitions.num_classes} classes do not fit evidence of shape {log_evidence.shape}"
        )
    finite = np.isfinite(log_evidence).all(axis=1)
    if not finite.all():
        raise DataError(
            f"the log evidence of frame {int(finite.argmin()) + 1} is not finite: no class may have a probability of 0"
        )
    return log_evidence.astype(np.float64)


def _blocks(frames: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Frames (T, C) as blocks (B, L, C), padded with zeros, and a mask (B, L), False for padding."""
    num_frames, num_classes = frames.shape
    length = max(1, math.isqrt(num_frames))
    num_blocks = -(-num_frames // length)
    blocks = np.zeros((num_blocks * length, num_classes))
    blocks[:num_frames] = frames
    inside = np.arange(num_blocks * length) < num_frames
    return blocks.reshape(num_blocks, length, num_classes), inside.reshape(num_blocks, length)


def _normalised(values: Floats) -> Floats:
    normalised: Floats = values / values.sum(axis=-1, keepdims=True)
    return normalised


def _best_through(blocks: Floats, inside: NDArray[np.bool_], steps: Floats) -> Floats:
    """The best log score of a path through each block from class i before it to class j at its end, (B, C, C)."""
    num_blocks, length, num = blocks.shape
    best = np.where(np.eye(num, dtype=bool), 0.0, -np.inf) * np.ones((num_blocks, 1, 1))
    for place in range(length):
        onward = best[:, :, :1] + steps[0]
        for state in range(1, num):
            np.maximum(onward, best[:, :, state, None] + steps[state], out=onward)
        best = np.where(inside[:, place, None, None], onward + blocks[:, place, None, :], best)
    return best


def _join_best(start: Floats, through: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The classes before each block and at its end on the best path, (B,) each."""
    score, pointers = start, []
    for block in through:
        scores = score[:, None] + block
        pointers.append(scores.argmax(axis=0))
        score = scores.max(axis=0)
    states = [int(score.argmax())]
    for pointer in reversed(pointers):
        states.append(int(pointer[states[-1]]))
    path = np.array(states[::-1])
    return path[:-1], path[1:]


def _best_inside(
    blocks: Floats, inside: NDArray[np.bool_], steps: Floats, entered: NDArray[np.int64], left: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The best path of each block between the class before it and the class at its end, (B, L)."""
    num_blocks, length, num = blocks.shape
    stay = np.arange(num)
    score = np.where(stay == entered[:, None], 0.0, -np.inf)
    pointers = np.empty((length, num_blocks, num), dtype=np.int64)
    for place in range(length):
        scores = score[:, :, None] + steps
        valid = inside[:, place, None]
        pointers[place] = np.where(valid, scores.argmax(axis=1), stay)
        score = np.where(valid, scores.max(axis=1) + blocks[:, place], score)
    path = np.empty((num_blocks, length), dtype=np.int64)
    state = left
    for place in range(length - 1, -1, -1):
        path[:, place] = state
        state = pointers[place, np.arange(num_blocks), state]
    return path


def _sum_through(blocks: Floats, inside: NDArray[np.bool_], matrix: Floats) -> tuple[Floats, Floats]:
    """The probability of all paths through each block, (B, C, C), rows that sum to 1, and their log scale, (B, C)."""
    num_blocks, length, num = blocks.shape
    total = np.tile(np.eye(num), (num_blocks, 1, 1))
    scale = np.zeros((num_blocks, num))
    for place in range(length):
        onward = (total @ matrix) * blocks[:, place, None, :]
        sums = onward.sum(axis=2)
        valid = inside[:, place, None]
        scale += np.log(sums, where=valid, out=np.zeros_like(sums))
        total = np.divide(onward, sums[:, :, None], where=valid[:, :, None], out=total)
    return total, scale


def _join_sums(start: Floats, through: Floats, scale: Floats) -> tuple[Floats, Floats]:
    """The probability of each class before each block, and of the frames after each block given its last class.

    The first is given the earlier frames; both are (B, C), up to a factor.
    """
    rows = through * np.exp(scale - scale.max(axis=1, keepdims=True))[:, :, None]
    alphas, betas = [start], [np.ones_like(start)]
    for block in rows[:-1]:
        alphas.append(_normalised(alphas[-1] @ block))
    for block in rows[:0:-1]:
        betas.append(_normalised(block @ betas[-1]))
    return np.stack(alphas), np.stack(betas[::-1])


def _forward_inside(blocks: Floats, inside: NDArray[np.bool_], matrix: Floats, alphas: Floats) -> Floats:
    """The probability of each class given the frames up to each, (B, L, C)."""
    result = np.empty_like(blocks)
    alpha = alphas
    for place in range(blocks.shape[1]):
        valid = inside[:, place, None]
        onward = np.where(valid, (alpha @ matrix) * blocks[:, place], alpha)
        alpha = result[:, place] = _normalised(onward)
    return result


def _backward_inside(blocks: Floats, inside: NDArray[np.bool_], matrix: Floats, betas: Floats) -> Floats:
    """The probability of the frames after each, given its class, up to a factor, (B, L, C)."""
    result = np.empty_like(blocks)
    beta = betas
    for place in range(blocks.shape[1] - 1, -1, -1):
        result[:, place] = beta
        valid = inside[:, place, None]
        beta = _normalised(np.where(valid, (blocks[:, place] * beta) @ matrix.T, beta))
    return result
