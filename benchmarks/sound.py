"""What the sound of the demo adds to the picture: expression from sound, from the picture, and from both.

    abaw demo --out work/demo
    python benchmarks/sound.py work/demo [--seeds 0 1 2] [--out work/demo/sound_benchmark] [--workers 1]

The script trains models of the picture and of both with the recipe `ablate_demo_sound` on a finished demo, and of the
sound alone with settings of its own. It prints macro F1 on the validation videos, with the spread over the seeds of
training. Then it hides the face of each validation subject for a
while and compares on the hidden frames: the model of the picture, its predictions for the frames that have a face
interpolated linearly over those that have none, its own predictions there, which it makes from the frames around, and
those of the models that hear the sound.

Decided before any model was trained on the sound: `abaw.demo.sound.SOUND` says how clearly the voices follow the
expression, and `HIDDEN_S` for how long a face is hidden.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from abaw.core.artifacts import read_json
from abaw.core.seed import numpy_generator
from abaw.data.read_clips import OfSource
from abaw.evaluation.metrics import macro_f1
from abaw.inference.decode import decode
from abaw.inference.members import Member, load_member
from abaw.inference.predict import predict_stores
from abaw.protocol.annotations import VALIDATION_SET
from abaw.protocol.classes import NUM_EXPRESSIONS
from abaw.protocol.labels import read_labels
from abaw.sequence.smooth import Smoothing
from abaw.stores.features import feature_batch, open_features, write_features
from pipelines.cli import main as abaw

HIDDEN_S = 2.4
"""So long is the face of each validation subject hidden, in one stretch, as when someone turns or walks away.

