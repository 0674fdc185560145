"""A training run on disk: resolved config, metrics, checkpoints. It is resumed or refused, never deleted."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from abaw.core.artifacts import (
    atomic_path,
    is_temporary,
    provenance,
    read_json,
    storage_errors,
    write_json,
)
from abaw.core.config import differences, filled
from abaw.core.errors import ConfigError, DataError
from abaw.core.folders import is_system_file
from abaw.core.processes import is_first_process
from abaw.core.reading import because, read_text
from abaw.core.run_lock import LOCK, RunLock
from abaw.core.text import listed

CONFIG = "config.json"
METRICS = "metrics.jsonl"


class RunFolder:
    """`config.json`, `metrics.jsonl` and whatever the run adds.

    Opening a folder that holds a run with the same config resumes it. Raises ConfigError, which names the keys, when
    the config differs, DataError when the folder holds something else, and RunLockedError when another process is
    writing the run. defaults: the values of settings that a run of an earlier version lacks; comparable: what of a
    config must be equal for a run to be resumed; by default all of it.

    A run folder has one owner, until `close`, until a `with` block ends, or until this object is gone; further
    processes of one training share it.
    """

    def __init__(
        self,
        path: Path,
        config: Mapping[str, Any],
        defaults: Mapping[str, Any] | None = None,
        comparable: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
    ) -> None:
        self.path = path
        with storage_errors(path):
            path.mkdir(parents=True, exist_ok=True)
        self._lock = RunLock(path) if is_first_process() else None
        self.close = weakref.finalize(self, self._lock.release if self._lock else _nothing)
        try:
            self._open(config, defaults or {}, comparable)
        except BaseException:
            self.close()
            raise

    def _open(
        self,
        config: Mapping[str, Any],
        defaults: Mapping[str, Any],
        comparable: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    ) -> None:
        file = self.path / CONFIG
        if file.exists():
            changed = differences(comparable(filled(run_config(self.path), defaults)), comparable(config))
            if changed:
                raise ConfigError(
                    f"{self.path}: holds a run with other settings ({listed(changed, separator='; ')}); "
                    "choose another --out, or repeat the command with the settings of config.json to resume it"
                )
        elif any(not _of_a_start(entry.name) for entry in self.path.iterdir()):
            raise DataError(f"{self.path}: not empty and not a run folder (no {CONFIG}); choose another --out")
        else:
            write_json(file, {**provenance(), "config": dict(config)})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def require_owned(self) -> None:
        """Raise RunLockedError if another process took the run over; call it before anything is written."""
        if self._lock is not None:
            self._lock.require_held()

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Append one line to metrics.jsonl."""
        self.require_owned()
        line = json.dumps({"step": step, **values})
        with (
            storage_errors(self.path / METRICS),
            (self.path / METRICS).open("a", encoding="utf-8") as file,
        ):
            file.write(line + "\n")

    def metrics(self) -> list[dict[str, float]]:
        """The lines of metrics.jsonl, without an incomplete last line, which a killed process may leave.

        Raises DataError, naming the line, for lines that no run wrote.
        """
        file = self.path / METRICS
        return read_metrics(file) if file.exists() else []

    def rewind(self, step: int) -> None:
        """Drop metrics after `step`: a killed run repeats the steps after its last checkpoint."""
        kept = [line for line in self.metrics() if line["step"] <= step]
        with atomic_path(self.path / METRICS) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")


def read_metrics(file: Path) -> list[dict[str, float]]:
    """The lines of a metrics.jsonl, without an incomplete last line. Raises DataError, naming the line."""
    lines = read_text(file, "not readable as metrics", _DAMAGED).split("\n")
    return [_metrics_of(line, f"{file}:{number}") for number, line in enumerate(lines[:-1], 1) if line]


_DAMAGED = "move it away to go on without the earlier values"


def run_config(run: Path) -> Mapping[str, Any]:
    """The settings of a run, from its folder. Raises DataError for a file that no run wrote."""
    file = run / CONFIG
    found = read_json(file)
    config = found.get("config") if isinstance(found, dict) else None
    if not isinstance(config, dict):
        raise DataError(f"{file}: not the settings of a run; choose another --out")
    return config


def _metrics_of(line: str, where: str) -> dict[str, float]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: {because('not readable as metrics', error, _DAMAGED)}") from error
    numbers = values if isinstance(values, dict) else {}
    if type(numbers.get("step")) is not int or not all(isinstance(each, int | float) for each in numbers.values()):
        raise DataError(f"{where}: expected numbers by name, one of them the step; {_DAMAGED}")
    return numbers


def _of_a_start(name: str) -> bool:
    """Whether a file is of this start, or left by a kill during one."""
    return is_temporary(name) or name.startswith((LOCK, f".{LOCK}")) or is_system_file(name)


def _nothing() -> None:
    """What there is to release for a process that does not own its run folder."""
