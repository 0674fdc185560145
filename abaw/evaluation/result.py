"""The results of a validation: of one set of predictions, and of several compared."""

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
from abaw.sequence.smooth import Smoothing


@dataclass(frozen=True, slots=True)
class Intervals:
    """95 % intervals by bootstrap over videos (`f1_intervals`).

    macro_f1_with_face: None without frames with a face; per_class: of each class's F1 over all annotated frames.
    """

    draws: int
    macro_f1: Interval
    macro_f1_with_face: Interval | None
    per_class: tuple[Interval, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Option:
    """The scores of one way to decode the predictions.

    calibration: None when the smoothing leaves no probabilities; class_bias: (C,), None for no bias; by_fold: (K, V, C,
    C), with what was fitted on the videos outside each fold, None when nothing was; decoding: the smoothing with its
    bias.
    """

    smoothing: str
    evaluation: Evaluation
    calibration: Calibration | None
    class_bias: NDArray[np.float64] | None = None
    by_fold: Counts | None = None
    decoding: Smoothing | None = None

    @property
    def label(self) -> str:
        return self.smoothing if self.class_bias is None else f"{self.smoothing} + class bias"

    @property
    def names(self) -> list[str]:
        return [video.name for video in self.evaluation.videos]


@dataclass(frozen=True, slots=True, eq=False)
class BestOption:
    """The best of several options, chosen on the scored videos.

    labels: of the options; macro_f1, intervals: of each; differences: of each from the first, None for the first;
    selection: the unbiased estimate by nested selection, with nested_interval; None when there are too few videos.
    """

    labels: tuple[str, ...]
    macro_f1: tuple[float, ...]
    intervals: tuple[Interval, ...]
    differences: tuple[Difference | None, ...]
    best: int
    selection: Selection | None
    nested_interval: Interval | None
    num_videos: int

    @property
    def optimistic_f1(self) -> float:
        return self.macro_f1[self.best]


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """The scores of one set of predictions.

    name: short, unique in a report; source: where the predictions are stored; options: the scored ways to decode them;
    choice: how one of several options was chosen, None when there is only one; facts: provenance (checkpoints, …);
    notes: sentences for the reader (videos left out, …); differences: sentences about videos whose numbers of label
    lines and frames differ.
    """

    name: str
    source: str
    options: tuple[Option, ...]
    intervals: Intervals
    origin: Origin
    choice: BestOption | None = None
    tasks: TaskScores | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()

    @property
    def option(self) -> Option:
        """The best option, whose figures are reported."""
        return self.options[self.choice.best if self.choice else 0]

    @property
    def evaluation(self) -> Evaluation:
        return self.option.evaluation

    @property
    def num_videos(self) -> int:
        return len(self.evaluation.videos)

    @property
    def leaked(self) -> bool:
        """Models were trained or chosen on scored videos: no figure is unbiased."""
        return self.origin.leaked

    @property
    def optimistic(self) -> bool:
        """The figures are too high: the option or the model was chosen on scored videos, or trained on them."""
        return self.choice is not None or self.leaked

    @property
    def smoothing(self) -> str:
        return self.option.label


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Several results, compared on the videos that all of them have.

    rows: the best option of each result; overall: the best of all options of all results (equal to rows when no result
    has a choice); both None when there are no such videos; notes: sentences for the reader.
    """

    rows: BestOption | None
    overall: BestOption | None
    notes: tuple[str, ...]
