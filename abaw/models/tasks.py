"""The layout of a temporal model's outputs: one vector per frame that holds all its tasks.

Shapes: outputs (…, O): first the C of expression, then valence and arousal, then the action units, as far as learned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from abaw.core.errors import ConfigError, nearest
from abaw.protocol.classes import EXPRESSION_CLASSES, NUM_ACTION_UNITS, TASKS, VALENCE_AROUSAL

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


def split_outputs(outputs: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
    """The raw outputs of each task, by name, (…, NUM_OUTPUTS[task]).

    outputs: (…, O); tasks: in the order of the outputs.
    """
    parts = torch.split(outputs, [NUM_OUTPUTS[task] for task in tasks], dim=-1)
    return dict(zip(tasks, parts, strict=True))
