"""Settings trained with several seeds: nested selection among them, and intervals of their means.

Shapes: O settings, S seeds, V videos, C class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abaw.evaluation.bootstrap import Interval
from abaw.evaluation.intervals import f1_intervals
from abaw.evaluation.metrics import macro_f1_of
from abaw.evaluation.selection import video_folds


@dataclass(frozen=True)
class Honest:
    """The score of nested selection. chosen: index of the chosen setting per fold."""

    macro_f1: float
    interval: Interval
    chosen: tuple[int, ...]


def nested_over_seeds(confusions: NDArray[np.int64], groups: Sequence[str]) -> Honest:
    """Score each video with the setting whose mean over the seeds is best on the other folds.

    As `nested_selection`, but a setting is represented by all its seeds: no seed is chosen. confusions: (O, S, V, C,
    C); groups: V names.
    """
    folds = video_folds(confusions[0, 0].sum(axis=-1), groups)
    scored = np.zeros_like(confusions[0])
    chosen = []
    for fold in range(int(folds.max()) + 1):
        inside = folds == fold
        outside_scores = macro_f1_of(confusions[:, :, ~inside].sum(axis=2)).mean(axis=1)
        option = int(outside_scores.argmax())
        scored[:, inside] = confusions[option][:, inside]
        chosen.append(option)
    score = float(macro_f1_of(scored.sum(axis=1)).mean())
    return Honest(score, mean_interval(scored, groups), tuple(chosen))


def mean_interval(confusions: NDArray[np.int64], groups: Sequence[str]) -> Interval:
    """95 % interval, over videos, of the mean macro F1 over the seeds. confusions: (S, V, C, C); groups: V names.

    The classes of all seeds are treated as S x C classes, whose mean F1 is the mean over the seeds.
    """
    seeds, videos, classes, _ = confusions.shape
    blocks = np.zeros((videos, seeds, classes, seeds, classes), dtype=np.int64)
    for seed in range(seeds):
        blocks[:, seed, :, seed] = confusions[seed]
    return f1_intervals(blocks.reshape(videos, seeds * classes, seeds * classes), groups).macro
