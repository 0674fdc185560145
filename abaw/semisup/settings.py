"""The settings of each method, apart from the methods, which need torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from abaw.core.errors import ConfigError

MethodName = Literal["supervised"]


@dataclass(frozen=True, slots=True)
class SupervisedSettings:
    """Settings of `supervised`.

    Args:
        view: how far the training images are changed
        label_smoothing: part of the target that is spread over all classes
    """

    view: Literal["weak", "strong"] = "strong"
    label_smoothing: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise ConfigError(f"label_smoothing is {self.label_smoothing}; expected 0 <= label_smoothing < 1")
