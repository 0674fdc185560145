"""The finished items of a large batch, which are left out when it is resumed, without opening their results."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Generic

from abaw.core.artifacts import provenance
from abaw.core.config import to_plain
from abaw.core.ledger import Ledger, Made, file_facts
from abaw.core.mirror import NOTHING_REMOTE, Mirror
from abaw.engine.engine import Item
from abaw.stores.folders import MOST_IN_A_FOLDER
from pipelines.console import say
from pipelines.engine_settings import BatchSettings

_SECONDS_BETWEEN_COPIES = 30.0


class Finished(Generic[Item]):
    """What is finished, as a ledger in `out` records it; of a small batch of local files nothing is recorded.

    num_items: of the whole batch; settings: see `made_with`; files: of an item, None if they are not known beforehand;
    mirror: of remote files; their content is not needed to know that they are finished.
    """

    def __init__(
        self,
        out: Path,
        num_items: int,
        settings: Any,
        files: Callable[[Item], Made | None],
        mirror: Mirror = NOTHING_REMOTE,
    ) -> None:
        most = MOST_IN_A_FOLDER if mirror is NOTHING_REMOTE else 0
        self._ledger = Ledger(out, settings, mirror.name) if num_items > most else None
        self._files = files
        self._mirror = mirror
        self._pushed = time.monotonic()

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
        if self._ledger is None or made is None:
            return
        self._mirror.look_up([*made.inputs, *made.outputs])
        self._ledger.add(made)
        if self._ledger.path and time.monotonic() - self._pushed > _SECONDS_BETWEEN_COPIES:
            self._pushed = time.monotonic()
            self._mirror.push([self._ledger.path])


def made_with(config: Any, without: Collection[str], models: Iterable[Path]) -> dict[str, Any]:
    """What determines the results of all items: the settings, except those of the engine and `without`, and models."""
    left_out = {*without, *(field.name for field in fields(BatchSettings))}
    settings = {name: value for name, value in to_plain(config).items() if name not in left_out}
    return {**provenance(settings=settings), "models": file_facts(models)}
