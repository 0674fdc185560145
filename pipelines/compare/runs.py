"""The training runs of a comparison, in parallel: finished ones are kept, a failure does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from abaw.core.errors import AbawError, ConfigError
from abaw.engine.engine import Function, ItemProgress
from abaw.training.settings import TrainSettings
from pipelines.console import progress, say
from pipelines.engine_settings import EngineSettings, require_engine, training_engine
from pipelines.items import report_failure


class TrainingRun(Protocol):
    """One training run of several. file: written when it is finished; train: how long it is and where it computes."""

    @property
    def name(self) -> str: ...
    @property
    def file(self) -> Path: ...
    @property
    def train(self) -> TrainSettings: ...


Run = TypeVar("Run", bound=TrainingRun)
Outcome = TypeVar("Outcome")


def require_parallel(train: TrainSettings, engine: EngineSettings, command: str) -> None:
    """Raise ConfigError when runs with these settings cannot be trained in parallel by this engine."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.inference.devices import choose_device

    if engine.is_local:
        choose_device(train.accelerator)
    require_engine(engine, train.accelerator)
    if train.devices * train.nodes > 1:
        raise ConfigError(
            f"{command} trains each run on one device, several runs in parallel; use --train.devices 1 and "
            "--train.nodes 1"
        )


def train_runs(
    runs: Sequence[Run],
    function: Function[Run, Outcome],
    read: Callable[[Run], Outcome],
    line: Callable[[Outcome], str],
    engine: EngineSettings,
    out: Path,
    what: str = "cells",
) -> tuple[dict[str, Outcome], list[str]]:
    """Results by name and a line per failed run, both in the order given.

    read: the result of a run that was finished earlier; line: what is printed of a result; out: folder of the log of
    unexpected errors.
    """
    results = {run.name: read(run) for run in runs if run.file.exists()}
    failures: dict[str, str] = {}
    left = [run for run in runs if run.name not in results]
    if results:
        say(f"{len(results)} of {len(runs)} {what} are finished already")
    accelerator = "cpu" if all(run.train.accelerator == "cpu" for run in left) else "auto"
    total = sum(run.train.steps for run in left)
    with progress(f"{len(left)} {what}", "steps") as hook:
        summed = _sum_of_items(lambda done: hook(done, total))
        for each in training_engine(engine, accelerator).map(function, left, summed):
            name, outcome = each.item.name, each.outcome
            if isinstance(outcome, AbawError):
                failures[name] = report_failure(name, outcome, out)
            else:
                results[name] = outcome
                say(f"{name}: {line(outcome)} ({len(results) + len(failures)} of {len(runs)})")
    names = [run.name for run in runs]
    return {name: results[name] for name in names if name in results}, [failures[n] for n in names if n in failures]


def _sum_of_items(hook: Callable[[int], None]) -> ItemProgress:
    """The work done so far on all items."""
    done_by_index: dict[int, int] = {}

    def report(index: int, done: int, total: int | None) -> None:
        done_by_index[index] = done
        hook(sum(done_by_index.values()))

    return report
