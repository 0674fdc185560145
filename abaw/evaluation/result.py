"""What a validation found out about one set of predictions, and about several side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abaw.evaluation.bootstrap import Difference, Interval
from abaw.evaluation.calibration import Calibration
from abaw.evaluation.metrics import Counts, Evaluation
from abaw.evaluation.multitask import TaskScores
from abaw.evaluation.origin import Origin
from abaw.evaluation.selection import Selection


@dataclass(frozen=True, slots=True)
class Intervals:
    """95 % intervals by bootstrap over videos (`f1_intervals`).

    per_class: of each class's F1 over all annotated frames.
    """

    draws: int
    macro_f1: Interval
    macro_f1_with_face: Interval | None
    per_class: tuple[Interval, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Option:
    """One way to read the predictions, scored.

    class_bias: (C,) fitted on all scored videos, None for none; by_fold: (K, V, C, C) with the bias that was fitted on
    the videos outside each fold; calibration: None where the smoothing leaves no probabilities.
    """

    smoothing: str
    evaluation: Evaluation
    calibration: Calibration | None
    class_bias: NDArray[np.float64] | None = None
    by_fold: Counts | None = None

    @property
    def label(self) -> str:
        return self.smoothing if self.class_bias is None else f"{self.smoothing} + class bias"

    @property
    def names(self) -> list[str]:
        return [video.name for video in self.evaluation.videos]


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """The best of several options, chosen on the videos that are scored.

    labels: of the options; macro_f1, intervals: of each; differences: of each against the first, None for the first.
    selection: what the choice brings on videos that it did not see, with honest_interval; None when there are too few
    videos to tell.
    """

    labels: tuple[str, ...]
    macro_f1: tuple[float, ...]
    intervals: tuple[Interval, ...]
    differences: tuple[Difference | None, ...]
    best: int
    selection: Selection | None
    honest_interval: Interval | None
    num_videos: int

    @property
    def optimistic_f1(self) -> float:
        return self.macro_f1[self.best]


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """One set of predictions, scored.

    name: short, unique in a report; source: where the predictions lie; options: the ways to read them that were
    scored; choice: how one of several was chosen, None when there was one; facts: their provenance (checkpoints, …);
    notes: what a reader must know (videos left out), a sentence each; differences: the same of videos whose label lines
    and frames differ in number.
    """

    name: str
    source: str
    options: tuple[Option, ...]
    intervals: Intervals
    origin: Origin
    choice: Choice | None = None
    tasks: TaskScores | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()

    @property
    def option(self) -> Option:
        """The one whose figures the report gives: the best."""
        return self.options[self.choice.best if self.choice else 0]

    @property
    def evaluation(self) -> Evaluation:
        return self.option.evaluation

    @property
    def leaked(self) -> bool:
        """Models were trained or chosen on what is scored: no figure is honest."""
        return bool(self.origin.trained_on or self.origin.selected_on)

    @property
    def optimistic(self) -> bool:
        """The figures are too high: the setting or the model was chosen on what is scored, or trained on it."""
        return self.choice is not None or self.leaked

    @property
    def smoothing(self) -> str:
        return self.option.label


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Several results on the videos that all of them have.

    rows: one a result, its best option; overall: the best of all options of all results (rows itself when no result
    has chosen); both None when there is no such video. notes: what a reader must know.
    """

    rows: Choice | None
    overall: Choice | None
    notes: tuple[str, ...]
