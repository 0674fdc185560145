"""Which class is shown when: segments with class shares like those of Aff-Wild2, distributed over the videos."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from abaw.protocol.classes import EXPRESSION_CLASSES, NUM_EXPRESSIONS
from abaw.protocol.manifests import load_manifest

Labels = npt.NDArray[np.int8]

_FLATTENING = 0.6
"""Exponent on the published shares; without it, the rarest class would get only one segment in fifty."""


def class_shares() -> npt.NDArray[np.float64]:
    """Share of each class, (C,), sum 1: the same ranking as in Aff-Wild2's training set, but less extreme."""
    counts = load_manifest("expression")["class_counts"]["train"]
    flattened = np.asarray([counts[name] for name in EXPRESSION_CLASSES], np.float64) ** _FLATTENING
    return np.asarray(flattened / flattened.sum())


def apportion(total: int) -> npt.NDArray[np.int64]:
    """`total` items divided by the class shares, (C,). Each class gets at least two, or one, if `total` allows it."""
    floor = min(2, total // NUM_EXPRESSIONS)
    wanted = np.maximum(class_shares() * total, floor)
    counts = np.maximum(np.floor(wanted).astype(np.int64), floor)
    while counts.sum() < total:
        counts[np.argmax(wanted - counts)] += 1
    while counts.sum() > total:
        counts[np.argmax(np.where(counts > floor, counts - wanted, -np.inf))] -= 1
    return counts


def deal(num_people: int, segments_each: int, rng: np.random.Generator) -> npt.NDArray[np.int8]:
    """Classes of each person's segments, (num_people, segments_each), with few repetitions in a row."""
    deck = np.repeat(np.arange(NUM_EXPRESSIONS, dtype=np.int8), apportion(num_people * segments_each))
    hands = [rng.permutation(deck).reshape(num_people, segments_each) for _ in range(200)]
    repeats = [int((hand[:, 1:] == hand[:, :-1]).sum()) for hand in hands]
    return hands[int(np.argmin(repeats))]


def cut(num_frames: int, num_segments: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Frames at which segments begin and the last one ends, (num_segments + 1,). Lengths vary by about 2 times."""
    ends = np.cumsum(rng.uniform(0.7, 1.4, num_segments))
    bounds = np.round(np.concatenate([[0.0], ends / ends[-1]]) * num_frames)
    return np.asarray(bounds, np.int64)
