"""Every step from the download of Aff-Wild2 to a checked submission, at full size, on made data: time, memory, disk.

    python benchmarks/rehearsal.py --faces lfw.zip --work DIR [--scale 0.01] [--stages check-data submit] [--steps 10]
                                   [--prepare]

The data have the shape and size of Aff-Wild2: 548 videos, 2.7 million frames, the published numbers of labels per
class and of frames without a crop, people named `_left` and `_right`, label files that are a few lines off, crops in
the official folders, a template of 1,022,655 rows. Crops are photos of faces (--faces: a zip or folder); a tenth of
them are files of their own, the rest further names of 400 files. Features for training and predictions for validation
and submission are made, at full size. All stages run as commands. What takes too long for a rehearsal is shortened
(steps of training; frames of import, features and prediction) and extrapolated, which the table marks with `≈`.

A finished stage is kept: after a kill, the same command goes on with the next one. --prepare only writes the data that
the stages read, so that they can be measured later, on an idle machine. Full size needs 12 GB in --work.
Writes DIR/rehearsal.json and DIR/rehearsal.md. Exit status 1 when a limit is missed: 16 GB of memory, 200 GB of disk, a
night (10 hours) per step, and the seconds of `validate`, `submit` and `check-submission`. Linux only.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rehearsal_data import (
    NEW,
    is_new,
    write_crops,
    write_feature_stores,
    write_prediction_stores,
    write_texts,
    write_videos,
)
from rehearsal_measure import Cost, disk_gb, run_command
from rehearsal_plan import Person, Plan, make_plan
from rehearsal_report import FULL_STEPS, write_report

from abaw.core.artifacts import write_json

DIM = 768
BACKBONES = {512: "resnet18", 768: "convnext_tiny"}
WINDOWS = (50, 100, 200, 300, 500)
FOLDS = 5
WORKERS = 2


@dataclass(frozen=True)
class Stage:
    """One measured command. words: its arguments; written: what it writes, below the work folder.

    prepare: writes what the command reads, not measured; share: of the frames that it processes; cells: training runs,
    `workers` at a time; note: how it is shortened.
    """

    name: str
    words: Callable[[], Sequence[str]]
    written: str
    prepare: Callable[[], object] = lambda: None
    share: Callable[[], float] = lambda: 1.0
    cells: int = 0
    workers: int = 1
    note: str = ""


class Rehearsal:
    """The stages of one work folder, in their order."""

    def __init__(self, work: Path, faces: Path, scale: float, steps: int, frames: int) -> None:
        self.work, self.faces, self.scale, self.steps, self.frames = work, faces, scale, steps, frames
        self.plan: Plan = make_plan(scale)
        self.root = work / "Aff-Wild2"
        self.features = work / f"features{DIM}"
        (work / "logs").mkdir(parents=True, exist_ok=True)

    def stages(self) -> list[Stage]:
        root, plan = self.root, self.plan
        labels, template = str(root / "annotations"), str(root / "template.txt")
        subset = ["--subset"] if self.scale < 1 else []
        new = [person for number, person in enumerate(plan.people) if is_new(number)]
        imported = _frames(new) / _frames(plan.people)
        training = [*self._training_words(), "--features", str(self.features), "--annotations", labels]
        # One worker in both: a second one needs as much again, however many cells there are.
        alone = ["--workers", "1"]
        grid = ",".join(map(str, WINDOWS))
        predictions, submission = self.work / "predictions", str(self.work / "submission.txt")
        return [
            Stage("check-data", lambda: ["check-data", "--root", str(root), "--template", template, "--out",
                  self._out("reconciliation.csv"), *subset], "reconciliation.csv", self._data_set),
            Stage("import-crops", lambda: ["import-crops", str(root / NEW), "--workers", "1", "--annotations", labels,
                  "--template", template, "--out", self._out("faces")], "faces", self._data_set, lambda: imported,
                  note="the crops that are files of their own"),
            *(self._features_stage(dim) for dim in BACKBONES),
            Stage("train-temporal", lambda: ["train-temporal", *training, "--window", "300", "--out",
                  self._out("temporal")], "temporal", self._feature_stores, cells=1),
            Stage("ablate, 1 cell", lambda: ["ablate", *training, *alone, "--vary", "window=300", "--seeds", "0",
                  "--out", self._out("ablation1")], "ablation1", self._feature_stores, cells=1),
            Stage("ablate, 10 cells", lambda: ["ablate", *training, *alone, "--vary", f"window={grid}", "--seeds", "0",
                  "1", "--out", self._out("ablation10")], "ablation10", self._feature_stores, cells=10),
            Stage("cross-validate", lambda: ["cross-validate", *training, "--workers", str(WORKERS), "--folds",
                  str(FOLDS), "--window", "300", "--out", self._out("folds")], "folds", self._feature_stores,
                  cells=FOLDS, workers=WORKERS),
            Stage("predict", lambda: ["predict", "--workers", "1", "--features", str(self.work / "some_features"),
                  "--checkpoint", str(self.work / "temporal" / "last"), "--out", self._out("some_predictions")],
                  "some_predictions", self._some_features,
                  lambda: _frames(self._some_people()) / _frames(plan.of("validation", "test")),
                  note="some of the videos"),
            Stage("validate", lambda: ["validate", "--predictions", str(predictions / "validation"), "--annotations",
                  labels, "--draws", "1000", "--out", self._out("report")], "report", self._prediction_stores,
                  note="1,000 draws"),
            Stage("submit", lambda: ["submit", "--predictions", str(predictions / "test"), "--template", template,
                  "--edition", "abaw6", "--smoothing", "box:51", "--out", self._out("submission.txt")],
                  "submission.txt", self._prediction_stores),
            Stage("check-submission", lambda: ["check-submission", submission, "--template", template, "--edition",
                  "abaw6"], "submission.txt", self._texts),
        ]  # fmt: skip

    def left(self, names: Sequence[str]) -> list[Stage]:
        """The stages of these commands, or of all, that have no result yet."""
        return [
            stage
            for stage in self.stages()
            if not self._result(stage.name).exists() and (not names or stage.name.partition(",")[0] in names)
        ]

    def prepare(self, names: Sequence[str]) -> None:
        """Write the data that these stages read."""
        for stage in self.left(names):
            print(f"{stage.name}: preparing", flush=True)
            stage.prepare()

    def run(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Run the stages that have no result yet; the results of all that have one."""
        for stage in self.left(names):
            print(f"{stage.name}: preparing", flush=True)
            stage.prepare()
            print(f"{stage.name}: running", flush=True)
            self._clear(stage)
            log = self.work / "logs" / f"{stage.name}.txt"
            cost = run_command(stage.words(), self.work / stage.written, log)
            write_json(self._result(stage.name), self._facts(stage, cost))
            print(f"{stage.name}: {cost.seconds:.1f} s, {cost.memory:.2f} GB", flush=True)
            write_report(self.work, self._results(), self._sizes())
        results = self._results()
        write_report(self.work, results, self._sizes())
        return results

    def _facts(self, stage: Stage, cost: Cost) -> dict[str, Any]:
        """share: of the frames at full size that were processed."""
        words = " ".join(stage.words()).replace(f"{self.work}/", "")
        facts = {"stage": stage.name, "command": f"abaw {words}", "share": stage.share() * self.scale}
        facts |= {"note": stage.note, "cells": stage.cells, "workers": stage.workers}
        facts |= {"steps": self.steps if stage.cells else 0, **asdict(cost)}
        parts = [json.loads(file.read_text()) for file in sorted((self.work / stage.written).glob("*/*/cell.json"))]
        for key in ("step_seconds", "evaluation_seconds"):
            facts[key] = sum(part[key] for part in parts)
        return facts

    def _result(self, name: str) -> Path:
        return self.work / "results" / f"{name.replace(', ', '_').replace(' ', '_')}.json"

    def _results(self) -> list[dict[str, Any]]:
        files = [self._result(stage.name) for stage in self.stages()]
        return [json.loads(file.read_text()) for file in files if file.exists()]

    def _sizes(self) -> dict[str, float]:
        """GB at full size of what is not the result of a stage."""
        found = {f"features{DIM}": self.features, "crops": self.root / NEW}
        trained = _frames(self.plan.of("train", "validation")) / _frames(self.plan.people)
        parts = {f"features{DIM}": trained, "crops": self._new_share()}
        return {name: disk_gb(place) / self.scale / parts[name] for name, place in found.items() if place.exists()}

    def _new_share(self) -> float:
        new = [person for number, person in enumerate(self.plan.people) if is_new(number)]
        return sum(int(person.faces.sum()) for person in new) / sum(int(p.faces.sum()) for p in self.plan.people)

    def _clear(self, stage: Stage) -> None:
        """Remove what a killed run left: the stage is measured from its start. What another stage wrote is kept."""
        place = self.work / stage.written
        if stage.name == "check-submission":
            return
        shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)

    def _out(self, name: str) -> str:
        return str(self.work / name)

    def _training_words(self) -> list[str]:
        model = ["--model.layers", "2", "--model.heads", "4", "--model.width", "128", "--learn.batch_size", "16"]
        steps = ["--train.steps", str(self.steps), "--train.warmup_steps", "1", "--train.evaluate_every", "100000"]
        return [*model, *steps, "--train.accelerator", "cpu"]

    def _texts(self) -> None:
        self._once("texts", lambda: write_texts(self.root, self.plan))

    def _data_set(self) -> None:
        self._texts()
        self._once("videos", lambda: write_videos(self.root, self.plan))
        self._once("crops", lambda: write_crops(self.root, self.plan, self.faces))

    def _once(self, name: str, make: Callable[[], None]) -> None:
        done = self.work / f"{name}.done"
        if not done.exists():
            make()
            done.touch()

    def _feature_stores(self) -> None:
        self._texts()
        write_feature_stores(self.features, self.plan.of("train", "validation"), DIM)

    def _prediction_stores(self) -> None:
        self._texts()
        for split in ("validation", "test"):
            write_prediction_stores(self.work / "predictions" / split, self.plan.of(split))

    def _features_stage(self, dim: int) -> Stage:
        def stores() -> list[Path]:
            people = _first_frames([p for n, p in enumerate(self.plan.people) if is_new(n)], self.frames)
            return [self.work / "faces" / f"{person.name}.arrow" for person in people]

        def share() -> float:
            people = _first_frames([p for n, p in enumerate(self.plan.people) if is_new(n)], self.frames)
            return _frames(people) / _frames(self.plan.people)

        checkpoint = self.work / f"static{dim}"
        written = f"some_features{dim}"
        return Stage(
            f"features, {dim} wide",
            lambda: ["features", "--workers", "1", "--faces", *map(str, stores()), "--checkpoint", str(checkpoint),
                     "--out", self._out(written)],
            written,
            lambda: _write_static(checkpoint, BACKBONES[dim]),
            share,
            note=f"{BACKBONES[dim]}, 112 pixels, some of the videos",
        )  # fmt: skip

    def _some_people(self) -> list[Person]:
        return _first_frames(self.plan.of("test"), 20 * self.frames)

    def _some_features(self) -> None:
        write_feature_stores(self.work / "some_features", self._some_people(), DIM)


