"""The parts of a static model, as its spec and a method's settings describe them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from abaw.core.errors import ConfigError
from abaw.core.typed import from_plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Experts:
    """Mixtures of experts after the backbone (LEAF, arXiv 2404.15041). Raises ConfigError for values out of range.

    Args:
        count: experts per mixture
        top_k: experts used per face; with 1, the gate learns only from the balance loss
        shared: use one expert for all, as in the code published with LEAF
        temperature: the gate's scores are divided by it before their softmax; below 1, one expert dominates, above 1
            those that are used count more equally
    """

    count: int = 8
    top_k: int = 2
    shared: bool = False
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.top_k <= self.count:
            raise ConfigError(f"experts: top_k {self.top_k} of {self.count}; expected 1 <= top_k <= count")
        if not self.temperature > 0:
            raise ConfigError(f"experts: temperature {self.temperature:g}; expected more than 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """The parts of a static model. Raises ConfigError for 1 or a negative number of attention maps.

    backbone: its name; experts: None for no mixtures; attention_maps: 0 for mean pooling.
    """

    backbone: str
    experts: Experts | None = None
    attention_maps: int = 0

    def __post_init__(self) -> None:
        if self.attention_maps < 0 or self.attention_maps == 1:
            raise ConfigError(f"attention_maps is {self.attention_maps}; expected 0 (none) or at least 2")

    def plain(self) -> dict[str, Any]:
        """The form stored in a spec; absent parts have no key."""
        found: dict[str, Any] = {"name": self.backbone}
        if self.experts is not None:
            found["experts"] = asdict(self.experts)
        if self.attention_maps:
            found["attention_maps"] = self.attention_maps
        return found


def read_architecture(values: Mapping[str, Any]) -> Architecture:
    """The inverse of `plain`. Raises ValueError for a missing or unknown key and for a value of another type."""
    named = {"backbone" if key == "name" else key: value for key, value in values.items()}
    return from_plain(Architecture, named, "architecture")
