"""What the cells of a benchmark say together: scores by entry and portion, and differences paired by seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import mean, stdev
from typing import Final

from abaw.data.label_portions import Portion
from pipelines.bench.cells import BenchCell, BenchResult, CellScores

RIVALS: Final = ("supervised", "fixmatch")
"""Entries against which the others are told."""


@dataclass(frozen=True, slots=True)
class Group:
    """The cells of one entry and portion, by seed."""

    results: Mapping[int, BenchResult]


@dataclass(frozen=True)
class Table:
    """entries: names, portions: in the order given; groups: by both, none where no cell is finished."""

    entries: tuple[str, ...]
    portions: tuple[Portion, ...]
    groups: Mapping[tuple[str, Portion], Group]

    def group(self, entry: str, portion: Portion) -> Group | None:
        return self.groups.get((entry, portion))


@dataclass(frozen=True, slots=True)
class Summary:
    """Over n seeds. spread: standard deviation, None with one seed."""

    mean: float
    spread: float | None
    count: int


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean over the seeds that both have. error: standard error of that mean, None with one seed."""

    mean: float
    error: float | None
    count: int


Pick = Callable[[BenchResult], float | None]
"""A number of a cell, None where the cell has none."""


def score(checkpoint: str, name: str) -> Pick:
    """The score `name` of `last` or `best`."""

    def pick(result: BenchResult) -> float | None:
        scores: CellScores | None = getattr(result, checkpoint)
        return None if scores is None else float(getattr(scores, name))

    return pick


def bench_table(cells: Sequence[BenchCell], results: Mapping[str, BenchResult]) -> Table:
    groups: dict[tuple[str, Portion], dict[int, BenchResult]] = {}
    for cell in cells:
        if cell.name in results:
            groups.setdefault((cell.entry.name, cell.portion), {})[cell.seed] = results[cell.name]
    return Table(
        tuple(dict.fromkeys(cell.entry.name for cell in cells)),
        tuple(dict.fromkeys(cell.portion for cell in cells)),
        {key: Group(found) for key, found in groups.items()},
    )


def summary(group: Group | None, pick: Pick) -> Summary | None:
    """None when no cell has the number."""
    values = list(_values(group, pick).values())
    if not values:
        return None
    return Summary(mean(values), stdev(values) if len(values) > 1 else None, len(values))


def difference(group: Group | None, rival: Group | None, pick: Pick) -> Difference | None:
    """group − rival, paired by seed. None when they share no seed."""
    ours, theirs = _values(group, pick), _values(rival, pick)
    found = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
    if not found:
        return None
    return Difference(mean(found), stdev(found) / sqrt(len(found)) if len(found) > 1 else None, len(found))


def _values(group: Group | None, pick: Pick) -> dict[int, float]:
    found = {} if group is None else {seed: pick(result) for seed, result in group.results.items()}
    return {seed: value for seed, value in found.items() if value is not None}
