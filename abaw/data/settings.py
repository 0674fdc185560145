"""Names of choices about training, apart from the code that needs torch to carry them out."""

from __future__ import annotations

from typing import Literal

Balance = Literal["uniform", "sqrt", "natural"]
"""How often a class is drawn: all alike, by the square root of its count, or by its count."""

Aggregation = Literal["none", "experts"]
"""What stands between a static model's backbone and its head: nothing, or mixtures of experts."""
