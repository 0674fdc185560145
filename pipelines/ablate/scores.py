"""What the cells of an ablation say together: scores of every setting with their spread, and the choice among them.

Shapes: O settings, S seeds, V videos, C class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from pipelines.compare.cells import CellResult

if TYPE_CHECKING:
    from abaw.evaluation.bootstrap import Interval
    from abaw.evaluation.seeds import Honest


@dataclass(frozen=True, eq=False)
class Row:
    """One setting: its cells by seed.

    values: of the varied fields; interval: 95 %, by bootstrap over videos, of the mean over the seeds; behind: by how
    much it scores below the best setting; behind_interval: 95 % of the draws of videos, the same for both settings.
    """

    values: Mapping[str, Any]
    window: int
    hop: int
    cells: Mapping[int, CellResult]
    interval: Interval
    behind: float
    behind_interval: Interval

    @property
    def scores(self) -> list[float]:
        return [cell.macro_f1 for cell in self.cells.values()]

    @property
    def macro_f1(self) -> float:
        """Mean over the seeds."""
        return mean(self.scores)

    @property
    def spread(self) -> float | None:
        """Standard deviation over the seeds, None with one seed."""
        return stdev(self.scores) if len(self.scores) > 1 else None


@dataclass(frozen=True, eq=False)
class Table:
    """rows: in the order of the grid; best: index of the highest mean; honest: None where there is nothing to choose,
    or too little to choose on."""

    rows: tuple[Row, ...]
    best: int
    honest: Honest | None
    num_videos: int


@dataclass(frozen=True, eq=False)
class Setting:
    """A combination of settings with the results of its seeds."""

    values: Mapping[str, Any]
    window: int
    hop: int
    cells: Mapping[int, CellResult]


def score_table(settings: Sequence[Setting]) -> Table:
    """settings: each with one cell at least, all scored on the same videos."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    import numpy as np

    from abaw.evaluation.bootstrap import bootstrap_macro_f1, interval, video_groups
    from abaw.evaluation.seeds import mean_interval

    videos = next(iter(settings[0].cells.values())).videos
    groups = video_groups(videos)
    draws = [
        np.mean([bootstrap_macro_f1(cell.confusions, groups) for cell in setting.cells.values()], axis=0)
        for setting in settings
    ]
    means = [mean(cell.macro_f1 for cell in setting.cells.values()) for setting in settings]
    best = int(np.argmax(means))
    rows = [
        Row(
            setting.values,
            setting.window,
            setting.hop,
            setting.cells,
            mean_interval(np.stack([cell.confusions for cell in setting.cells.values()]), groups),
            means[best] - score,
            interval(draws[best] - samples),
        )
        for setting, samples, score in zip(settings, draws, means, strict=True)
    ]
    return Table(tuple(rows), best, _honest(settings, groups), len(videos))


def _honest(settings: Sequence[Setting], groups: Sequence[str]) -> Honest | None:
    # Loaded on use: `--help` and wrong usage are answered without it.
    import numpy as np

    from abaw.evaluation.seeds import nested_over_seeds

    seeds = [seed for seed in settings[0].cells if all(seed in setting.cells for setting in settings)]
    first = next(iter(settings[0].cells.values())).confusions
    annotated = {group for group, counts in zip(groups, first, strict=True) if counts.any()}
    if len(settings) < 2 or not seeds or len(annotated) < 2:
        return None
    return nested_over_seeds(np.stack([[each.cells[seed].confusions for seed in seeds] for each in settings]), groups)
