"""Work over many items that goes on past a bad one and tells at the end which failed and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from abaw.core.errors import AbawError
from pipelines.console import say

Item = TypeVar("Item")


def run_batch(items: Iterable[Item], name: Callable[[Item], str], work: Callable[[Item], str]) -> int:
    """Call `work` on each item and print the line it returns; an AbawError is noted and the rest is done.

    Returns the exit status: 0, or 1 when any item failed (each failure is listed again at the end).
    """
    failures: list[str] = []
    done = 0
    for item in items:
        try:
            say(f"{name(item)}: {work(item)}")
            done += 1
        except AbawError as error:
            failures.append(f"{name(item)}: {error}")
            say(f"{name(item)}: failed: {error}")
    return finish_batch(done, failures)


def finish_batch(done: int, failures: list[str]) -> int:
    """Tell the outcome of a batch; returns the exit status."""
    if failures:
        say(f"{done} done, {len(failures)} failed:")
        for failure in failures:
            say(f"  {failure}")
    return 1 if failures else 0
