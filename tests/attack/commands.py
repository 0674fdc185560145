"""The commands under attack, on inputs that are small but take long enough to be hit in their middle."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
from PIL import Image

from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.protocol.editions import edition
from abaw.stores.predictions import read_predictions
from pipelines.cli import main
from tests.checkpoints import static_checkpoint, temporal_checkpoint
from tests.data.faces import still_store, video_store
from tests.pipelines.temporal_data import BACKBONE, TINY, D, data_flags, make_data
from tests.video.clips import portraits, write_clip

QUICK = (
    *(
        "--size",
        "16",
        "--batch_size",
        "8",
        "--train.accelerator",
        "cpu",
        "--train.lr",
        "0.003",
        "--train.log_every",
        "1",
    ),
    *("--train.warmup_steps", "2", "--train.checkpoint_every", "5"),
)
EVALUATED = (*QUICK, "--train.evaluate_every", "5")
TEMPORAL = [*TINY, "--train.checkpoint_every", "10", "--train.evaluate_every", "10", "--train.log_every", "5"]


@dataclass(frozen=True)
class Command:
    """A command and its arguments but --out."""

    name: str
    words: tuple[str, ...]

    def to(self, out: Path) -> list[str]:
        return [*self.words, "--out", str(out)]


def make_inputs(root: Path) -> None:
    """Everything that the commands read."""
    (root / "videos").mkdir(parents=True)
    for number in range(3):
        write_clip(root / "videos" / f"clip {number}.mp4", portraits(10 + number, side=96))
    for number, picture in enumerate(portraits(24, side=96)):
        path = root / "photos" / EXPRESSION_CLASSES[number % 8] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    for name in ("a", "b_left", "c é"):
        (root / "crops" / name).mkdir(parents=True)
        for frame, picture in enumerate(portraits(60, side=112), 1):
            if frame % 7:
                cv2.imwrite(str(root / "crops" / name / f"{frame:05d}.jpg"), picture[..., ::-1])
    for number in range(4):
        video_store(root / "faces" / f"v{number}.arrow", [label % 8 for label in range(60)], number)
    still_store(root / "stills.arrow", [index % 8 for index in range(64)], 1, {"source": "train"})
    still_store(root / "scored.arrow", [index % 8 for index in range(24)], 2, {"source": "valid"})
    static_checkpoint(root / "static")
    temporal_checkpoint(root / "temporal", D, BACKBONE, window=50, hop=30)
    make_data(root)
    assert main([*commands(root)["predict"].to(root / "predictions")]) == 0
    _write_template(root / "template.txt", root / "predictions")


def _write_template(path: Path, predictions: Path) -> None:
    lengths = {store.stem: len(read_predictions(store)) for store in sorted(predictions.glob("*.arrow"))}
    rows = [f"{video}/{frame:05d}.jpg,0" for video, length in lengths.items() for frame in range(1, length + 1)]
    path.write_text("\n".join([edition("abaw6").header, *rows]) + "\n", encoding="utf-8")


def commands(root: Path) -> dict[str, Command]:
    """By name, on the inputs that `make_inputs` made in `root`."""
    cpu = ("--accelerator", "cpu")
    temporal = (*data_flags(root), *TEMPORAL)
    found = {
        "extract": (root / "videos", "--detector", "builtin", "--workers", "2"),
        "import-images": (
            *("--dataset", "folder_per_class", "--root", root / "photos", "--name", "set", "--detector", "builtin"),
        ),
        "import-crops": (root / "crops",),
        "features": ("--faces", root / "faces", "--checkpoint", root / "static", "--batch_size", "8", *cpu),
        "train-static": ("--labelled", root / "stills.arrow", "--train.steps", "40", *EVALUATED),
        "train-temporal": (*temporal, "--window", "40", "--hop", "20", "--train.steps", "60"),
        "predict": ("--features", root / "features", "--checkpoint", root / "temporal", *cpu),
        "predict-video": (root / "videos", "--detector", "builtin", "--render", *cpu),
        "ablate": (
            *(*temporal, "--vary", "window=20,40", "--hop_fraction", "0.5", "--seeds", "0", "--holdout", "0.34"),
            *("--train.steps", "40", "--workers", "2"),
        ),
        "submit": ("--predictions", root / "predictions", "--template", root / "template.txt"),
        "validate": ("--predictions", root / "predictions", "--annotations", root / "annotations"),
        "pretrain": ("--faces", root / "stills.arrow", "--train.steps", "10", *QUICK),
        "bench": (
            *("ssl", "--labelled", root / "stills.arrow", "--scored", root / "scored.arrow", "--only", "supervised"),
            *("--seeds", "0", "--shares", "0.5", "--workers", "1", "--train.steps", "10", *EVALUATED),
        ),
        "export-crops": (root / "faces",),
    }
    return {name: Command(name, (name, *map(str, words))) for name, words in found.items()}


NINE = (
    *("extract", "import-images", "import-crops", "features", "train-static", "train-temporal", "predict"),
    *("predict-video", "ablate"),
)
"""The commands that make stores, models and pages; those after them in `commands` are short."""


def files(folder: Path) -> dict[str, Any]:
    """What is in a folder or a file, hidden files too, without what differs between equal runs.

    Left out: times in tables, TensorBoard's files, and the state to resume from, which holds times.
    """
    if folder.is_file():
        return {folder.name: folder.read_bytes()}
    found = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: _content(path) for name, path in found.items() if not _is_of_this_run(path.name)}


def _is_of_this_run(name: str) -> bool:
    return name.startswith("events.out.tfevents.") or name == "state.pt"


def _content(path: Path) -> Any:
    data = path.read_bytes()
    if path.suffix == ".json":
        return _without_seconds(json.loads(data))
    if path.suffix == ".csv" and b"_seconds" in data:
        rows = csv.DictReader(io.StringIO(data.decode()))
        return [{key: value for key, value in row.items() if not key.endswith("_seconds")} for row in rows]
    if path.suffix == ".md":  # seconds in tables: `1.5`, or `2 (3)` for a mean of three; `–` after an interruption
        return re.sub(r"\| (\d+\.\d|\d+ \(\d+\)|–) (?=\|)", "", data.decode())
    return data


def _without_seconds(value: Any) -> Any:
    """Without times, and without the output folder among the settings."""
    if isinstance(value, dict):
        kept = {key: each for key, each in value.items() if key != "out" and not key.endswith("_seconds")}
        return {key: _without_seconds(each) for key, each in kept.items()}
    return [_without_seconds(each) for each in value] if isinstance(value, list) else value
