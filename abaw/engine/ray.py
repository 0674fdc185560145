"""The engine of a Ray cluster: workers are actors on its nodes, and what dies costs only the items at work.

Ray is the extra `ray`; it is loaded when items are processed.
"""

from __future__ import annotations

import os
import pickle
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic

from abaw.core.errors import AbawError, ConfigError, DataError
from abaw.engine.engine import Function, Item, ItemProgress, ItemResult, Outcome, silent
from abaw.engine.ray_cluster import capacity, connect
from abaw.engine.ray_worker import RayWorker
from abaw.engine.resources import worker_environment
from abaw.engine.worker import Done, Report

_TRIES = 3
"""An item whose worker has died so often is given up: it may be what kills them."""
_SECONDS_BETWEEN_REPORTS = 1.0


@dataclass(frozen=True, slots=True)
class RayEngine:
    """Workers on a Ray cluster, each for one item at a time.

    address: see `connect`; workers: at most so many, None for as many as fit; cpus, gpus: what each of them reserves,
    fractions allowed below 1; threads: of each worker, at least 1. A worker without a reserved GPU sees none.
    """

    address: str | None
    workers: int | None
    cpus: float
    gpus: float
    threads: int

    def map(
        self, function: Function[Item, Outcome], items: Sequence[Item], progress: ItemProgress = silent
    ) -> Iterator[ItemResult[Item, Outcome]]:
        """See Engine.map. When a worker or its node dies, its item runs again elsewhere, up to three times.

        Raises ConfigError when no node has the resources of a worker, DataError when there is no cluster.
        """
        if not items:
            return
        ray = connect(self.address, (self.workers or 1) * self.cpus)
        most = self.workers or capacity(ray, self.cpus, self.gpus)
        if not most:
            raise ConfigError(
                f"--engine ray: no node of the cluster has {self.cpus:g} CPUs and {self.gpus:g} GPUs for an item; "
                "lower --cpus_per_item or --gpus_per_item, or give --workers if nodes are still to come"
            )
        pool: _Pool[Item, Outcome] = _Pool(ray, self._actors(ray, function), items, most)
        try:
            yield from pool.results(progress)
        finally:
            pool.end()

    def _actors(self, ray: Any, function: Function[Item, Outcome]) -> Any:
        """Called without arguments, it starts an actor."""
        passed = {name: os.environ[name] for name in ("OMP_WAIT_POLICY",) if name in os.environ}
        hidden = {} if self.gpus else {"CUDA_VISIBLE_DEVICES": ""}
        environment = {**passed, **hidden, **worker_environment(self.threads, None)}
        options = ray.remote(RayWorker).options(
            num_cpus=self.cpus,
            num_gpus=self.gpus,
            max_concurrency=2,  # the second thread answers `report`
            scheduling_strategy="SPREAD",
        )
        pickled = pickle.dumps(function)
        return lambda: options.remote(pickled, self.threads, environment, os.getcwd())


@dataclass(slots=True, eq=False)
class _Worker:
    """An actor. due: what comes next from it: its start, or the result of the item `index`; None while it is idle."""

    actor: Any
    due: Any
    index: int | None = None
    report: Any = None


@dataclass(slots=True)
class _Pool(Generic[Item, Outcome]):
    """The workers of one call and the items that wait for them."""

    ray: Any
    actors: Any
    items: Sequence[Item]
    most: int
    workers: list[_Worker] = field(default_factory=list)
    asked: float = 0.0
    deaths: Counter[int] = field(default_factory=Counter)

    def results(self, progress: ItemProgress) -> Iterator[ItemResult[Item, Outcome]]:
        waiting = deque(range(len(self.items)))
        while waiting or any(worker.index is not None for worker in self.workers):
            self._employ(waiting)
            for worker in self._ready():
                result = self._receive(worker, waiting, progress)
                if result is not None:
                    yield result
            if progress is not silent and time.monotonic() - self.asked >= _SECONDS_BETWEEN_REPORTS:
                self.asked = time.monotonic()
                self._report(progress)

    def _employ(self, waiting: deque[int]) -> None:
        """Items for idle workers, and as many workers as there are items; those without an item end."""
        for worker in [worker for worker in self.workers if worker.index is None]:
            if waiting and worker.due is None:
                worker.index = waiting.popleft()
                worker.due = worker.actor.run.remote(worker.index, pickle.dumps(self.items[worker.index]))
            elif not waiting:
                self._dismiss(worker)
        busy = sum(worker.index is not None for worker in self.workers)
        while len(self.workers) < min(self.most, len(waiting) + busy):
            actor = self.actors()
            self.workers.append(_Worker(actor, actor.started.remote()))

    def _ready(self) -> list[_Worker]:
        by_due = {worker.due: worker for worker in self.workers}
        ready, _ = self.ray.wait(list(by_due), timeout=_SECONDS_BETWEEN_REPORTS)
        return [by_due[due] for due in ready]

    def _receive(
        self, worker: _Worker, waiting: deque[int], progress: ItemProgress
    ) -> ItemResult[Item, Outcome] | None:
        """The result of a worker's item; None when it has only started, or has died and its item runs again."""
        index, due = worker.index, worker.due
        worker.index = worker.due = worker.report = None
        try:
            reply = self.ray.get(due)
        except self.ray.exceptions.RayError as error:
            self._dismiss(worker)
            return self._bury(index, error, waiting)
        if index is None:
            if isinstance(reply, AbawError):
                raise reply
            return None
        loaded: tuple[Done[Outcome], tuple[int, Report] | None] = pickle.loads(reply)
        done, last = loaded
        if last is not None:
            progress(index, last[1].done, last[1].total)
        return ItemResult(index, self.items[index], done.outcome, done.seconds)

    def _bury(self, index: int | None, error: Exception, waiting: deque[int]) -> ItemResult[Item, Outcome] | None:
        """A worker has died. index: of its item, which runs again or is given up; None when it had none yet."""
        key = -1 if index is None else index
        self.deaths[key] += 1
        if index is None:
            if getattr(error, "actor_init_failed", False) or self.deaths[key] >= _TRIES:
                raise DataError(f"--engine ray: a worker cannot start: {_in_short(error)}") from error
            return None
        if self.deaths[key] < _TRIES:
            waiting.appendleft(index)
            return None
        fault = DataError(
            f"its worker process or node died {_TRIES} times (out of memory?); run again with more --cpus_per_item or "
            "fewer --workers"
        )
        return ItemResult(index, self.items[index], fault, 0.0)

    def _report(self, progress: ItemProgress) -> None:
        """Pass on the answers that have come, and ask those again that have answered."""
        for worker in (worker for worker in self.workers if worker.index is not None):
            if worker.report is not None and self.ray.wait([worker.report], timeout=0)[0]:
                try:
                    found: tuple[int, Report] | None = self.ray.get(worker.report)
                except self.ray.exceptions.RayError:
                    continue  # it has died, as its item will show
                if found is not None and found[0] == worker.index:
                    progress(worker.index, found[1].done, found[1].total)
                worker.report = None
            if worker.report is None:
                worker.report = worker.actor.report.remote()

    def _dismiss(self, worker: _Worker) -> None:
        self.workers.remove(worker)
        self.ray.kill(worker.actor)

    def end(self) -> None:
        """Stop all workers, busy ones at once."""
        for worker in list(self.workers):
            self._dismiss(worker)


def _in_short(error: Exception) -> str:
    """The last line of what Ray says, which gives the reason."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
