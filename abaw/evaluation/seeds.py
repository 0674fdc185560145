"""Variants that were trained with several seeds: means, paired differences, intervals, and nested selection.

Shapes: O variants, S seeds, V videos, C class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import mean, stdev

import numpy as np
from numpy.typing import NDArray

from abaw.evaluation.bootstrap import DRAWS, Interval, bootstrap, interval, video_groups
from abaw.evaluation.folds import video_folds
from abaw.evaluation.measures import MACRO_F1, Measure


@dataclass(frozen=True, slots=True)
class SeedMean:
    """Over `count` seeds. spread: standard deviation, None with one seed."""

    mean: float
    spread: float | None
    count: int


@dataclass(frozen=True, slots=True)
class SeedDifference:
    """Mean over the seeds that both variants have. error: standard error of that mean, None with one seed."""

    mean: float
    error: float | None
    count: int


@dataclass(frozen=True, slots=True)
class NestedScore:
    """The score of choosing a variant, on videos that took no part in the choice. chosen: an index per fold."""

    score: float
    interval: Interval
    chosen: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class VariantScore:
    """The score of one variant over its seeds.

    interval: 95 %, by bootstrap over videos, of the mean over the seeds; below_best: difference between the best
    variant and this one; below_best_interval: 95 % of the draws of videos, the same draws for both.
    """

    seeds: SeedMean
    interval: Interval
    below_best: float
    below_best_interval: Interval


@dataclass(frozen=True, slots=True)
class VariantScores:
    """variants: in the order given; best: index of the highest mean; nested: None when there is no choice to make, or
    too little data to make it."""

    variants: tuple[VariantScore, ...]
    best: int
    nested: NestedScore | None


def seed_mean(values: Sequence[float]) -> SeedMean:
    """values: one per seed, at least one."""
    return SeedMean(mean(values), stdev(values) if len(values) > 1 else None, len(values))


def seed_difference(ours: Mapping[int, float], theirs: Mapping[int, float]) -> SeedDifference | None:
    """ours - theirs, paired by seed; None when they have no seed in common."""
    found = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
    if not found:
        return None
    return SeedDifference(mean(found), stdev(found) / sqrt(len(found)) if len(found) > 1 else None, len(found))


def score_variants(
    statistics: Sequence[Mapping[int, NDArray[np.number]]], videos: Sequence[str], measure: Measure = MACRO_F1
) -> VariantScores:
    """Scores of O variants, the differences from the best, and the score of choosing it.

    statistics: of each variant by seed, at least one, (V, …) of the same V videos; videos: their names.
    """
    groups = video_groups(videos)
    draws = [
        np.mean([bootstrap(sums, measure.of, groups) for sums in by_seed.values()], axis=0) for by_seed in statistics
    ]
    means = [seed_mean([measure.total(sums) for sums in by_seed.values()]) for by_seed in statistics]
    best = int(np.argmax([each.mean for each in means]))
    variants = [
        VariantScore(
            each,
            measure.mean_interval(np.stack(list(by_seed.values())), groups, DRAWS),
            means[best].mean - each.mean,
            interval(draws[best] - samples),
        )
        for by_seed, samples, each in zip(statistics, draws, means, strict=True)
    ]
    return VariantScores(tuple(variants), best, _nested(statistics, groups, measure))


def _nested(
    statistics: Sequence[Mapping[int, NDArray[np.number]]], groups: Sequence[str], measure: Measure
) -> NestedScore | None:
    """On the seeds that all variants have; None with one variant, without such a seed, or with one annotated video."""
    seeds = [seed for seed in statistics[0] if all(seed in by_seed for by_seed in statistics)]
    first = next(iter(statistics[0].values()))
    annotated = {group for group, sums in zip(groups, first, strict=True) if sums.any()}
    if len(statistics) < 2 or not seeds or len(annotated) < 2:
        return None
    return nested_over_seeds(np.stack([[by_seed[seed] for seed in seeds] for by_seed in statistics]), groups, measure)


def nested_over_seeds(
    statistics: NDArray[np.number], groups: Sequence[str], measure: Measure = MACRO_F1
) -> NestedScore:
    """Score each video with the variant whose mean over the seeds is best on the folds without that video.

    As `nested_selection`, but a variant represents all its seeds: no seed is chosen. statistics: (O, S, V, …).
    """
    folds = video_folds(measure.label_counts(statistics[0, 0]), groups)
    scored = np.zeros_like(statistics[0])
    chosen = []
    for fold in range(int(folds.max()) + 1):
        inside = folds == fold
        outside_scores = measure.of(statistics[:, :, ~inside].sum(axis=2)).mean(axis=1)
        option = int(outside_scores.argmax())
        scored[:, inside] = statistics[option][:, inside]
        chosen.append(option)
    score = float(measure.of(scored.sum(axis=1)).mean())
    return NestedScore(score, measure.mean_interval(scored, groups, DRAWS), tuple(chosen))
