"""Scores of out-of-fold predictions, with differences paired by photo.

Standard errors are over draws of photos: they say how much would differ on other photos, not with another seed. A
"shifted" row subtracts a multiple of the log class shares from the logits, chosen for each fold on the others for the
highest macro F1 at no lower accuracy.
Shapes: N faces, C class, D the faces themselves and draws of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abaw.data.face_set import FaceSet
from abaw.protocol.classes import EXPRESSION_CLASSES, NUM_EXPRESSIONS

DRAWS = 1000
SHIFTS = np.arange(0.0, 1.01, 0.05)

Probs = NDArray[np.float32]
Numbers = NDArray[np.int64]


def table(found: Mapping[str, Probs], faces: FaceSet, folds: Numbers) -> Iterator[str]:
    """The lines of the comparison with the first. found: probabilities of all faces, (N, C); folds: (N,)."""
    rows = [(name, probs.argmax(axis=1)) for name, probs in found.items()]
    rows += [(f"{name}, shifted", shifted(probs, faces.labels, folds)) for name, probs in found.items()]
    draws = drawn_photos(faces.photos())
    scores = [Scores.of(faces.labels, classes, draws) for _, classes in rows]
    photos, parts = len(np.unique(faces.photos())), len(np.unique(folds))
    yield f"{len(faces)} faces of {photos} photos, {parts} folds; differences in points"
    heads = ["", "accuracy", "macro F1", "accuracy − first", "macro F1 − first", *EXPRESSION_CLASSES]
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    for (name, _), own in zip(rows, scores, strict=True):
        by_class = [f"{f1:.3f} ± {error:.3f}" for f1, error in zip(own.f1[0], own.f1[1:].std(axis=0), strict=True)]
        gains = [difference(own.accuracy, scores[0].accuracy), difference(own.macro_f1, scores[0].macro_f1)]
        yield f"| {name} | {own.accuracy[0]:.4f} | {own.macro_f1[0]:.4f} | {' | '.join([*gains, *by_class])} |"


@dataclass(frozen=True)
class Scores:
    """accuracy: (D,); f1: (D, C)."""

    accuracy: NDArray[np.float64]
    f1: NDArray[np.float64]

    @property
    def macro_f1(self) -> NDArray[np.float64]:
        return np.asarray(self.f1.mean(axis=1))

    @staticmethod
    def of(labels: Numbers, classes: Numbers, draws: NDArray[np.int16]) -> Scores:
        """draws: how often each face counts, (D, N)."""
        cells = NUM_EXPRESSIONS * labels + classes
        counted = np.stack([np.bincount(cells, row, NUM_EXPRESSIONS**2) for row in draws])
        confusions = counted.reshape(-1, NUM_EXPRESSIONS, NUM_EXPRESSIONS)
        hits = np.diagonal(confusions, axis1=1, axis2=2)
        f1 = 2 * hits / np.maximum(confusions.sum(axis=1) + confusions.sum(axis=2), 1)
        return Scores(hits.sum(axis=1) / confusions.sum(axis=(1, 2)), f1)


def shifted(probs: Probs, labels: Numbers, folds: Numbers) -> Numbers:
    """The classes, (N,), after a shift that the labels of the other folds chose."""
    logits, classes = np.log(np.maximum(probs, 1e-12)), np.zeros_like(labels)
    for fold in np.unique(folds):
        others = folds != fold
        counts = np.bincount(labels[others], minlength=NUM_EXPRESSIONS)
        prior = np.log(np.maximum(counts, 1) / others.sum())
        once = np.ones((1, int(others.sum())), dtype=np.int16)
        guesses = [(logits - shift * prior).argmax(axis=1) for shift in SHIFTS]
        scores = [Scores.of(labels[others], guess[others], once) for guess in guesses]
        allowed = [index for index, each in enumerate(scores) if each.accuracy[0] >= scores[0].accuracy[0]]
        best = max(allowed, key=lambda index: float(scores[index].macro_f1[0]))
        classes[~others] = guesses[best][~others]
    return classes


def drawn_photos(photos: Numbers) -> NDArray[np.int16]:
    """How often each face counts, (D, N): once, then as often as its photo is drawn. photos: (N,) from 0."""
    count = int(photos.max()) + 1
    rng = np.random.default_rng(0)
    drawn = [np.bincount(rng.integers(0, count, count), minlength=count) for _ in range(DRAWS)]
    return np.stack([np.ones(count, dtype=np.int16), *(row.astype(np.int16) for row in drawn)])[:, photos]


def difference(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> str:
    """In points, with its standard error. ours, theirs: (D,)."""
    paired = 100 * (ours - theirs)
    return f"{paired[0]:+.2f} ± {paired[1:].std():.2f}"
