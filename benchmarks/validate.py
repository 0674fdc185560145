"""Time and memory of `abaw validate` at the size of the official validation split: 70 videos, 300,000 frames.

    python benchmarks/validate.py [--folder DIR] [--draws 1000]

The script makes annotations and the predictions of two models: a per-frame model and a steadier one. Both have the
properties of real ones: segments of classes, the published imbalance, some harder videos, dropped frames. It runs the
command in a separate process and prints seconds and peak memory for one model, a tenth of its videos, a sweep with
class biases, and both models compared. Limit: 20 s for one model with 1,000 draws. --folder keeps the reports.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from abaw.protocol.annotations import write_annotation
from abaw.protocol.classes import EXPRESSION_CLASSES, NUM_EXPRESSIONS
from abaw.stores.predictions import Predictions, write_predictions

NUM_VIDEOS, NUM_FRAMES = 70, 300_000
SECONDS = 20.0
SWEEP = ("none", "box:31", "box:101", "box:201", "gaussian:25", "median:101")
# Frames of each class in the validation split of Aff-Wild2, as published.
CLASS_FRAMES = np.array((82_258, 6_126, 5_296, 8_408, 34_511, 25_157, 12_332, 106_444))
_FLICKER = 60  # frames that an error of a model lasts


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--folder", type=Path, help="keep data and reports here (default: a temporary folder)")
    parser.add_argument("--draws", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = options.folder or Path(temporary)
        make_data(root, np.random.default_rng(0))
        draws = ["--draws", str(options.draws)]
        both = [root / "static", root / "temporal"]
        # The second time counts: the first loads files and libraries into the disk cache.
        runs = {
            "one model, first time": ([root / "temporal"], draws),
            "one model": ([root / "temporal"], draws),
            "a tenth of the videos": ([root / "few"], draws),
            f"sweep of {len(SWEEP)}": ([root / "temporal"], [*draws, "--smoothing", *SWEEP]),
            "the same with class biases": ([root / "temporal"], [*draws, "--smoothing", *SWEEP, "--fit_bias"]),
            "two models, a sweep of 3 each": (both, [*draws, "--smoothing", *SWEEP[:3]]),
        }
        for number, (name, (predictions, words)) in enumerate(runs.items()):
            seconds, megabytes = validate(root, predictions, root / f"report{number}", words)
            limit = f" (limit: {SECONDS:.0f} s)" if name == "one model" else ""
            print(f"{name}: {seconds:.1f} s{limit}, {megabytes:.0f} MB")


def make_data(root: Path, rng: np.random.Generator) -> None:
    """Write annotations and predictions below `root`; `few` has a tenth of `temporal`."""
    lengths = rng.dirichlet(np.full(NUM_VIDEOS, 2.0)) * (NUM_FRAMES - 100 * NUM_VIDEOS) + 100
    lengths = np.diff(np.round(np.concatenate([[0], np.cumsum(lengths)]))).astype(int)
    for number, length in enumerate(lengths):
        # Every tenth video has two people.
        name = f"{number:03d}-30-1280x720" if number % 10 else f"{number:03d}-30-1280x720_left"
        labels = timeline(int(length), rng)
        write_annotation(root / "annotations" / "Validation_Set" / f"{name}.txt", labels)
        hard = rng.normal(0, 0.5)
        faces = rng.random(length) > 0.017
        for model, skill, flicker in (("static", 0.9, 1.0), ("temporal", 1.2, 0.6)):
            probs = predicted(np.where(labels < 0, 0, labels), skill - hard, flicker, rng)
            store = _store(name, probs, faces, faces if model == "static" else np.ones_like(faces))
            write_predictions(root / model / f"{name}.arrow", store)
            if model == "temporal" and number < NUM_VIDEOS // 10:
                write_predictions(root / "few" / f"{name}.arrow", store)


def timeline(length: int, rng: np.random.Generator) -> NDArray[np.int8]:
    """(T,) segments of classes; a video shows few of the eight, and 5 % of its segments have no label."""
    likely = rng.dirichlet(3.0 * CLASS_FRAMES / CLASS_FRAMES.sum() + 0.02)
    labels = np.empty(length, np.int8)
    at = 0
    while at < length:
        end = at + int(rng.lognormal(np.log(150), 0.8)) + 1
        labels[at:end] = -1 if rng.random() < 0.05 else rng.choice(NUM_EXPRESSIONS, p=likely)
        at = end
    return labels


def predicted(labels: NDArray[np.int8], skill: float, flicker: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """(T, C) overconfident probabilities: lasting errors, single-frame errors, a bias to the frequent classes."""
    length = len(labels)
    slow = np.repeat(rng.normal(0, 1.3, (length // _FLICKER + 1, NUM_EXPRESSIONS)), _FLICKER, axis=0)[:length]
    logits = skill * np.eye(NUM_EXPRESSIONS)[labels] + slow + rng.normal(0, flicker, (length, NUM_EXPRESSIONS))
    logits += 0.5 * np.log(CLASS_FRAMES / CLASS_FRAMES.sum())
    odds = np.exp(1.6 * (logits - logits.max(axis=1, keepdims=True)))
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)


def _store(name: str, probs: NDArray[np.float32], faces: NDArray[np.bool_], given: NDArray[np.bool_]) -> Predictions:
    frames = np.arange(1, len(probs) + 1, dtype=np.int32)
    meta = {"checkpoints": ["0123456789abcdef"], "trained_on": ["elsewhere"], "selected_on": []}
    return Predictions(name, EXPRESSION_CLASSES, frames, faces, given, probs, meta)


def validate(root: Path, predictions: Sequence[Path], out: Path, words: Sequence[str]) -> tuple[float, float]:
    """Seconds and peak megabytes of the command, in a separate process."""
    command = [sys.executable, "-m", "pipelines.cli", "validate", "--predictions", *map(str, predictions)]
    command += ["--annotations", str(root / "annotations"), "--out", str(out), *words]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"`{' '.join(command)}` ended with status {process.returncode}")
    return seconds, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
