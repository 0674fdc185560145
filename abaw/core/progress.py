"""How long work tells where it stands: through a hook, so that the library never prints."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called with the work done so far and in all (None: not known), in the unit of the task."""

    def __call__(self, done: int, total: int | None) -> None: ...


def silent(done: int, total: int | None) -> None:
    """The hook that tells nobody."""
