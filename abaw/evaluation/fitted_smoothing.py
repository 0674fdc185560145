"""A smoothing with its class bias fitted on annotated videos: on all of them, and on those outside each fold.

Shapes: T time, C class, K folds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from abaw.evaluation.pass_fit import PooledVideos
from abaw.evaluation.sample import FrameSample
from abaw.evaluation.selection import fit_class_bias
from abaw.inference.decode import decode
from abaw.sequence.filters import fill_gaps
from abaw.sequence.smooth import Smoothing
from abaw.stores.predictions import Predictions

Annotated = Iterable[tuple[Predictions, NDArray[np.int8]]]
"""Predictions with labels of up to as many frames, -1 for none."""


def fit_smoothing(
    smoothing: Smoothing, videos: Annotated, folds: Sequence[int]
) -> tuple[Smoothing, list[Smoothing], int]:
    """The smoothing with the bias that is best on all videos, and K with those that are best outside each fold.

    The WEIGHT of a hidden Markov pass is fitted together with its bias. Where no video outside a fold is annotated, its
    bias is 0. A bias that the smoothing has is replaced. folds: of each video, from 0 to K - 1. Also returns the stride
    of the frames of the fit. Raises DataError when no frame is annotated.
    """
    fit = _fit_pass if smoothing.needs_transitions else _fit_filter
    return fit(smoothing.without_bias(), _certain(videos), folds)


def _certain(videos: Annotated) -> Iterator[tuple[Predictions, NDArray[np.int8]]]:
    """A video without any prediction is certain to be of the first class: no bias changes this when it is decoded."""
    for predictions, known in videos:
        if predictions.predicted.any():
            yield predictions, known
        else:
            first = np.zeros_like(predictions.probs)
            first[:, 0] = 1
            yield replace(predictions, probs=first, predicted=np.ones_like(predictions.predicted)), known


def _fit_filter(
    smoothing: Smoothing, videos: Annotated, folds: Sequence[int]
) -> tuple[Smoothing, list[Smoothing], int]:
    sample = FrameSample()
    for (predictions, known), fold in zip(videos, folds, strict=True):
        sample.add(decode(predictions, smoothing).probs[: len(known)], known, fold)
    kept, kept_labels, fold_of_frame = sample.arrays()
    biases = [
        fit_class_bias(kept[outside], kept_labels[outside]) if outside.any() else np.zeros(kept.shape[1])
        for outside in (fold_of_frame != fold for fold in range(max(folds) + 1))
    ]
    return smoothing.biased(fit_class_bias(kept, kept_labels)), list(map(smoothing.biased, biases)), sample.stride


def _fit_pass(smoothing: Smoothing, videos: Annotated, folds: Sequence[int]) -> tuple[Smoothing, list[Smoothing], int]:
    """Every frame counts: the stride is 1."""
    pooled, annotated = PooledVideos(), set[int]()
    for (predictions, known), fold in zip(videos, folds, strict=True):
        filled = fill_gaps(predictions.probs, predictions.predicted, 1 / len(predictions.classes))
        pooled.add(filled, known, fold, predictions.fps)
        if (known >= 0).any():
            annotated.add(fold)
        num_classes = filled.shape[1]
    by_fold = [
        pooled.fit(smoothing, without_fold=fold) if annotated - {fold} else smoothing.biased([0.0] * num_classes)
        for fold in range(max(folds) + 1)
    ]
    return pooled.fit(smoothing), by_fold, 1
