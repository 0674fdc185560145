"""What a training method is: its views of a batch, its step, and state that learns beside the weights.

One method = one file. The training loop knows the methods through this class alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor, nn


class Batch(Protocol):
    """What the loop needs of a batch: the names of its samples, for messages.

    Write batches as NamedTuples of tensors: the loop moves those to the device.
    """

    @property
    def ids(self) -> Sequence[str]: ...


Raw = TypeVar("Raw", bound=Batch)
"""The batch as it is read (uint8 images, stored features), on the device."""
Viewed = TypeVar("Viewed", bound=Batch)
"""The batch as the step takes it: augmented and normalised."""


class StepResult(NamedTuple):
    """loss: scalar to minimise; logs: scalars to write down, by name (`loss/labelled`)."""

    loss: Tensor
    logs: dict[str, Tensor]


class Method(nn.Module, ABC, Generic[Raw, Viewed]):
    """A training method. `model` is what is evaluated, averaged and saved.

    What learns beside the weights (thresholds, running means) is kept in buffers, or in `get_extra_state`, and so is
    part of `state_dict()` and survives a resume.
    """

    model: nn.Module
    # In a tuple, since a module that is an attribute would be trained and saved with this one.
    _average: tuple[nn.Module, ...] = ()

    @property
    def average(self) -> nn.Module:
        """The running average of `model` that the loop keeps, in eval mode; `model` itself where it keeps none."""
        return self._average[0] if self._average else self.model

    def use_average(self, model: nn.Module) -> None:
        """Called once by the loop that keeps the average."""
        self._average = (model,)

    @abstractmethod
    def views(self, batch: Raw, generator: torch.Generator) -> Viewed:
        """Augment and normalise a batch on its device; called without gradients."""

    @abstractmethod
    def step(self, batch: Viewed) -> StepResult:
        """The loss of one batch. Steps no optimiser and logs nothing itself."""

    def update(self, batch: Viewed) -> None:
        """Update what learns beside the weights; called after the optimiser's step, without gradients."""

    def forward(self, batch: Viewed) -> StepResult:
        """`step`, by the name through which data-parallel wrappers call a module."""
        return self.step(batch)
