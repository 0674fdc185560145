"""Choose the smoothing of `abaw predict-video` on real clips with labelled stretches and on lifelike flip-book clips.

    python benchmarks/choose_smoothing.py --clips VIDEOS --labels labels.csv --data FERPLUS.zip --work DIR

The rule is in docs/one-video.md ("How the smoothing is chosen"); it was written before anything was measured. With
`--temporal`, every smoothing is a candidate twice: of the static model and of the temporal model's predictions. Prints
a table of all candidates, the choice, and what it scores when each clip is decoded with the choice made on the others.
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
from flipbook import framewise, make_clips, read, temporal_videos
from flipbook_compare import Videos
from flipbook_stills import read_stills, split_valid
from lifelike_clips import FPS, Life, draw_life
from numpy.typing import NDArray

from abaw.core.artifacts import write_json
from abaw.evaluation.metrics import confusion_of, macro_f1_of
from abaw.inference.decode import decode
from abaw.inference.features import write_video_features
from abaw.inference.predict import predict_stores
from abaw.inference.video import VideoModels, VideoPipeline, load_models
from abaw.protocol.classes import EXPRESSION_CLASSES, NUM_EXPRESSIONS
from abaw.protocol.layout import find_media
from abaw.sequence.hmm import Transitions, count_transitions
from abaw.sequence.smooth import Smoothing, parse_smoothing
from abaw.sequence.smoothing_file import write_smoothing
from abaw.stores.faces import FaceStore
from abaw.stores.features import open_features
from abaw.stores.predictions import Predictions
from abaw.video.detecting.registry import open_detector
from abaw.weights import resolve_checkpoint
from pipelines.extract.command import resolved_detector

CANDIDATES = (
    "none",
    *(f"gaussian:{seconds}s" for seconds in (0.08, 0.12, 0.16, 0.24, 0.32, 0.48)),
    *(f"{name}:{seconds}s" for name in ("box", "median") for seconds in (0.2, 0.36, 0.52, 0.8)),
    *(
        f"{name}:{weight}"
        for name in ("viterbi", "forward_backward")
        for weight in (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 3)
    ),
)
COUNTS = {"train": 0, "tuning": 0, "scored": 8}
"""Flip-book clips per seed."""
TEMPORAL = "temporal, "
"""Begins the name of a candidate that smooths the predictions of the temporal model."""
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
    parser.add_argument("--temporal", type=Path, help="also smooth the predictions of this temporal model")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write the chosen smoothing here, with its transitions")
    parser.add_argument("--json", type=Path, help="write the table here")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    transitions = lifelike_transitions()
    smoothings = {text: parse_smoothing(text, transitions) for text in CANDIDATES}
    stretches = read_stretches(arguments.labels)
    table = {
        prefix + text: tallies(predictions, stretches, smoothing)
        for prefix, predictions in predict_clips(arguments, sorted(stretches)).items()
        for text, smoothing in smoothings.items()
    }
    book = flipbook_scores(arguments, smoothings)
    rows = {name: {**totals(table[name]), "lost": lost(table, name), "flipbook": book[name]} for name in table}
    for name, row in rows.items():
        print(f"{name:34s} " + ", ".join(f"{key} {value:g}" for key, value in row.items()))
    chosen = choose(table, book, sorted(stretches))
    print(f"chosen: {chosen}")
    outside = {clip: choose(table, book, sorted(stretches.keys() - {clip})) for clip in stretches}
    honest = totals({clip: table[text][clip] for clip, text in outside.items()})
    print("leave one clip out: " + ", ".join(f"{name} {value:g}" for name, value in honest.items()))
    print("chosen without each clip: " + ", ".join(f"{clip} {text}" for clip, text in outside.items()))
    if arguments.out is not None:
        smoothing = smoothings[chosen.removeprefix(TEMPORAL)]
        write_smoothing(arguments.out, smoothing, EXPRESSION_CLASSES, chosen_by="choose_smoothing.py")
    if arguments.json is not None:
        write_json(arguments.json, {"rows": rows, "chosen": chosen, "leave_one_out": honest, "without": outside})


def choose(table: Mapping[str, Clips], flipbook: Mapping[str, float], clips: Sequence[str]) -> str:
    """The rule of docs/one-video.md, on these clips."""
    plain = table["none"]

    def harms(text: str) -> bool:
        fewer = _sum(table[text], clips, "frames") < _sum(plain, clips, "frames")
        return lost(table, text, clips) > 0 or fewer or flipbook[text] < flipbook["none"]

    harmless = [text for text in table if not harms(text)]
    steady = [text for text in harmless if 2 * _sum(table[text], clips, "changes") <= _sum(plain, clips, "changes")]
    if steady:
        return max(steady, key=lambda text: flipbook[text])
    return min(harmless, key=lambda text: _sum(table[text], clips, "changes"))


def lost(table: Mapping[str, Clips], text: str, clips: Sequence[str] | None = None) -> int:
    """Stretches that are right frame by frame and no longer with `text`. clips: None for all."""
    plain, found = table["none"], table[text]
    pairs = ((plain[clip].stretches, found[clip].stretches) for clip in clips or plain)
    return sum(was and not now for before, after in pairs for was, now in zip(before, after, strict=True))


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


def predict_clips(arguments: argparse.Namespace, names: Sequence[str]) -> dict[str, dict[str, Predictions]]:
    """The predictions for the main person of each clip, by the beginning of the candidates' names."""
    models = load_models(arguments.checkpoint, None, "cpu")
    pipeline = VideoPipeline(arguments.work / "stores", open_detector(resolved_detector("auto")), models, "pyav", False)
    paths = {path.stem: path for path in find_media([arguments.clips])}
    found = {name: pipeline.run(paths[name]) for name in names}
    single = {"": {name: each.predictions[0] for name, each in found.items()}}
    if arguments.temporal is None:
        return single
    sequence = load_models(arguments.checkpoint, arguments.temporal, "cpu")
    return {**single, TEMPORAL: {name: _temporal(each.faces[0], sequence, arguments) for name, each in found.items()}}


