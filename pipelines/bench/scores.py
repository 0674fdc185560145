"""The table of a benchmark: scores by variant and portion, and differences paired by seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from abaw.data.label_portions import Portion
from abaw.evaluation.seeds import SeedDifference, SeedMean, seed_difference, seed_mean
from pipelines.bench.cells import BenchCell, BenchResult, CellScores


@dataclass(frozen=True, slots=True)
class Group:
    """The cells of one variant and portion, by seed."""

    results: Mapping[int, BenchResult]


@dataclass(frozen=True)
class BenchTable:
    """variants: names; rivals: those with which the others are compared; portions: in the order given; groups: by
    variant and portion, missing where no cell is finished."""

    variants: tuple[str, ...]
    rivals: tuple[str, ...]
    portions: tuple[Portion, ...]
    groups: Mapping[tuple[str, Portion], Group]

    def group(self, variant: str, portion: Portion) -> Group | None:
        return self.groups.get((variant, portion))


Pick = Callable[[BenchResult], float | None]
"""A figure of a cell, None where the cell has none."""


def score(checkpoint: str, name: str) -> Pick:
    """The score `name` of `last` or `best`."""

    def pick(result: BenchResult) -> float | None:
        scores: CellScores | None = getattr(result, checkpoint)
        return None if scores is None else float(getattr(scores, name))

    return pick


def bench_table(cells: Sequence[BenchCell], results: Mapping[str, BenchResult], against: Sequence[str]) -> BenchTable:
    """against: the rivals; those without a cell are left out."""
    groups: dict[tuple[str, Portion], dict[int, BenchResult]] = {}
    for cell in cells:
        if cell.name in results:
            groups.setdefault((cell.variant.name, cell.portion), {})[cell.seed] = results[cell.name]
    variants = tuple(dict.fromkeys(cell.variant.name for cell in cells))
    return BenchTable(
        variants,
        tuple(name for name in dict.fromkeys(against) if name in variants),
        tuple(dict.fromkeys(cell.portion for cell in cells)),
        {key: Group(found) for key, found in groups.items()},
    )


def summary(group: Group | None, pick: Pick) -> SeedMean | None:
    """None when no cell has the figure."""
    values = list(_values(group, pick).values())
    return seed_mean(values) if values else None


def difference(group: Group | None, rival: Group | None, pick: Pick) -> SeedDifference | None:
    """group − rival, paired by seed. None when they have no seed in common."""
    return seed_difference(_values(group, pick), _values(rival, pick))


def _values(group: Group | None, pick: Pick) -> dict[int, float]:
    found = {} if group is None else {seed: pick(result) for seed, result in group.results.items()}
    return {seed: value for seed, value in found.items() if value is not None}
