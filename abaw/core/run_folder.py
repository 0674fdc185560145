"""A training run on disk: resolved config, metrics, checkpoints. Resumed or refused, never deleted."""

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

_CONFIG = "config.json"
_METRICS = "metrics.jsonl"


class RunFolder:
    """`config.json`, `metrics.jsonl` and whatever the run adds.

    Opening a folder that holds a run of the same config resumes it. Raises ConfigError when the config differs
    (the keys are named) and DataError when the folder holds something else. defaults: what settings had that a run of
    an earlier version does not name.
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
                    f"{path}: holds a run with other settings ({'; '.join(changed[:5])}); "
                    "choose another --out, or repeat the command with the settings of config.json to resume it"
                )
        elif any(not entry.name.startswith(f".{_CONFIG}.") for entry in path.iterdir()):  # a kill may leave those
            raise DataError(f"{path}: is not empty and holds no run (no {_CONFIG}); choose another --out")
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
        """The lines of metrics.jsonl; a last line cut off by a kill is left out."""
        file = self.path / _METRICS
        if not file.exists():
            return []
        lines = file.read_text(encoding="utf-8").split("\n")
        return [json.loads(line) for line in lines[:-1] if line]

    def rewind(self, step: int) -> None:
        """Drop metrics after `step`: what a killed run logged behind its last checkpoint is done again."""
        kept = [line for line in self.metrics() if line["step"] <= step]
        with atomic_path(self.path / _METRICS) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
