"""The finished items of a large batch, which are left out when it is resumed, without opening their results."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Generic

from abaw.core.artifacts import provenance
from abaw.core.config import to_plain
from abaw.core.ledger import Ledger, Made, file_facts
from abaw.engine.engine import Item
from abaw.stores.folders import MOST_IN_A_FOLDER
from pipelines.console import say
from pipelines.engine_settings import BatchSettings


class Finished(Generic[Item]):
    """What is finished, as a ledger in `out` records it; of a small batch nothing is recorded.

    num_items: of the whole batch; settings: see `made_with`; files: of an item, None if they are not known beforehand.
    """

    def __init__(self, out: Path, num_items: int, settings: Any, files: Callable[[Item], Made | None]) -> None:
        self._ledger = Ledger(out, settings) if num_items > MOST_IN_A_FOLDER else None
        self._files = files

    def left(self, items: Sequence[Item]) -> Sequence[Item]:
        """The items that are not known to be finished; says how many are."""
        ledger = self._ledger
        if ledger is None:
            return items
        left = [item for item in items if (made := self._files(item)) is None or not ledger.has(made)]
        if len(left) < len(items):
            say(f"{len(items) - len(left)} of {len(items)} are finished already")
        return left

    def add(self, item: Item) -> None:
        """Record an item that is finished now."""
        made = None if self._ledger is None else self._files(item)
        if self._ledger is not None and made is not None:
            self._ledger.add(made)


def made_with(config: Any, without: Collection[str], models: Iterable[Path]) -> dict[str, Any]:
    """What determines the results of all items: the settings, except those of the engine and `without`, and models."""
    left_out = {*without, *(field.name for field in fields(BatchSettings))}
    settings = {name: value for name, value in to_plain(config).items() if name not in left_out}
    return {**provenance(settings=settings), "models": file_facts(models)}
