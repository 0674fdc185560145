"""The engine of this machine: worker processes, each with its own threads or GPU.

concurrent.futures and loky lose every waiting item when one worker dies; here a dead worker loses its own item alone.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any, Generic

from abaw.core.errors import DataError
from abaw.engine.engine import Function, Item, ItemProgress, ItemResult, Outcome, silent
from abaw.engine.resources import environment, worker_environment
from abaw.engine.worker import Done, Message, Report, SetUpFailed, serve

_SECONDS_TO_END = 3.0


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """One worker process per place. places: see worker_places; threads: of each worker, at least 1.

    No worker outlives this process, however it ends.
    """

    places: Sequence[str | None]
    threads: int

    def map(
        self, function: Function[Item, Outcome], items: Sequence[Item], progress: ItemProgress = silent
    ) -> Iterator[ItemResult[Item, Outcome]]:
        """See Engine.map. When a worker dies, its item fails and a new worker takes its place."""
        waiting = deque(range(len(items)))
        workers: list[_Worker[Item, Outcome]] = []
        try:
            for place in self.places[: len(items)]:
                workers.append(_Worker(function, place, self.threads))
                workers[-1].give(waiting, items)
            while busy := [worker for worker in workers if worker.index is not None]:
                for worker in _ready(busy):
                    index, message = worker.receive()
                    if isinstance(message, Report):
                        progress(index, message.done, message.total)
                        continue
                    if isinstance(message, SetUpFailed):
                        raise message.error
                    yield ItemResult(index, items[index], message.outcome, message.seconds)
                    worker.give(waiting, items)
        finally:
            _end(workers)


class _Worker(Generic[Item, Outcome]):
    """A process and the index of its current item, None when it has none."""

    def __init__(self, function: Function[Item, Outcome], place: str | None, threads: int) -> None:
        self._function, self._place, self._threads = function, place, threads
        self.index: int | None = None
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        arguments = (theirs, self._function, self._threads)
        self.process = context.Process(target=serve, args=arguments, daemon=True)
        # The variables must be there before the process unpickles anything, which may load torch.
        with environment(worker_environment(self._threads, self._place)), _interrupts_held_back(), _main_left_out():
            self.process.start()
        theirs.close()

    def give(self, waiting: deque[int], items: Sequence[Item]) -> None:
        """Hand over the next item, to a new process when the old one has died; without one the process ends."""
        self.index = waiting.popleft() if waiting else None
        if self.index is None:
            self.connection.close()
            return
        if self.connection.closed or not self.process.is_alive():
            self._start()
        self._begun = time.monotonic()
        with suppress(BrokenPipeError):  # it has died already, as `receive` will find
            self.connection.send(items[self.index])

    def receive(self) -> tuple[int, Message[Outcome]]:
        """The index of the current item, and its progress or result."""
        assert self.index is not None
        try:
            message: Message[Outcome] = self.connection.recv()
        except (EOFError, OSError):  # OSError: it died while it was sending
            message = Done(self._death(), time.monotonic() - self._begun)
        return self.index, message

    def _death(self) -> DataError:
        self.connection.close()
        self.process.join(_SECONDS_TO_END)
        status = self.process.exitcode
        reason = "killed, out of memory?" if status == -signal.SIGKILL else f"exit status {status}"
        return DataError(f"its worker process died ({reason}); run again with fewer --workers")


def _ready(workers: Sequence[_Worker[Item, Outcome]]) -> list[_Worker[Item, Outcome]]:
    ready = wait([worker.connection for worker in workers])
    return [worker for worker in workers if worker.connection in ready]


def _end(workers: Sequence[_Worker[Item, Outcome]]) -> None:
    """Stop all processes, busy ones at once. Files appear whole or not at all, so nothing half-written is left."""
    for worker in workers:
        worker.connection.close()
        if worker.index is not None:
            worker.process.kill()
    deadline = time.monotonic() + _SECONDS_TO_END
    for worker in workers:
        worker.process.join(max(0.0, deadline - time.monotonic()))
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """A process that is started meanwhile inherits this: an interrupt from the terminal does not break its start."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _main_left_out() -> Iterator[None]:
    """A process that is started meanwhile does not run the program's main file again.

    By default a spawned process does, to find what that file defines; a script that calls a command outside of
    `if __name__ == "__main__"` would then call it in every worker. Functions and items of engines are in modules.
    """
    main = sys.modules["__main__"].__dict__
    left_out: dict[str, Any] = {name: main.pop(name) for name in ("__file__", "__spec__") if name in main}
    main["__spec__"] = None
    try:
        yield
    finally:
        main.update(left_out)
