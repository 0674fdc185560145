"""The table of an ablation: the scores of each variant over its seeds, and the choice among variants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.compare.cells import CellResult

if TYPE_CHECKING:
    from abaw.evaluation.measures import Measure
    from abaw.evaluation.seeds import NestedScore, VariantScore


@dataclass(frozen=True, eq=False)
class VariantCells:
    """A combination of settings with its cells by seed. values: of the varied settings, and of the smoothing."""

    values: Mapping[str, Any]
    window: int
    hop: int
    cells: Mapping[int, CellResult]


@dataclass(frozen=True, eq=False)
class Row:
    """A variant and its score."""

    variant: VariantCells
    score: VariantScore

    @property
    def values(self) -> Mapping[str, Any]:
        return self.variant.values

    @property
    def cells(self) -> Mapping[int, CellResult]:
        return self.variant.cells

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return self.score.seeds.mean

    @property
    def spread(self) -> float | None:
        """Standard deviation over the seeds, None with one seed."""
        return self.score.seeds.spread


@dataclass(frozen=True, eq=False)
class AblationTable:
    """measure: of the scores; rows: in the order of the grid; best: index of the highest mean; nested: see
    VariantScores."""

    measure: Measure
    rows: tuple[Row, ...]
    best: int
    nested: NestedScore | None
    num_videos: int


def score_table(variants: Sequence[VariantCells]) -> AblationTable:
    """variants: each with at least one cell, all scored on the same videos."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.evaluation.seeds import score_variants

    first = next(iter(variants[0].cells.values()))
    statistics = [{seed: cell.statistics for seed, cell in variant.cells.items()} for variant in variants]
    scores = score_variants(statistics, first.videos, first.measure)
    rows = tuple(map(Row, variants, scores.variants))
    return AblationTable(first.measure, rows, scores.best, scores.nested, len(first.videos))
