"""What the cells of an ablation say together: scores of every setting with their spread, and the choice among them.

Shapes: O settings, S seeds, V videos, C class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from pipelines.cells import CellResult

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from abaw.evaluation.bootstrap import Interval


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


@dataclass(frozen=True)
class Honest:
    """The choice among settings, made without the videos that it is scored on. chosen: index of a setting, a fold."""

    macro_f1: float
    interval: Interval
    chosen: tuple[int, ...]


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
    import numpy as np

    from abaw.evaluation.bootstrap import bootstrap_macro_f1, interval, video_groups

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
    import numpy as np

    seeds = [seed for seed in settings[0].cells if all(seed in setting.cells for setting in settings)]
    first = next(iter(settings[0].cells.values())).confusions
    annotated = {group for group, counts in zip(groups, first, strict=True) if counts.any()}
    if len(settings) < 2 or not seeds or len(annotated) < 2:
        return None
    return nested_over_seeds(np.stack([[each.cells[seed].confusions for seed in seeds] for each in settings]), groups)


def nested_over_seeds(confusions: NDArray[np.int64], groups: Sequence[str]) -> Honest:
    """Score each video with the setting whose mean over the seeds is best on the folds without that video.

    As `nested_selection`, but a setting stands for all its seeds: no seed is chosen. confusions: (O, S, V, C, C).
    """
    import numpy as np

    from abaw.evaluation.metrics import macro_f1_of
    from abaw.evaluation.selection import video_folds

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
    """95 % interval over videos of the macro F1's mean over the seeds. confusions: (S, V, C, C).

    Side by side the classes of all seeds are S x C classes, and the mean of their F1 is the mean over the seeds.
    """
    import numpy as np

    from abaw.evaluation.intervals import f1_intervals

    seeds, videos, classes, _ = confusions.shape
    blocks = np.zeros((videos, seeds, classes, seeds, classes), dtype=np.int64)
    for seed in range(seeds):
        blocks[:, seed, :, seed] = confusions[seed]
    return f1_intervals(blocks.reshape(videos, seeds * classes, seeds * classes), groups).macro
