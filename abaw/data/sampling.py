"""Which labelled samples are in a batch: how often each class is drawn, and which part is held out."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from abaw.core.errors import ConfigError, DataError
from abaw.data.face_set import FaceSet
from abaw.data.settings import Balance

_EXPONENTS = {"uniform": 0.0, "sqrt": 0.5, "natural": 1.0}


class ClassSampler:
    """Draws samples with replacement: first a class, with probability ∝ count ** exponent, then one of its samples.

    The exponent is 0 for uniform (as in arXiv 2403.11942), 0.5 for sqrt and 1 for natural. A class without samples is
    never drawn. labels: (N,), all at least 0. Raises DataError when there are no labels.
    """

    def __init__(self, labels: NDArray[np.integer], balance: Balance) -> None:
        if len(labels) == 0:
            raise DataError("there are no labelled samples to draw from; give faces with labels")
        self._by_class = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        weights = np.array([len(members) for members in self._by_class], dtype=np.float64) ** _EXPONENTS[balance]
        self._probabilities = weights / weights.sum()
        self._labels = [int(labels[members[0]]) for members in self._by_class]

    def prior(self, num_classes: int) -> NDArray[np.float64]:
        """The probability of drawing each class, (C,)."""
        prior = np.zeros(num_classes)
        prior[self._labels] = self._probabilities
        return prior

    def draw(self, count: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Indices of `count` samples, (count,)."""
        classes = generator.choice(len(self._by_class), size=count, p=self._probabilities)
        sizes = np.array([len(members) for members in self._by_class])
        picks = generator.integers(0, sizes[classes])
        return np.array([self._by_class[c][pick] for c, pick in zip(classes, picks, strict=True)], dtype=np.int64)


def hold_out(
    labels: NDArray[np.integer], groups: NDArray[np.integer], fraction: float, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Choose the held-out samples, (N,) True: about `fraction` of each class, with no group on both sides.

    groups: (N,) the video or person of each sample, -1 for a sample on its own. Raises ConfigError for a fraction
    outside 0..0.5, and DataError when nothing can be held out: a single group, or no class with two samples.
    """
    if not 0 < fraction <= 0.5:
        raise ConfigError(f"holdout is {fraction}; expected 0 < holdout <= 0.5")
    held = np.zeros(len(labels), dtype=bool)
    alone = np.flatnonzero(groups < 0)
    held[alone] = _hold_out_samples(labels[alone], fraction, generator)
    grouped = np.flatnonzero(groups >= 0)
    if len(grouped):
        held[grouped] = _hold_out_groups(labels[grouped], groups[grouped], fraction, generator)
    if not held.any() or held.all():
        raise DataError(
            f"{len(labels)} labelled samples are too few to hold out {fraction:.0%} for choosing the best checkpoint; "
            "give at least two samples of a class"
        )
    return held


def hold_out_photos(faces: FaceSet, fraction: float, generator: np.random.Generator) -> NDArray[np.bool_]:
    """As `hold_out`, with all crops of a photo on the same side."""
    photos = faces.photos()
    _, first = np.unique(photos, return_index=True)
    held = hold_out(faces.labels[first], faces.groups[first], fraction, generator)
    return held[photos]


def _hold_out_samples(
    labels: NDArray[np.integer], fraction: float, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """`fraction` of each class, at least one of each class that has two samples."""
    held = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        if len(members) >= 2:
            held[members[: max(1, round(len(members) * fraction))]] = True
    return held


def _hold_out_groups(
    labels: NDArray[np.integer], groups: NDArray[np.integer], fraction: float, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """The fold of a stratified split by group whose size is nearest to `fraction`."""
    num_groups = len(np.unique(groups))
    if num_groups < 2:
        raise DataError("all frames are from one video; give at least two, one of which can be held out")
    folds = min(max(2, round(1 / fraction)), num_groups, int(np.bincount(labels).max()))
    held = np.zeros(len(labels), dtype=bool)
    if folds < 2:
        return held
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=int(generator.integers(2**31)))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)  # rare classes miss some folds
        parts = [part for _, part in splitter.split(labels, labels, groups)]
    held[min(parts, key=lambda part: abs(len(part) - fraction * len(labels)))] = True
    return held
