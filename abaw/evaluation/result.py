"""What a validation found out about one set of predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from abaw.evaluation.metrics import Evaluation


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """One set of predictions, scored.

    name: short, unique in a report; source: where the predictions lie; facts: their provenance (checkpoints, …);
    notes: what a reader must know (videos left out), a sentence each; differences: the same of videos whose label lines
    and frames differ in number.
    """

    name: str
    source: str
    smoothing: str
    evaluation: Evaluation
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