def _frames(people: Iterable[Person]) -> int:
    return sum(person.num_frames for person in people)


def _first_frames(people: Sequence[Person], num_frames: int) -> list[Person]:
    """The shortest videos, until they have this many frames."""
    chosen: list[Person] = []
    for person in sorted(people, key=lambda person: person.num_frames):
        if chosen and _frames(chosen) >= num_frames:
            break
        chosen.append(person)
    return chosen


def _write_static(folder: Path, backbone: str) -> None:
    """A checkpoint with random weights: it takes as long as a trained one."""
    # Loaded on use: the other stages do without torch.
    from abaw.models.architecture import Architecture
    from abaw.models.static import build_static, image_for, save_static
    from abaw.protocol.classes import EXPRESSION_CLASSES
    from abaw.stores.crop import ALIGNED_PIXELS

    if not folder.exists():
        architecture = Architecture(backbone=backbone)
        model = build_static(architecture, len(EXPRESSION_CLASSES), ALIGNED_PIXELS, seed=0)
        save_static(folder, model, architecture, EXPRESSION_CLASSES, image_for(backbone, ALIGNED_PIXELS), {})


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=Path, required=True, help="zip or folder of photos of faces")
    parser.add_argument("--work", type=Path, required=True, help="folder for data, results and the report")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the videos and frames")
    parser.add_argument("--stages", nargs="+", default=[], help="only these, by the name of the command")
    parser.add_argument("--steps", type=int, default=10, help=f"training steps, extrapolated to {FULL_STEPS:,}")
    parser.add_argument("--frames", type=int, default=2000, help="frames of `features`; `predict` has 20 times as many")
    parser.add_argument("--prepare", action="store_true", help="only write the data that the stages read")
    options = parser.parse_args(words)
    rehearsal = Rehearsal(options.work, options.faces, options.scale, options.steps, options.frames)
    if options.prepare:
        rehearsal.prepare(options.stages)
        return 0
    rehearsal.run(options.stages)
    print((options.work / "rehearsal.md").read_text())
    report = json.loads((options.work / "rehearsal.json").read_text())
    return int(any(not limit["kept"] for limit in report["limits"]))


if __name__ == "__main__":
    raise SystemExit(main())
