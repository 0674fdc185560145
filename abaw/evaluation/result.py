"""The results of a validation: of one set of predictions, and of several compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from abaw.evaluation.bootstrap import Difference, Interval
from abaw.evaluation.calibration import Calibration
from abaw.evaluation.measures import Measure, sums_of
from abaw.evaluation.metrics import Counts, Evaluation, Floats
from abaw.evaluation.multitask import TaskScores, TaskTally
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


class Scored(Protocol):
    """One way to decode predictions, with what its score is computed from.

    label: its name; names: of the V videos; statistics: (V, …), the sums of each; by_fold: (K, V, …), fitted on the
    videos outside each fold, None when nothing is fitted.
    """

    @property
    def label(self) -> str: ...
    @property
    def names(self) -> list[str]: ...
    @property
    def statistics(self) -> NDArray[np.number]: ...
    @property
    def by_fold(self) -> NDArray[np.number] | None: ...


@dataclass(frozen=True, slots=True, eq=False)
class Option:
    """The scores of one way to decode predictions of expression.

    calibration: None when the smoothing leaves no probabilities; class_bias: (C,), None for no bias; by_fold: (K, V, C,
    C), with what was fitted on the videos outside each fold, None when nothing was; decoding: the smoothing with its
    bias; refitted: the bias was fitted again, next to the same smoothing with the bias of a file.
    """

    smoothing: str
    evaluation: Evaluation
    calibration: Calibration | None
    class_bias: NDArray[np.float64] | None = None
    by_fold: Counts | None = None
    decoding: Smoothing | None = None
    refitted: bool = False

    @property
    def label(self) -> str:
        bias = "" if self.class_bias is None else " + class bias"
        return f"{self.smoothing}{bias}{' (refitted)' if self.refitted else ''}"

    @property
    def names(self) -> list[str]:
        return [video.name for video in self.evaluation.videos]

    @property
    def statistics(self) -> Counts:
        return self.evaluation.confusions


@dataclass(frozen=True, slots=True, eq=False)
class TaskOption:
    """The sums of one smoothing of predictions without expression. names: of V videos; tallies: V of them."""

    label: str
    names: list[str]
    tallies: tuple[TaskTally, ...]
    by_fold: None = None

    @property
    def statistics(self) -> Floats:
        return np.stack([sums_of(tally) for tally in self.tallies])


@dataclass(frozen=True, slots=True, eq=False)
class BestOption:
    """The best of several options by `measure`, chosen on the scored videos.

    labels: of the options; scores, intervals: of each; differences: of each from the first, None for the first;
    selection: the unbiased estimate by nested selection, with nested_interval; None when there are too few videos.
    """

    measure: Measure
    labels: tuple[str, ...]
    scores: tuple[float, ...]
    intervals: tuple[Interval, ...]
    differences: tuple[Difference | None, ...]
    best: int
    selection: Selection | None
    nested_interval: Interval | None
    num_videos: int

    @property
    def optimistic_score(self) -> float:
        return self.scores[self.best]


OneOption = TypeVar("OneOption", Option, TaskOption)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ScoredPredictions(Generic[OneOption]):
    """The scores of one set of predictions.

    name: short, unique in a report; source: where the predictions are stored; options: the scored ways to decode them;
    choice: how one of several options was chosen, None when there is only one; facts: provenance (checkpoints, …);
    notes: sentences for the reader (videos left out, …); differences: sentences about videos whose numbers of label
    lines and frames differ.
    """

    name: str
    source: str
    options: tuple[OneOption, ...]
    origin: Origin
    choice: BestOption | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()

    @property
    def option(self) -> OneOption:
        """The best option, whose figures are reported."""
        return self.options[self.choice.best if self.choice else 0]

    @property
    def smoothing(self) -> str:
        return self.option.label

    @property
    def num_videos(self) -> int:
        return len(self.option.names)

    @property
    def leaked(self) -> bool:
        """Models, their weights or a smoothing were trained or chosen on scored videos: no figure is unbiased."""
        return self.origin.leaked

    @property
    def optimistic(self) -> bool:
        """The figures are too high: the option was chosen on the scored videos, or something before it was."""
        return self.choice is not None or self.leaked


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Result(ScoredPredictions[Option]):
    """The scores of predictions of expression. tasks: of the other tasks, None without any."""

    intervals: Intervals
    tasks: TaskScores | None = None

    @property
    def evaluation(self) -> Evaluation:
        return self.option.evaluation


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TaskResult(ScoredPredictions[TaskOption]):
    """The scores of predictions without expression, by `measure`. draws: of the bootstrap."""

    tasks: TaskScores
    measure: Measure
    draws: int


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Several results, compared on the videos that all of them have.

    rows: the best option of each result; overall: the best of all options of all results (equal to rows when no result
    has a choice); both None when there are no such videos; notes: sentences for the reader.
    """

    rows: BestOption | None
    overall: BestOption | None
    notes: tuple[str, ...]
