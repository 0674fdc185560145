"""Folds of videos, for cross-validation and for nested selection.

Shapes: V videos, C class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from abaw.core.errors import ConfigError, DataError
from abaw.evaluation.bootstrap import video_groups

FOLDS = 5
_SAMPLES = 20_000


def video_folds(
    label_counts: NDArray[np.integer], groups: Sequence[str], num_folds: int = FOLDS, seed: int = 0
) -> NDArray[np.int64]:
    """The fold of each video, (V,): groups stay together, and classes are spread over the folds as evenly as possible.

    label_counts: (V, C) annotated frames; groups: V names; seed: decides between groups with equal label shares. There
    are no more folds than groups with annotated frames. Raises DataError when fewer than two groups have annotated
    frames.
    """
    counts = np.asarray(label_counts, dtype=np.int64)
    names, of_video = np.unique(np.asarray(groups), return_inverse=True)
    annotated = len(np.unique(of_video[counts.sum(axis=1) > 0]))
    if annotated < 2:
        raise DataError(f"folds need annotated frames of at least two different videos; found {annotated}")
    folds = min(num_folds, annotated)
    # Each sample represents the same number of frames of a video and class: shares do not change.
    samples = -(-counts * _SAMPLES // max(int(counts.sum()), _SAMPLES))
    if samples.sum(axis=0)[counts.any(axis=0)].min() < folds:
        samples = samples * folds  # scikit-learn needs at least as many samples of a class as folds
    videos, classes = (np.repeat(index.ravel(), samples.ravel()) for index in np.indices(samples.shape))
    # Groups with equal label shares are taken in this order: scikit-learn's own shuffling depends on its version.
    rank = np.random.default_rng(seed).permutation(len(names))
    fold_of_rank = np.zeros(len(names), dtype=np.int64)
    rank_of_sample = rank[of_video[videos]]
    for fold, (_, held_out) in enumerate(StratifiedGroupKFold(folds).split(classes, classes, rank_of_sample)):
        fold_of_rank[np.unique(rank_of_sample[held_out])] = fold
    return fold_of_rank[rank[of_video]]


def folds_by_name(
    label_counts: Mapping[str, NDArray[np.integer]], num_folds: int = FOLDS, seed: int = 0
) -> dict[str, int]:
    """`video_folds` by the name of the video; both people of one video are in one fold.

    label_counts: (C,) annotated frames of each.
    """
    names = list(label_counts)
    folds = video_folds(np.stack(list(label_counts.values())), video_groups(names), num_folds, seed)
    return dict(zip(names, folds.tolist(), strict=True))


def require_filled(folds: Mapping[str, int], label_counts: Mapping[str, NDArray[np.integer]], num_folds: int) -> None:
    """Raise ConfigError when a fold has no annotated video."""
    filled = {folds[name] for name, counts in label_counts.items() if counts.any()}
    if len(filled) < num_folds:
        raise ConfigError(f"folds {num_folds}: the annotated videos fill only {len(filled)} of them; use fewer folds")
