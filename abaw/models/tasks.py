"""What a temporal model's outputs stand for: one vector a frame, the tasks side by side.

Shapes: (…, O) outputs; expression takes the first C of them, then valence and arousal, then the action units.
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
"""Numbers a frame by task: class logits; valence and arousal before tanh; a logit an action unit."""


def ordered_tasks(tasks: Sequence[str]) -> tuple[str, ...]:
    """The tasks in the order of the outputs. Raises ConfigError for an unknown one, or when expression is not there."""
    for task in tasks:
        if task not in TASKS:
            raise ConfigError(f"unknown task '{task}'; there are {', '.join(TASKS)}.{nearest(task, TASKS)}")
    if "expression" not in tasks:
        raise ConfigError("tasks must hold 'expression': the other tasks are trained beside it")
    return tuple(task for task in TASKS if task in tasks)


def split_outputs(outputs: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
    """outputs: (…, O). Returns by task its part (…, numbers of the task), raw; `tasks` in the order of the outputs."""
    parts = torch.split(outputs, [NUM_OUTPUTS[task] for task in tasks], dim=-1)
    return dict(zip(tasks, parts, strict=True))
