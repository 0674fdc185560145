"""Training runs that one process and two make alike; started by torchrun, this is one of the two.

Arguments: a folder that `make_inputs` filled. The runs are in its sub-folder of the number of processes.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from abaw.core.data_parallel import own_part
from abaw.data.face_set import labelled_stills
from abaw.models.architecture import Experts
from abaw.protocol.annotations import EXPRESSION_FOLDERS, TRAIN_SET, write_annotation
from abaw.semisup.methods.ada_cm.settings import AdaCMSettings
from abaw.semisup.methods.debiaspl.settings import DebiasPLSettings
from abaw.semisup.methods.dta_snl.settings import DtaSnlSettings
from abaw.semisup.methods.fixmatch.settings import FixMatchSettings
from abaw.semisup.methods.spatial.settings import SpatialSettings
from abaw.semisup.settings import LabelledLearning, MarginSettings
from abaw.stores.checkpoints import STATE
from abaw.training.settings import TrainSettings
from abaw.training.static import train_static_on
from abaw.training.static_recipe import StaticRecipe
from pipelines.cli import main
from tests.data.faces import still_store
from tests.pipelines.temporal_data import data_flags
from tests.pipelines.test_single_tasks import make_videos

STEPS = 6
FIRST_STEP = "first.pt"
"""The state of a static run after one step."""
BATCH = 16
LOW = MarginSettings(lowest=0.128, highest=0.2, stage_steps=2)
"""Some of the faces are above these margins while almost nothing is learned."""

STATIC: dict[str, dict[str, Any]] = {
    "supervised": {
        "supervised": LabelledLearning(mixup=0.5, cutmix=0.5),
        "aggregation": "experts",
        "experts": Experts(),
    },
    "fixmatch": {"fixmatch": FixMatchSettings(threshold=0.13)},
    "freematch": {},
    "debiaspl": {"debiaspl": DebiasPLSettings(threshold=0.13)},
    "ada_cm": {"ada_cm": AdaCMSettings(margin=LOW)},
    "dta_snl": {"dta_snl": DtaSnlSettings(map_dropout=False)},
    "spatial": {"spatial": SpatialSettings(margin=LOW, feedback="scaled", finetune=0.3, negative_weight=0.5)},
}
"""Settings by method."""

TEMPORAL = {
    "expression": ["--learn.balance", "class_weights"],
    "three tasks": ["--tasks", "expression", "valence_arousal", "action_units", "--learn.sampling", "frame"],
}
"""Flags by name."""


class Stopped(Exception):
    pass


def make_inputs(folder: Path) -> None:
    still_store(folder / "faces.arrow", [index % 8 for index in range(64)])
    make_videos(folder, "Train_Set", 5, 80)
    generator = np.random.default_rng(0)
    for index in range(5):
        labels = np.repeat(generator.integers(-1, 8, 20), generator.integers(1, 8, 20))
        write_annotation(folder / "annotations" / EXPRESSION_FOLDERS[0] / TRAIN_SET / f"train{index}.txt", labels)


def plan(processes: int) -> TrainSettings:
    steps = {"steps": STEPS, "warmup_steps": 1, "evaluate_every": 3, "checkpoint_every": 1}
    return TrainSettings(lr=0.003, accelerator="cpu", devices=processes, ema_decay=0.5, **steps)


def static_run(method: str, out: Path, processes: int, stop_at: int = STEPS + 1) -> None:
    """stop_at: finished steps after which the run is interrupted."""
    faces = labelled_stills(out.parents[1] / "faces.arrow")
    recipe = StaticRecipe(
        method=method, size=16, batch_size=BATCH // processes, train=plan(processes), **STATIC[method]
    )

    def watch(done: int, total: int | None) -> None:
        if done == 1 and own_part().index == 0:
            shutil.copy(out / "last" / STATE, out / FIRST_STEP)
        if done == stop_at:
            raise Stopped

    train_static_on(recipe, faces, faces, faces.without_labels(), out, hook=watch)


def temporal_run(name: str, out: Path, processes: int) -> int:
    size = [
        "--model.layers",
        "1",
        "--model.heads",
        "2",
        "--model.width",
        "16",
        "--model.dropout",
        "0.2",
        "--model.tcn",
        "1",
    ]
    steps = [
        "--train.steps",
        str(STEPS),
        "--train.warmup_steps",
        "1",
        "--train.lr",
        "0.003",
        "--train.accelerator",
        "cpu",
    ]
    batch = ["--learn.batch_size", str(BATCH // processes), "--train.devices", str(processes)]
    cut = ["--window", "40", "--hop", "20", "--holdout", "0.3"]
    return main(
        ["train-temporal", *data_flags(out.parents[1]), "--out", str(out), *size, *steps, *batch, *cut, *TEMPORAL[name]]
    )


@contextmanager
def stopped() -> Iterator[None]:
    try:
        yield
    except Stopped:
        return


def make_runs(root: Path, processes: int) -> None:
    folder = root / str(processes)
    for method in STATIC:
        static_run(method, folder / method, processes)
    with stopped():
        static_run("fixmatch", folder / "interrupted", processes, STEPS // 2)
    for name in TEMPORAL:
        assert temporal_run(name, folder / name, processes) == 0


if __name__ == "__main__":
    make_runs(Path(sys.argv[1]), 2)
    (Path(sys.argv[1]) / f"finished {own_part().index}").touch()
