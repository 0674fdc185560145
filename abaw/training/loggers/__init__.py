"""Where a training reports its scalars, in addition to `metrics.jsonl`; one file per logger, loaded by name."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Final, Literal, Protocol, get_args

from abaw.core.errors import ConfigError

LoggerName = Literal["tensorboard", "csv", "wandb", "mlflow"]
LOGGERS: Final = get_args(LoggerName)


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
    try:
        # Loaded by name: the last two are extras.
        module = import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"--train.logger {name}: needs the package {error.name}: pip install 'abaw[{name}]'"
        ) from error
    logger: Logger = module.open_log(run, first_step)
    return logger
