"""What a resume state holds, checked before a run continues from it: the file may be of another run, or damaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from abaw.core.typed import from_plain


@dataclass(frozen=True, slots=True)
class SavedProgress:
    """How far a run was. done: number of finished steps; scores, best: by name, at the steps scored_at and best_at.

    seconds: of the clock; states of older versions have none.
    """

    done: int
    scored_at: int
    best_at: int
    scores: dict[str, Any]
    best: dict[str, Any]
    seconds: dict[str, float] = field(default_factory=dict)


def saved_progress(state: Mapping[str, Any], steps: int, parts: Sequence[str]) -> SavedProgress:
    """The progress in a state.

    steps: of the whole run; parts: keys of the states of its objects. Raises ValueError for missing keys and impossible
    values.
    """
    for part in parts:
        if not isinstance(state[part], dict):
            raise ValueError(f"{part}: expected a dict, found {type(state[part]).__name__}")
    names = [each.name for each in fields(SavedProgress)]
    saved = from_plain(SavedProgress, {name: state[name] for name in names if name in state})
    if not 0 <= saved.done <= steps:
        raise ValueError(f"{saved.done} finished steps of {steps}")
    for name, value in {**saved.scores, **saved.best}.items():
        if not isinstance(value, float | int):
            raise ValueError(f"score '{name}': expected a number, found {type(value).__name__}")
    return saved


def restore_optimizer(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Load the optimiser's state. Raises what torch raises, and ValueError for values that its steps could not use."""
    settings = [_settings(group) for group in optimizer.param_groups]
    optimizer.load_state_dict(dict(state))
    if [_kinds(_settings(group)) for group in optimizer.param_groups] != [_kinds(group) for group in settings]:
        raise ValueError("the settings of the optimiser are of other types")
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            if not isinstance(value, torch.Tensor) or value.shape not in (torch.Size(), parameter.shape):
                raise ValueError(f"{name} of the optimiser does not fit a weight of shape {list(parameter.shape)}")
            if not torch.isfinite(value).all():
                raise ValueError(f"{name} of the optimiser is not finite")


def _settings(group: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if name != "params"}


def _kinds(settings: Mapping[str, Any]) -> dict[str, type]:
    return {name: type(value) for name, value in settings.items()}


def require_finite_weights(model: nn.Module) -> None:
    """Raise ValueError, naming the first tensor at fault, unless all weights are finite."""
    for name, tensor in model.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"the weights '{name}' are not finite")
