"""The hidden Markov passes over many sequences at once, for trying many settings on the same frames.

Unlike `abaw.sequence.hmm`, which is fast for one long video, they take a few numpy steps per frame of a sequence.
Shapes: B sequences, T time, C class.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from abaw.sequence.hmm import Floats, Transitions


def viterbi_batch(log_evidence: Floats, lengths: NDArray[np.integer], transitions: Transitions) -> NDArray[np.int64]:
    """The most likely path of classes of each sequence, (B, T); any class after its end.

    log_evidence: (B, T, C), finite; lengths: (B,) frames of each sequence, 1 to T, the longest first.
    """
    num_sequences, num_frames, num = log_evidence.shape
    active = _active(lengths, num_frames)
    into = np.log(transitions.matrix).T
    score = np.log(transitions.initial) + log_evidence[:, 0]
    pointers = np.empty((num_frames, num_sequences, num), dtype=np.int8)
    for frame in range(1, num_frames):
        rows = slice(active[frame])
        scores = score[rows, None, :] + into
        pointers[frame, rows] = scores.argmax(axis=2)
        score[rows] = scores.max(axis=2) + log_evidence[rows, frame]
    path = np.repeat(score.argmax(axis=1)[:, None], num_frames, axis=1)
    every = np.arange(num_sequences)
    for frame in range(num_frames - 1, 0, -1):
        rows = slice(active[frame])
        path[rows, frame - 1] = pointers[frame, every[rows], path[rows, frame]]
    return path


def posterior_batch(log_evidence: Floats, lengths: NDArray[np.integer], transitions: Transitions) -> Floats:
    """The probability of each class at each frame of each sequence, (B, T, C); any numbers after its end.

    Arguments as for `viterbi_batch`.
    """
    result = np.exp(log_evidence - log_evidence.max(axis=2, keepdims=True))
    seen = result.copy()
    active = _active(lengths, seen.shape[1])
    before = np.broadcast_to(transitions.initial, seen[:, 0].shape)
    for frame in range(seen.shape[1]):
        rows = slice(active[frame])
        forward = before[rows] * seen[rows, frame]
        result[rows, frame] = forward / forward.sum(axis=1, keepdims=True)
        before = result[rows, frame] @ transitions.matrix
    after = np.ones_like(seen[:, 0])
    for frame in range(seen.shape[1] - 1, -1, -1):
        rows = slice(active[frame])
        result[rows, frame] *= after[rows]
        earlier = (seen[rows, frame] * after[rows]) @ transitions.matrix.T
        after[rows] = earlier / earlier.sum(axis=1, keepdims=True)
    posterior: Floats = result / result.sum(axis=2, keepdims=True)
    return posterior


def _active(lengths: NDArray[np.integer], num_frames: int) -> list[int]:
    """The number of sequences that have each frame."""
    counts: list[int] = np.searchsorted(-lengths, -np.arange(num_frames), side="left").tolist()
    return counts
