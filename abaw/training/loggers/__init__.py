"""Where a training reports its scalars, in addition to `metrics.jsonl`; one file per logger, loaded by name."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Final, Literal, Protocol, get_args

from abaw.core.extras import load_extra

LoggerName = Literal["tensorboard", "csv", "wandb", "mlflow"]
LOGGERS: Final = get_args(LoggerName)
_EXTRAS: Final = ("wandb", "mlflow")


class Logger(Protocol):
    """Takes the scalars of a run, step by step."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Add the values of one step by name. Raises StorageError when they cannot be written."""
        ...

    def close(self) -> None:
        """End the report. It may be called again."""
        ...


def open_logger(name: LoggerName, run: Path, first_step: int) -> Logger:
    """The logger of a run folder, which must exist; what it has from `first_step` on is repeated and replaced.

    Raises ConfigError when the package of the logger is not installed.
    """
    if name in _EXTRAS:
        load_extra(name, name)
    # Loaded by name: each needs another library.
    logger: Logger = import_module(f"{__name__}.{name}").open_log(run, first_step)
    return logger
