"""A training run on disk: resolved config, metrics, checkpoints. It is resumed or refused, never deleted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from abaw.core.artifacts import (
    atomic_path,
    provenance,
    read_json,
    storage_errors,
    write_json,
)
from abaw.core.config import differences, filled
from abaw.core.errors import ConfigError, DataError
from abaw.core.text import listed

_CONFIG = "config.json"
_METRICS = "metrics.jsonl"


class RunFolder:
    """`config.json`, `metrics.jsonl` and whatever the run adds.

    Opening a folder that holds a run with the same config resumes it. Raises ConfigError, which names the keys, when
    the config differs, and DataError when the folder holds something else. defaults: the values of settings that a run
    of an earlier version lacks.
    """

    def __init__(self, path: Path, config: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> None:
        self.path = path
        with storage_errors(path):
            path.mkdir(parents=True, exist_ok=True)
        file = path / _CONFIG
        if file.exists():
            changed = differences(filled(read_json(file)["config"], defaults or {}), config)
            if changed:
                raise ConfigError(
                    f"{path}: holds a run with other settings ({listed(changed, separator='; ')}); "
                    "choose another --out, or repeat the command with the settings of config.json to resume it"
                )
        elif any(not entry.name.startswith(f".{_CONFIG}.") for entry in path.iterdir()):  # left by a kill
            raise DataError(f"{path}: not empty and not a run folder (no {_CONFIG}); choose another --out")
        else:
            write_json(file, {**provenance(), "config": dict(config)})

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Append one line to metrics.jsonl."""
        line = json.dumps({"step": step, **values})
        with (
            storage_errors(self.path / _METRICS),
            (self.path / _METRICS).open("a", encoding="utf-8") as file,
        ):
            file.write(line + "\n")

    def metrics(self) -> list[dict[str, float]]:
        """The lines of metrics.jsonl, without an incomplete last line, which a killed process may leave."""
        file = self.path / _METRICS
        if not file.exists():
            return []
        lines = file.read_text(encoding="utf-8").split("\n")
        return [json.loads(line) for line in lines[:-1] if line]

    def rewind(self, step: int) -> None:
        """Drop metrics after `step`: a killed run repeats the steps after its last checkpoint."""
        kept = [line for line in self.metrics() if line["step"] <= step]
        with atomic_path(self.path / _METRICS) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
