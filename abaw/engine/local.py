"""Training runs side by side: one process a worker, each with one thread of the processor or one GPU."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Generic, TypeVar

from abaw.core.errors import AbawError, DataError
from abaw.core.progress import Progress, silent

Job = TypeVar("Job")
Outcome = TypeVar("Outcome")
Work = Callable[[Job, Progress], Outcome]

_SECONDS_BETWEEN_REPORTS = 0.5
_SECONDS_TO_END = 10.0


@dataclass(frozen=True, slots=True)
class Finished(Generic[Job, Outcome]):
    """outcome: what became of the job, or why it failed."""

    job: Job
    outcome: Outcome | AbawError


def worker_places(workers: int | None, accelerator: str) -> list[str | None]:
    """Where each worker computes: the GPU that it sees alone, or None for one core.

    workers: at least 1; None takes as many as there are GPUs or, without one, cores; more workers than GPUs share them.
    """
    # Loaded on use: torch takes seconds.
    import torch

    gpus: list[str] = []
    if accelerator != "cpu" and torch.cuda.is_available():
        count = torch.cuda.device_count()
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        gpus = visible.split(",")[:count] if visible else [str(index) for index in range(count)]
    if gpus:
        return [gpus[index % len(gpus)] for index in range(workers or len(gpus))]
    return [None] * (workers or os.cpu_count() or 1)


def side_by_side(
    jobs: Sequence[Job], work: Work[Job, Outcome], places: Sequence[str | None], progress: Progress = silent
) -> Iterator[Finished[Job, Outcome]]:
    """Do the jobs in the order given, as many at a time as there are places; results come as they are ready.

    work: what every worker calls, sent to it once; it reports each job's progress. A job that fails, or whose worker
    dies, does not stop the others. progress: sum over the jobs so far begun. No worker outlives this process.
    """
    waiting = deque(range(len(jobs)))
    done = [0] * len(jobs)
    workers = [_Worker(work, place) for place in places[: len(jobs)]]
    try:
        for worker in workers:
            worker.give(waiting, jobs)
        while busy := [worker for worker in workers if worker.job is not None]:
            for worker in _ready(busy):
                index = worker.job
                assert index is not None
                message = worker.receive()
                if isinstance(message, int):
                    done[index] = message
                    progress(sum(done), None)
                    continue
                yield Finished(jobs[index], message.outcome)
                worker.give(waiting, jobs)
    finally:
        for worker in workers:
            worker.end()


def _ready(workers: Sequence[_Worker[Job, Outcome]]) -> list[_Worker[Job, Outcome]]:
    ready = wait([worker.connection for worker in workers])
    return [worker for worker in workers if worker.connection in ready]


@dataclass(frozen=True, slots=True)
class _Result(Generic[Outcome]):
    outcome: Outcome | AbawError


class _Worker(Generic[Job, Outcome]):
    """A process and what it is doing: `job`, the index of its job, None when it has none."""

    def __init__(self, work: Work[Job, Outcome], place: str | None) -> None:
        self._work, self._place = work, place
        self.job: int | None = None
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._work, self._place), daemon=True)
        self._process.start()
        theirs.close()

    def give(self, waiting: deque[int], jobs: Sequence[Job]) -> None:
        """The next job, to a new process when the old one has died; without a job the process ends by itself."""
        self.job = waiting.popleft() if waiting else None
        if self.job is None:
            self.connection.close()
            return
        if self.connection.closed:
            self._start()
        with suppress(BrokenPipeError):  # it has died already: `receive` tells
            self.connection.send(jobs[self.job])

    def receive(self) -> int | _Result[Outcome]:
        """Steps done so far, or the result."""
        try:
            message: int | _Result[Outcome] = self.connection.recv()
        except (EOFError, ConnectionError):
            self.end()
            status = self._process.exitcode
            reason = "killed, out of memory?" if status == -signal.SIGKILL else f"exit status {status}"
            return _Result(DataError(f"its worker process died ({reason}); run again with fewer --workers"))
        return message

    def end(self) -> None:
        """Stop the process; what it was doing goes on from its checkpoint another time."""
        self.connection.close()
        if self.job is not None:
            self._process.terminate()
        self._process.join(_SECONDS_TO_END)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _serve(connection: Connection, work: Work[Job, Outcome], place: str | None) -> None:
    """The life of a worker: jobs come until the connection is closed."""
    # An interrupt from the terminal reaches every process; the parent alone decides what follows.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Before torch is loaded. One thread each: results do not depend on how many workers there are.
    os.environ["OMP_NUM_THREADS"] = "1"
    if place is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = place
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        connection.send(_Result(_outcome(work, job, _reporter(connection))))


def _outcome(work: Work[Job, Outcome], job: Job, hook: Progress) -> Outcome | AbawError:
    try:
        return work(job, hook)
    except AbawError as error:
        return error
    except Exception as error:  # the other jobs shall go on, whatever it is
        traceback.print_exc()
        return DataError(f"{type(error).__name__}: {error}")


def _reporter(connection: Connection) -> Progress:
    last = time.monotonic()

    def report(done: int, total: int | None) -> None:
        nonlocal last
        if done == total or time.monotonic() - last >= _SECONDS_BETWEEN_REPORTS:
            last = time.monotonic()
            connection.send(done)

    return report


def _end_with_parent() -> None:
    """A worker whose parent was killed would train on for nobody."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
