"""The training runs of a comparison, side by side: finished ones are kept, a failure does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from abaw.core.errors import AbawError, ConfigError
from abaw.engine.local import Work, side_by_side, worker_places
from abaw.training.settings import TrainSettings
from pipelines.console import progress, say


class Run(Protocol):
    """One training run of several. file: written when it is finished; train: how long it is and where it computes."""

    @property
    def name(self) -> str: ...
    @property
    def file(self) -> Path: ...
    @property
    def train(self) -> TrainSettings: ...


Job = TypeVar("Job", bound=Run)
Outcome = TypeVar("Outcome")


def require_side_by_side(train: TrainSettings, workers: int | None, command: str) -> None:
    """Raise ConfigError when runs of these settings cannot be trained side by side here."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.inference.devices import choose_device

    choose_device(train.accelerator)
    if workers is not None and workers < 1:
        raise ConfigError(f"--workers {workers}: expected at least 1")
    if train.devices > 1:
        raise ConfigError(
            f"{command} trains every run on one device, several of them side by side; use --train.devices 1"
        )


def run_jobs(
    jobs: Sequence[Job],
    work: Work[Job, Outcome],
    read: Callable[[Job], Outcome],
    line: Callable[[Outcome], str],
    workers: int | None,
    what: str = "cells",
) -> tuple[dict[str, Outcome], list[str]]:
    """Results by name, in the order given, and a line for every run that failed.

    read: the result of a run that a former call has finished; line: what is told of a result.
    """
    results = {job.name: read(job) for job in jobs if job.file.exists()}
    failures: list[str] = []
    left = [job for job in jobs if job.name not in results]
    if results:
        say(f"{len(results)} of {len(jobs)} {what} are finished already")
    places = worker_places(workers, "cpu" if all(job.train.accelerator == "cpu" for job in left) else "auto")
    total = sum(job.train.steps for job in left)
    with progress(f"{len(left)} {what}, {min(len(places), len(left))} at a time", "steps") as hook:
        for finished in side_by_side(left, work, places, lambda done, _: hook(done, total)):
            name, outcome = finished.job.name, finished.outcome
            if isinstance(outcome, AbawError):
                failures.append(f"{name}: {outcome}")
                say(f"{name}: failed: {outcome}")
            else:
                results[name] = outcome
                say(f"{name}: {line(outcome)} ({len(results) + len(failures)} of {len(jobs)})")
    return {job.name: results[job.name] for job in jobs if job.name in results}, failures
