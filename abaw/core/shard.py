"""Parts of a batch for several runs of one command: each item is in one part, by its name alone."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from abaw.core.artifacts import utf8
from abaw.core.errors import ConfigError

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `number`, from 1, of `count`."""

    number: int
    count: int

    def of(self, items: Sequence[Item], name: Callable[[Item], str]) -> list[Item]:
        """The items of this part, in their order. Which ones does not depend on the other items."""
        return [item for item in items if zlib.crc32(utf8(name(item))) % self.count == self.number - 1]


def parse_shard(text: str) -> Shard:
    """`3/16`. Raises ConfigError for anything else."""
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError(f"shard '{text}': expected a part from 1 to the number of parts, such as 3/16")
    return Shard(int(match[1]), int(match[2]))
