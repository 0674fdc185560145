"""The engine without workers: one item after the other, in this process."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from abaw.core.errors import AbawError
from abaw.engine.attempt import attempt
from abaw.engine.engine import Function, Item, ItemProgress, ItemResult, Outcome, silent


@dataclass(frozen=True, slots=True)
class SerialEngine:
    """Items run in this process, with the threads that the libraries take by default."""

    def map(
        self, function: Function[Item, Outcome], items: Sequence[Item], progress: ItemProgress = silent
    ) -> Iterator[ItemResult[Item, Outcome]]:
        """See Engine.map."""
        if not items:
            return
        apply = attempt(lambda: function.set_up(None))
        if isinstance(apply, AbawError):
            raise apply
        for index, item in enumerate(items):
            start = time.monotonic()
            outcome = attempt(partial(apply, item, partial(progress, index)))
            yield ItemResult(index, item, outcome, time.monotonic() - start)


SERIAL = SerialEngine()
