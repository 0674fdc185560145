"""What the application says: lines, warnings and progress, on standard error; results go to standard output.

Of several processes of one training the first speaks for all.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from abaw.core.processes import is_first_process
from abaw.core.progress import Progress

_SECONDS_BETWEEN_LINES = 10.0


def say(text: str) -> None:
    """One line of news."""
    if is_first_process():
        print(text, file=sys.stderr, flush=True)


def warn(text: str) -> None:
    say(f"warning: {text}")


def result(text: str) -> None:
    """What the command is for, on standard output."""
    if is_first_process():
        print(text, flush=True)


@contextmanager
def progress(description: str, unit: str = "") -> Iterator[Progress]:
    """A hook that draws a bar on a terminal and prints a line now and then elsewhere."""
    if sys.stderr.isatty() and is_first_process():
        with _bar(description) as hook:
            yield hook
    else:
        yield _lines(description, unit)


@contextmanager
def _bar(description: str) -> Iterator[Progress]:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=None)

        def hook(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        yield hook


def _lines(description: str, unit: str) -> Progress:
    last = time.monotonic()

    def hook(done: int, total: int | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES:
            last = now
            of = f" of {total}" if total is not None else ""
            say(f"{description}: {done}{of} {unit}".rstrip())

    return hook
