"""Scalars for Weights & Biases; its own settings (`WANDB_PROJECT`, `WANDB_MODE=offline`, …) apply."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import wandb

from abaw.core.artifacts import file_hash
from abaw.core.run_folder import CONFIG, run_config


class WandbLog:
    """One run there per run folder; a resumed one goes on where it was."""

    def __init__(self, run: Path) -> None:
        settings = wandb.Settings(console="off", silent=True)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "abaw"),
            name=run.name,
            id=f"{run.name}-{file_hash(run / CONFIG)[:12]}",
            resume="allow",
            dir=str(run),
            config=dict(run_config(run)),
            settings=settings,
        )

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        self._run.finish()


def open_log(run: Path, first_step: int) -> WandbLog:
    """Steps that are repeated after a kill are ignored there: they have the same values."""
    return WandbLog(run)
