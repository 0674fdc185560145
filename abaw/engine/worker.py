"""The life of a worker process: set up once, then apply the function to items until the connection is closed."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Generic

from abaw.core.errors import AbawError
from abaw.core.progress import Progress
from abaw.engine.attempt import attempt, unexpected
from abaw.engine.engine import Function, Item, Outcome
from abaw.engine.resources import limit_threads

_SECONDS_BETWEEN_REPORTS = 0.5


@dataclass(frozen=True, slots=True)
class Report:
    """The progress of the current item."""

    done: int
    total: int | None


@dataclass(frozen=True, slots=True)
class Done(Generic[Outcome]):
    """The result of the current item."""

    outcome: Outcome | AbawError
    seconds: float


@dataclass(frozen=True, slots=True)
class SetUpFailed:
    """The worker cannot process any item."""

    error: AbawError


Message = Report | Done[Outcome] | SetUpFailed


def serve(connection: Connection, function: Function[Item, Outcome], threads: int) -> None:
    """Process the items that come through the connection, and send messages back."""
    # An interrupt from the terminal reaches every process; the parent alone decides what follows.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    limit_threads(threads)  # what unpickling the function has loaded
    # Either error: the parent has closed its end, or is gone, and nobody is left to read a message.
    with contextlib.suppress(EOFError, ConnectionError):
        _serve(connection, attempt(lambda: function.set_up(threads)), threads)


def _serve(connection: Connection, apply: Callable[[Item, Progress], Outcome] | AbawError, threads: int) -> None:
    if isinstance(apply, AbawError):
        connection.send(SetUpFailed(apply))
        return
    while True:
        item = connection.recv()
        limit_threads(threads)  # what `set_up` or the item before has loaded
        start = time.monotonic()
        outcome = attempt(partial(apply, item, _reporter(connection)))
        _send(connection, Done(outcome, time.monotonic() - start))


def _send(connection: Connection, done: Done[Outcome]) -> None:
    try:
        connection.send(done)
    except OSError:  # the parent is gone
        raise
    except Exception as error:  # the outcome cannot be pickled
        connection.send(Done(unexpected(error), done.seconds))


def _reporter(connection: Connection) -> Progress:
    last = time.monotonic()

    def report(done: int, total: int | None) -> None:
        nonlocal last
        if done == total or time.monotonic() - last >= _SECONDS_BETWEEN_REPORTS:
            last = time.monotonic()
            connection.send(Report(done, total))

    return report


def _end_with_parent() -> None:
    """Without its parent, a worker would go on for nobody."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
