"""Many items by one command: it goes on past a bad one and lists at the end which failed and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

from abaw.core.errors import AbawError, UnexpectedError
from abaw.core.progress import Progress
from abaw.core.text import in_line
from abaw.engine.engine import Engine, Function, Item, Outcome
from abaw.engine.error_log import log_error
from abaw.engine.serial import SERIAL
from pipelines.console import ItemBars, say, say_failures, warn


@dataclass(frozen=True, slots=True)
class Success(Generic[Item, Outcome]):
    """An item that did not fail. name: of the item, as messages call it."""

    item: Item
    name: str
    outcome: Outcome
    seconds: float


@dataclass(frozen=True, slots=True)
class Remarks:
    """What is printed of an item: warnings, and the line on its result."""

    line: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plain(Generic[Item, Outcome]):
    """A function that needs no set-up and reports no progress, for the serial engine."""

    apply: Callable[[Item], Outcome]

    def set_up(self, threads: int | None) -> Callable[[Item, Progress], Outcome]:
        return lambda item, progress: self.apply(item)


def run_items(
    items: Sequence[Item],
    name: Callable[[Item], str],
    function: Function[Item, str | Remarks],
    out: Path,
    engine: Engine = SERIAL,
    unit: str = "",
    finished: Callable[[Item], None] | None = None,
) -> int:
    """Process the items and print what each returns: a line, or remarks.

    Returns the exit status: 1 when any item failed, else 0. out: folder of the log of unexpected errors; engine: by
    default items are processed here; unit: of their progress; finished: called with each item that did not fail.
    """
    failures: list[str] = []
    done = 0
    for success in successes(items, name, function, out, engine, failures, unit):
        remarks = Remarks(success.outcome) if isinstance(success.outcome, str) else success.outcome
        for text in remarks.warnings:
            warn(in_line(f"{success.name}: {text}"))
        say(in_line(f"{success.name}: {remarks.line}"))
        done += 1
        if finished is not None:
            finished(success.item)
    return finish_items(done, failures)


def successes(
    items: Sequence[Item],
    name: Callable[[Item], str],
    function: Function[Item, Outcome],
    out: Path,
    engine: Engine,
    failures: list[str],
    unit: str = "",
) -> Iterator[Success[Item, Outcome]]:
    """The items that do not fail, as they are ready; failed ones are reported.

    failures: filled at the end with a line per failed item, in the order of the items.
    """
    bars = ItemBars(len(items), lambda index: name(items[index]), unit)
    failed: dict[int, str] = {}
    try:
        for result in engine.map(function, items, bars):
            bars.end(result.index)
            if isinstance(result.outcome, AbawError):
                failed[result.index] = report_failure(name(result.item), result.outcome, out)
            else:
                yield Success(result.item, name(result.item), result.outcome, result.seconds)
    finally:
        bars.stop()
    failures += [failed[index] for index in sorted(failed)]


def report_failure(name: str, error: AbawError, out: Path) -> str:
    """Print that an item failed and why; returns the line for the summary.

    The traceback of an unexpected error goes to a log in `out`, which the line names.
    """
    where = _log(name, error, out) if isinstance(error, UnexpectedError) else ""
    say(in_line(f"{name}: failed: {error}{where}"))
    return f"{name}: {error}{where}"


def _log(name: str, error: UnexpectedError, out: Path) -> str:
    try:
        return f" (unexpected; see {log_error(out, name, error)})"
    except AbawError as fault:
        return f" (unexpected, and its traceback could not be saved: {fault})"


def finish_items(done: int, failures: Sequence[str]) -> int:
    """Print how many items failed, and which; returns the exit status."""
    say_failures(done, failures)
    return 1 if failures else 0
