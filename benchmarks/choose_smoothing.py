"""Choose the smoothing of `abaw predict-video` on real clips with labelled stretches and on lifelike flip-book clips.

    python benchmarks/choose_smoothing.py --clips VIDEOS --labels labels.csv --data FERPLUS.zip --work DIR

The rule is in docs/one-video.md ("How the smoothing is chosen"); it was written before anything was measured. Prints a
table of all candidates, the choice, and what it scores when each clip is decoded with the choice made on the others.
Finished parts stay in `--work`. Run it again for every new static or temporal model.

labels.csv: rows `video,first,last,label,kind`, frames from 1. Stretches of `Other` are left out: the built-in model
knows it only as contempt.
Shapes: T time.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from builtin_temporal import split
from flipbook import make_clips, predicted
from flipbook_compare import Videos
from flipbook_stills import read_stills
from lifelike_clips import FPS, Life, draw_life
from numpy.typing import NDArray

from abaw.core.artifacts import write_json
from abaw.evaluation.metrics import confusion_of, macro_f1_of
from abaw.inference.decode import decode
from abaw.inference.video import VideoPipeline, load_models
from abaw.protocol.classes import EXPRESSION_CLASSES, NUM_EXPRESSIONS
from abaw.protocol.layout import find_media
from abaw.sequence.hmm import Transitions, count_transitions
from abaw.sequence.smooth import Smoothing, parse_smoothing
from abaw.sequence.smoothing_file import write_smoothing
from abaw.stores.predictions import Predictions
from abaw.video.detecting.registry import open_detector
from abaw.weights import resolve_checkpoint
from pipelines.extract.command import resolved_detector

CANDIDATES = (
    "none",
    *(f"gaussian:{seconds}s" for seconds in (0.08, 0.12, 0.16, 0.24, 0.32, 0.48)),
    *(f"{name}:{seconds}s" for name in ("box", "median") for seconds in (0.2, 0.36, 0.52, 0.8)),
    *(f"{name}:{weight}" for name in ("viterbi", "forward_backward") for weight in (0.02, 0.05, 0.1, 0.2, 0.5)),
)
COUNTS = {"train": 8, "tuning": 0, "scored": 0}
"""Flip-book clips per seed."""
LEFT_OUT = "Other"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Frames `first` to `last`, from 1, that show one class."""

    first: int
    last: int
    label: int


@dataclass(frozen=True, slots=True)
class Tally:
    """Of one clip under one smoothing: frames of the stretches that are right, which stretches are right (more than
    half of their frames are), and changes of the label in the whole clip."""

    frames: int
    stretches: tuple[bool, ...]
    changes: int