The demo's own frames without a face are too few to score: 46 labelled ones in two of its 16 validation videos.
"""
ALONE = ("--learn.balance", "none", "--learn.feature_noise", "1.0", "--learn.time_mask", "0.6")
"""Settings for the sound alone, chosen on a third of the training videos: it is ambiguous, so the balanced loss that
suits the picture makes it guess rare classes too often."""
PICTURE, SOUND, BOTH = "features", "sound", "features+sound"
TOGETHER = "together"
CPU = "cpu"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("demo", type=Path, help="folder of a finished `abaw demo`")
    parser.add_argument("--out", type=Path, help="folder for the trainings; by default sound_benchmark in the demo's")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of training")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    out = options.out or options.demo / "sound_benchmark"
    train(options.demo, out, options.seeds, options.workers)
    labels = {name: found.expression for name, found in read_labels(*_validation(options.demo)).items()}
    report_sources(out, options.seeds, chance(labels))
    report_hidden(options.demo, out, options.seeds, labels)


def _validation(demo: Path) -> tuple[Path, str, tuple[str, ...]]:
    return demo / "data" / "annotations", VALIDATION_SET, ("expression",)


def train(demo: Path, out: Path, seeds: Sequence[int], workers: int) -> None:
    """Train what is not trained yet."""
    for name, sources, more in ((TOGETHER, (PICTURE, BOTH), ()), (SOUND, (SOUND,), ALONE)):
        words = ["ablate", "--config", "ablate_demo_sound", "--features", str(demo / PICTURE), str(demo / SOUND)]
        words += ["--annotations", str(demo / "data" / "annotations"), "--out", str(out / name)]
        words += ["--workers", str(workers), "--seeds", *map(str, seeds), "--vary", f"sources={','.join(sources)}"]
        if abaw([*words, *more]):
            raise SystemExit("the trainings failed; see the lines above")


def cell(out: Path, name: str, seed: int) -> Path:
    """The run folder of a model. name: of its sources."""
    return out / (SOUND if name == SOUND else TOGETHER) / "cells" / f"sources={name},seed={seed}"


def chance(labels: Mapping[str, NDArray[np.int8]], draws: int = 200) -> float:
    """Mean macro F1 of guesses drawn with the shares of the classes."""
    known = np.concatenate([of_video[of_video >= 0] for of_video in labels.values()])
    shares = np.bincount(known, minlength=NUM_EXPRESSIONS) / len(known)
    rng = numpy_generator(0, "chance")
    guesses = (rng.choice(NUM_EXPRESSIONS, len(known), p=shares).astype(np.int8) for _ in range(draws))
    return float(np.mean([macro_f1(known, guess) for guess in guesses]))


def report_sources(out: Path, seeds: Sequence[int], by_chance: float) -> None:
    """Macro F1 over all annotated frames."""
    cells: dict[str, list[float]] = {name: [] for name in (PICTURE, SOUND, BOTH)}
    for comparison in (TOGETHER, SOUND):
        for found in read_json(out / comparison / "ablation.json")["cells"]:
            if found["seed"] in seeds:
                cells[found["sources"]].append(found["macro_f1"])
    print(f"macro F1 x 100 on the validation videos, seeds {seeds}")
    print(f"  guessing by the shares of the classes   {100 * by_chance:.1f}")
    for name, scores in cells.items():
        print(f"  {name:<40}{_spread(scores)}")
    _difference("sound - guessing", [value - by_chance for value in cells[SOUND]])
    _difference("picture and sound - picture", np.subtract(cells[BOTH], cells[PICTURE]))


def report_hidden(demo: Path, out: Path, seeds: Sequence[int], labels: Mapping[str, NDArray[np.int8]]) -> None:
    """Macro F1 on frames whose face is hidden."""
    videos = {name: hide(demo, out, name, labels) for name in labels if (demo / PICTURE / f"{name}.arrow").exists()}
    members = {
        name: [load_member(cell(out, name, seed) / "last", CPU) for seed in seeds] for name in (PICTURE, SOUND, BOTH)
    }
    scores = {
        title: [score_hidden(member, videos, labels, interpolated) for member in members[name]]
        for title, name, interpolated in (
            ("picture, interpolated", PICTURE, True),
            ("picture", PICTURE, False),
            ("sound", SOUND, False),
            ("picture and sound", BOTH, False),
        )
    }
    total = sum(int(frames.sum()) for _, frames in videos.values())
    print(f"macro F1 x 100 on {total} annotated frames without a face, hidden for {HIDDEN_S} s per subject")
    for title, values in scores.items():
        print(f"  {title:<40}{_spread(values)}")
    both = scores["picture and sound"]
    _difference("picture and sound - interpolated", np.subtract(both, scores["picture, interpolated"]))
    _difference("picture and sound - picture", np.subtract(both, scores["picture"]))


Hidden = tuple[list[OfSource], NDArray[np.bool_]]
"""The stores of a subject, and its annotated frames whose face is hidden."""


def hide(demo: Path, out: Path, name: str, labels: Mapping[str, NDArray[np.int8]]) -> Hidden:
    """Write a features store without the hidden faces."""
    store = open_features(demo / PICTURE / f"{name}.arrow")
    mask = hidden(len(store), float(store.meta["fps"]), numpy_generator(0, "hidden", name))
    path = out / "hidden" / f"{name}.arrow"
    if not path.exists():
        batch = feature_batch(store.frames, store.valid & ~mask, store.features())
        write_features(path, store.feature_dim, [batch], store.meta)
    known = np.full(len(store), -1, np.int8)
    length = min(len(store), len(labels[name]))
    known[:length] = labels[name][:length]
    parts: list[OfSource] = [open_features(path), open_features(demo / SOUND / f"{name}.arrow")]
    return parts, mask & (known >= 0)


def hidden(num_frames: int, fps: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(T,) True on the hidden frames; a face is left before and after them for as long as the video allows it."""
    length = min(round(HIDDEN_S * fps), max(0, num_frames - 2))
    start = int(rng.integers(1, num_frames - length))
    mask = np.zeros(num_frames, np.bool_)
    mask[start : start + length] = True
    return mask


def score_hidden(
    member: Member, videos: Mapping[str, Hidden], labels: Mapping[str, NDArray[np.int8]], interpolated: bool
) -> float:
    """Macro F1 of a model on the hidden frames. interpolated: between the predictions of the frames with a face."""
    truth, found = [], []
    for name, (stores, frames) in videos.items():
        predictions = predict_stores([member], stores)
        if interpolated:
            predictions = replace(predictions, predicted=predictions.valid)
        truth.append(labels[name][np.flatnonzero(frames)])
        found.append(decode(predictions, Smoothing()).labels[frames])
    return macro_f1(np.concatenate(truth), np.concatenate(found))


def _spread(values: Sequence[float]) -> str:
    each = ", ".join(f"{100 * value:.1f}" for value in values)
    return f"{100 * np.mean(values):.1f} ± {100 * np.std(values, ddof=1):.1f}   ({each})"


def _difference(what: str, differences: ArrayLike) -> None:
    values = np.asarray(differences)
    error = values.std(ddof=1) / np.sqrt(len(values))
    print(f"  {what:<40}{100 * values.mean():+.1f}, standard error {100 * error:.1f}")


if __name__ == "__main__":
    main()