def _temporal(faces: FaceStore, models: VideoModels, arguments: argparse.Namespace) -> Predictions:
    features = arguments.work / "stores" / "logits" / models.extractor.weights_id / faces.store.path.name
    write_video_features(faces, models.extractor, features)
    return predict_stores([models.member], [open_features(features)])


def lifelike_transitions() -> Transitions:
    """Counted on lifelike timelines with equal class shares: nobody knows the shares of a new video."""
    rng = np.random.default_rng(0)
    timelines = (draw_life([1.0] * NUM_EXPRESSIONS, Life(), rng).shown for _ in range(400))
    return count_transitions(timelines, NUM_EXPRESSIONS, fps=FPS)


def flipbook_scores(arguments: argparse.Namespace, smoothings: Mapping[str, Smoothing]) -> dict[str, float]:
    """Macro F1 of each candidate on lifelike clips of photos that no model has seen, mean over seeds."""
    static = resolve_checkpoint(arguments.checkpoint, "static")
    photos = read_stills(arguments.data, (0.0, 0.0))
    shares = np.bincount([still.label for still in photos.static], minlength=NUM_EXPRESSIONS).tolist()
    # The temporal model that ships has learned from the training part of this split.
    stills = split_valid(photos.scored, 0)
    scores: dict[str, list[float]] = {}
    for seed in arguments.seeds:
        clips = read(make_clips(stills, static, arguments.work, Life(), COUNTS, seed, shares), "scored")
        models = {"": framewise(clips, static)}
        if arguments.temporal is not None:
            models[TEMPORAL] = temporal_videos(clips, resolve_checkpoint(arguments.temporal, "temporal"))
        for prefix, videos in models.items():
            for text, smoothing in smoothings.items():
                scores.setdefault(prefix + text, []).append(_macro_f1(videos, smoothing))
    return {name: float(np.mean(values)) for name, values in scores.items()}


def _macro_f1(videos: Videos, smoothing: Smoothing) -> float:
    pairs = zip(videos.predictions, videos.labels, strict=True)
    counts: NDArray[np.int64] = np.sum(
        [confusion_of(labels, decode(each, smoothing).labels) for each, labels in pairs], axis=0
    )
    return float(macro_f1_of(counts))


if __name__ == "__main__":
    main()
