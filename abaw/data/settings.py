"""Names of training choices, separate from the code that implements them with torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from abaw.core.errors import ConfigError

Balance = Literal["uniform", "sqrt", "natural"]
"""How often a class is drawn: all equally, by the square root of its count, or by its count."""

Aggregation = Literal["none", "experts"]
"""What is between a static model's backbone and its head: nothing, or mixtures of experts."""

UnlabelledFrom = Literal["all", "rest", "other"]
"""Which faces a cell of the benchmark uses without labels; see Pool."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Which faces a cell uses without labels.

    unlabelled_from: those of the labelled stores outside its portion (rest), those of the unlabelled stores (other), or
    both (all); unlabelled_limit: at most so many, drawn at random for each seed.
    """

    unlabelled_from: UnlabelledFrom = "all"
    unlabelled_limit: int | None = None

    def __post_init__(self) -> None:
        if self.unlabelled_limit is not None and self.unlabelled_limit < 1:
            raise ConfigError(f"unlabelled_limit {self.unlabelled_limit}; expected at least 1")
