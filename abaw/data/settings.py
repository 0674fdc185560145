"""Names of training choices, separate from the code that implements them with torch."""

from __future__ import annotations

from typing import Literal

Balance = Literal["uniform", "sqrt", "natural"]
"""How often a class is drawn: all equally, by the square root of its count, or by its count."""

Aggregation = Literal["none", "experts"]
"""What is between a static model's backbone and its head: nothing, or mixtures of experts."""
