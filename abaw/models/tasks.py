"""The layout of a temporal model's outputs: one vector per frame that holds all its tasks.

Shapes: outputs (…, O): first the C of expression, then valence and arousal, then the action units, as far as learned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, TypeVar

from abaw.core.errors import ConfigError, nearest
from abaw.protocol.classes import EXPRESSION_CLASSES, NUM_ACTION_UNITS, TASKS, VALENCE_AROUSAL
from abaw.stores.spec import Spec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    Outputs = TypeVar("Outputs", Tensor, NDArray[np.float32])

NUM_OUTPUTS: Mapping[str, int] = {
    "expression": len(EXPRESSION_CLASSES),
    "valence_arousal": len(VALENCE_AROUSAL),
    "action_units": NUM_ACTION_UNITS,
}
"""Outputs per frame, by task: class logits; valence and arousal before tanh; one logit per action unit."""


def ordered_tasks(tasks: Sequence[str]) -> tuple[str, ...]:
    """The tasks in the order of the outputs. Raises ConfigError for an unknown task, or without any."""
    for task in tasks:
        if task not in TASKS:
            raise ConfigError(f"unknown task '{task}'; expected {', '.join(TASKS)}.{nearest(task, TASKS)}")
    if not tasks:
        raise ConfigError(f"no task given; expected one or more of {', '.join(TASKS)}")
    return tuple(task for task in TASKS if task in tasks)


def require_expression(tasks: Sequence[str], user: str) -> None:
    """Raise ConfigError, which names the `user`, when expression is not among the tasks."""
    if "expression" not in ordered_tasks(tasks):
        raise ConfigError(f"{user} scores and shows expressions: tasks must include 'expression'")


def spec_tasks(spec: Spec) -> tuple[str, ...]:
    """A temporal model's tasks, in the order of its outputs."""
    return tuple(spec.architecture.get("tasks", ("expression",)))


def is_causal(spec: Spec) -> bool:
    """Whether a temporal model sees no later frames."""
    return bool(spec.architecture.get("causal", False))


def split_outputs(outputs: Outputs, tasks: Sequence[str]) -> dict[str, Outputs]:
    """The raw outputs of each task, by name, (…, NUM_OUTPUTS[task]).

    outputs: (…, O); tasks: in the order of the outputs. Raises ValueError when O is not theirs.
    """
    ends = list(accumulate(NUM_OUTPUTS[task] for task in tasks))
    if outputs.shape[-1] != ends[-1]:
        raise ValueError(f"{outputs.shape[-1]} outputs per frame, expected {ends[-1]} for {', '.join(tasks)}")
    return {task: outputs[..., end - NUM_OUTPUTS[task] : end] for task, end in zip(tasks, ends, strict=True)}
