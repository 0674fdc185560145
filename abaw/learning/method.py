"""The interface of a training method: its views of a batch, its step, and state that is learned besides the weights.

The training loop knows methods only through this class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor, nn


class Batch(Protocol):
    """What the loop needs from a batch: the names of its samples, for messages.

    A batch is a NamedTuple of tensors, which the loop moves to the device.
    """

    @property
    def ids(self) -> Sequence[str]: ...


Raw = TypeVar("Raw", bound=Batch)
"""The batch as read (uint8 images, stored features), on the device."""
Viewed = TypeVar("Viewed", bound=Batch)
"""The batch that the step receives: augmented and normalised."""


class StepResult(NamedTuple):
    """loss: the scalar to minimise; logs: scalars to log, by name (`loss/labelled`)."""

    loss: Tensor
    logs: dict[str, Tensor]


class Method(nn.Module, ABC, Generic[Raw, Viewed]):
    """A training method. model: what is evaluated, averaged and saved.

    State that is learned besides the weights (thresholds, running means) is kept in buffers or `get_extra_state`: it is
    part of `state_dict()` and survives a resume.
    """

    model: nn.Module
    # Whether `follow_up` is called.
    has_follow_up: bool = False
    # In a tuple: as a plain attribute the module would be trained and saved with this one.
    _average: tuple[nn.Module, ...] = ()

    @property
    def average(self) -> nn.Module:
        """The average of `model` that the loop keeps, in eval mode; `model` itself when it keeps none."""
        return self._average[0] if self._average else self.model

    def use_average(self, model: nn.Module) -> None:
        """Called once by the loop that keeps the average."""
        self._average = (model,)

    @abstractmethod
    def views(self, batch: Raw, generator: torch.Generator) -> Viewed:
        """Augment and normalise a batch on its device; called without gradients."""

    @abstractmethod
    def step(self, batch: Viewed) -> StepResult:
        """The loss of one batch, and what to log. Does not step the optimiser."""

    def follow_up(self, batch: Viewed) -> StepResult | None:
        """A second loss of the same batch, after the optimiser's step on the first, for a second step; None for none.

        Weights without a gradient do not change in a step. Not for data-parallel runs, where all weights need one.
        """
        return None

    def update(self, batch: Viewed) -> None:
        """Update the state besides the weights; called after the optimiser's steps, without gradients."""

    def forward(self, batch: Viewed) -> StepResult:
        """Call `step`: data-parallel wrappers call a module's `forward`."""
        return self.step(batch)
