"""What the application says: lines, warnings and progress, on standard error; results go to standard output.

Of several processes of one training the first speaks for all. Control characters, which file names may contain, are
printed as escapes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TextIO

from abaw.core.processes import is_first_process
from abaw.core.progress import Progress
from abaw.core.text import in_line, visible

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_SECONDS_BETWEEN_LINES = 10.0
_ITEMS_SHOWN = 8


@dataclass(slots=True)
class Listener:
    """Takes what commands say, instead of the terminal, while they are called from Python.

    hook: gets the progress: a description, how much is done, the total or None. news, results, failures: lines so far;
    a failure is a line per failed item.
    """

    hook: Callable[[str, int, int | None], None] = lambda description, done, total: None
    news: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Nothing is printed inside; the listener gets it."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def say(text: str) -> None:
    """One line of news."""
    if (listener := _listener.get()) is not None:
        listener.news.append(text)
    elif is_first_process():
        show(text, sys.stderr)


def say_failures(done: int, failures: Sequence[str]) -> None:
    """How many items failed, and which."""
    if (listener := _listener.get()) is not None:
        listener.failures += failures
    elif failures:
        say(f"{done} done, {len(failures)} failed:")
        for failure in failures:
            say(f"  {in_line(failure)}")


def show(text: str, stream: TextIO) -> None:
    """Print a line; characters that the stream's encoding lacks are printed as escapes, too."""
    encoding = stream.encoding or "utf-8"
    print(visible(text).encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


def warn(text: str) -> None:
    say(f"warning: {text}")


def result(text: str) -> None:
    """What the command is for, on standard output."""
    if (listener := _listener.get()) is not None:
        listener.results.append(text)
    elif is_first_process():
        show(text, sys.stdout)


@contextmanager
def progress(description: str, unit: str = "") -> Iterator[Progress]:
    """A hook that draws a bar on a terminal and prints a line now and then elsewhere."""
    if (listener := _listener.get()) is not None:
        yield partial(listener.hook, description)
        return
    if not _draws():
        yield _lines(description, unit)
        return
    with _new_bars() as bars:
        yield _bar(bars, description)


class ItemBars:
    """The progress of the items of an engine, wherever they are processed: on a terminal a bar for all items and one
    per current item, a line now and then elsewhere. Of many current items a few are shown.

    name: of the item of an index; unit: of an item's progress.
    """

    def __init__(self, num_items: int, name: Callable[[int], str], unit: str) -> None:
        self._name, self._unit = name, unit
        self._bars = _new_bars() if _draws() else None
        self._all = _bar(self._bars, "all") if self._bars is not None and num_items > 1 else None
        self._num_items, self._ended = num_items, 0
        self._hooks: dict[int, Progress] = {}

    def __call__(self, index: int, done: int, total: int | None) -> None:
        if index not in self._hooks:
            if len(self._hooks) == _ITEMS_SHOWN:
                return
            self._hooks[index] = self._begin(self._name(index))
        self._hooks[index](done, total)

    def _begin(self, name: str) -> Progress:
        if (listener := _listener.get()) is not None:
            return partial(listener.hook, name)
        if self._bars is None:
            return _lines(name, self._unit)
        self._bars.start()
        return _bar(self._bars, name)

    def end(self, index: int) -> None:
        """Remove the bar of an item, and count it."""
        self._ended += 1
        hook = self._hooks.pop(index, None)
        if self._bars is not None and isinstance(hook, _Bar):
            self._bars.remove_task(hook.task)
        if self._all is not None:
            self._all(self._ended, self._num_items)
        elif not self._hooks:
            self.stop()

    def stop(self) -> None:
        if self._bars is not None:
            self._bars.stop()


def _draws() -> bool:
    return _listener.get() is None and sys.stderr.isatty() and is_first_process()


def _new_bars() -> RichProgress:
    # Loaded for a terminal alone: most commands of a script never need it.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return RichProgress(*columns, console=Console(stderr=True), transient=True)


@dataclass(frozen=True, slots=True)
class _Bar:
    bars: RichProgress
    task: TaskID

    def __call__(self, done: int, total: int | None) -> None:
        self.bars.update(self.task, completed=done, total=total)


def _bar(bars: RichProgress, description: str) -> _Bar:
    # Loaded for a terminal alone: most commands of a script never need it.
    from rich.markup import escape

    return _Bar(bars, bars.add_task(escape(in_line(description)), total=None))


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