Clips = Mapping[str, Tally]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True, help="folder of the videos")
    parser.add_argument("--labels", type=Path, required=True, help="labels.csv")
    parser.add_argument("--data", type=Path, required=True, help="ferplus.zip: images and votes.csv")
    parser.add_argument("--work", type=Path, required=True, help="folder for stores and features")
    parser.add_argument("--checkpoint", type=Path, default=Path("builtin"))
    parser.add_argument("--temporal", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write the chosen smoothing here, with its transitions")
    parser.add_argument("--json", type=Path, help="write the table here")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    transitions = lifelike_transitions()
    smoothings = {text: parse_smoothing(text, transitions) for text in CANDIDATES}
    stretches = read_stretches(arguments.labels)
    predictions = predict_clips(arguments, sorted(stretches))
    table = {text: tallies(predictions, stretches, smoothing) for text, smoothing in smoothings.items()}
    book = flipbook_scores(arguments, smoothings)
    rows = {text: {**totals(table[text]), "flipbook": book[text]} for text in CANDIDATES}
    for text, row in rows.items():
        print(f"{text:24s} " + ", ".join(f"{name} {value:g}" for name, value in row.items()))
    chosen = choose(table, book, sorted(stretches))
    print(f"chosen: {chosen}")
    outside = {clip: choose(table, book, sorted(stretches.keys() - {clip})) for clip in stretches}
    honest = totals({clip: table[text][clip] for clip, text in outside.items()})
    print("leave one clip out: " + ", ".join(f"{name} {value:g}" for name, value in honest.items()))
    print("chosen without each clip: " + ", ".join(f"{clip} {text}" for clip, text in outside.items()))
    if arguments.out is not None:
        write_smoothing(arguments.out, smoothings[chosen], EXPRESSION_CLASSES, chosen_by="choose_smoothing.py")
    if arguments.json is not None:
        write_json(arguments.json, {"rows": rows, "chosen": chosen, "leave_one_out": honest, "without": outside})


def choose(table: Mapping[str, Clips], flipbook: Mapping[str, float], clips: Sequence[str]) -> str:
    """The rule of docs/one-video.md, on these clips."""
    plain = table["none"]

    def loses(text: str) -> bool:
        found = table[text]
        lost = any(
            was and not now
            for clip in clips
            for was, now in zip(plain[clip].stretches, found[clip].stretches, strict=True)
        )
        return lost or _sum(found, clips, "frames") < _sum(plain, clips, "frames") or flipbook[text] < flipbook["none"]

    harmless = [text for text in table if not loses(text)]
    steady = [text for text in harmless if 2 * _sum(table[text], clips, "changes") <= _sum(plain, clips, "changes")]
    if steady:
        return max(steady, key=lambda text: flipbook[text])
    return min(harmless, key=lambda text: _sum(table[text], clips, "changes"))


def _sum(found: Clips, clips: Sequence[str], name: str) -> int:
    return int(sum(getattr(found[clip], name) for clip in clips))


def totals(found: Clips) -> dict[str, int]:
    clips = sorted(found)
    return {
        "frames": _sum(found, clips, "frames"),
        "stretches": sum(sum(found[clip].stretches) for clip in clips),
        "changes": _sum(found, clips, "changes"),
    }


def tallies(
    predictions: Mapping[str, Predictions], stretches: Mapping[str, Sequence[Stretch]], smoothing: Smoothing
) -> dict[str, Tally]:
    return {clip: tally(predictions[clip], parts, smoothing) for clip, parts in stretches.items()}


def tally(predictions: Predictions, stretches: Sequence[Stretch], smoothing: Smoothing) -> Tally:
    labels = decode(predictions, smoothing).labels
    right = [labels[part.first - 1 : part.last] == part.label for part in stretches]
    seen = labels[predictions.valid]
    return Tally(
        frames=int(sum(each.sum() for each in right)),
        stretches=tuple(bool(each.mean() > 0.5) for each in right),
        changes=int(np.count_nonzero(np.diff(seen))),
    )


def read_stretches(path: Path) -> dict[str, list[Stretch]]:
    found: dict[str, list[Stretch]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["label"] != LEFT_OUT:
                part = Stretch(int(row["first"]), int(row["last"]), EXPRESSION_CLASSES.index(row["label"]))
                found.setdefault(row["video"], []).append(part)
    return found


def predict_clips(arguments: argparse.Namespace, names: Sequence[str]) -> dict[str, Predictions]:
    """The predictions for the main person of each clip."""
    models = load_models(arguments.checkpoint, arguments.temporal, "cpu")
    pipeline = VideoPipeline(arguments.work / "stores", open_detector(resolved_detector("auto")), models, "pyav", False)
    paths = {path.stem: path for path in find_media([arguments.clips])}
    return {name: pipeline.run(paths[name]).predictions[0] for name in names}


def lifelike_transitions() -> Transitions:
    """Counted on lifelike timelines with equal class shares: nobody knows the shares of a new video."""
    rng = np.random.default_rng(0)
    timelines = (draw_life([1.0] * NUM_EXPRESSIONS, Life(), rng).shown for _ in range(400))
    return count_transitions(timelines, NUM_EXPRESSIONS, fps=FPS)


def flipbook_scores(arguments: argparse.Namespace, smoothings: Mapping[str, Smoothing]) -> dict[str, float]:
    """Macro F1 of each smoothing on lifelike clips of photos that the static model has not seen, mean over seeds."""
    static = resolve_checkpoint(arguments.checkpoint, "static")
    photos = read_stills(arguments.data, (0.0, 0.0))
    shares = np.bincount([still.label for still in photos.static], minlength=NUM_EXPRESSIONS).tolist()
    scores: dict[str, list[float]] = {text: [] for text in smoothings}
    for seed in arguments.seeds:
        stills = split(photos.scored, seed)
        folder = make_clips(stills, static, arguments.work, Life(), COUNTS, seed, shares)
        clips: Videos = predicted(static, folder, ["features"], "train")
        for text, smoothing in smoothings.items():
            pairs = zip(clips.predictions, clips.labels, strict=True)
            counts: NDArray[np.int64] = np.sum(
                [confusion_of(labels, decode(each, smoothing).labels) for each, labels in pairs], axis=0
            )
            scores[text].append(float(macro_f1_of(counts)))
    return {text: float(np.mean(values)) for text, values in scores.items()}


if __name__ == "__main__":
    main()
