"""Progress is reported through a hook, so the library never prints."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called with the amount done so far and the total (None: unknown), both in the same unit."""

    def __call__(self, done: int, total: int | None) -> None: ...


def silent(done: int, total: int | None) -> None:
    """A hook that reports nothing."""
