"""What a temporal model and a smoothing do to faces that do not change: stills, each held for 200 frames.

    python benchmarks/held_stills.py --data ferplus.zip --static builtin --temporal builtin [--smoothing none]

A single frame says all there is to know, so any difference from the static model is an error of what follows it.
Limits: accuracy at most 1 point below that of the static model, and at most 2 % of the frames with another class than
most of their clip. The stills are 600 photos of the part of FER+ `valid` that makes no training clips
(builtin_temporal.py).
Shapes: N stills, T time, C class.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from flipbook_clips import FPS, drawn
from flipbook_stills import Still, read_stills, split_valid
from numpy.typing import NDArray

from abaw.evaluation.metrics import confusion_of, macro_f1_of
from abaw.extractors.registry import open_extractor
from abaw.inference.decode import decode
from abaw.inference.features import features_of_crops
from abaw.inference.members import Member, load_member
from abaw.models.running import softmax
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.sequence.smooth import Smoothing, parse_smoothing
from abaw.sequence.smoothing_file import read_smoothing
from abaw.stores.predictions import Predictions
from abaw.weights import resolve_checkpoint

STILLS, FRAMES = 600, 200
BELOW, CHANGED = 0.01, 0.02
"""Limits: see above."""


@dataclass(frozen=True, slots=True)
class Steadiness:
    """Accuracy and macro F1 of single frames and of the temporal stage, and the share of frames whose class differs
    from that of most frames of their clip."""

    static_accuracy: float
    static_macro_f1: float
    accuracy: float
    macro_f1: float
    changed: float

    @property
    def steady(self) -> bool:
        return self.accuracy >= self.static_accuracy - BELOW and self.changed <= CHANGED

    def __str__(self) -> str:
        return (
            f"held stills: accuracy {self.accuracy:.3f} (static {self.static_accuracy:.3f}), macro F1 "
            f"{self.macro_f1:.3f} ({self.static_macro_f1:.3f}), frames that differ from most of their clip "
            f"{self.changed:.2%}: {'steady' if self.steady else 'NOT steady'}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="ferplus.zip: images and votes.csv")
    parser.add_argument("--static", type=Path, default=Path("builtin"))
    parser.add_argument("--temporal", type=Path, help="a temporal checkpoint of the static model's logits, or builtin")
    parser.add_argument("--smoothing", default="none", help="a smoothing, or a file of one")
    parser.add_argument("--seed", type=int, default=0, help="of the split of the photos")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    static = resolve_checkpoint(arguments.static, "static")
    member = None
    if arguments.temporal is not None:
        member = load_member(resolve_checkpoint(arguments.temporal, "temporal"), "cpu")
    smoothing = (
        read_smoothing(Path(arguments.smoothing), EXPRESSION_CLASSES)
        if arguments.smoothing.endswith(".json")
        else parse_smoothing(arguments.smoothing)
    )
    photos = split_valid(read_stills(arguments.data, (0.0, 0.0)).scored, arguments.seed).scored
    print(steadiness(chosen(photos, arguments.seed), static, member, smoothing))


def chosen(photos: Sequence[Still], seed: int) -> list[Still]:
    """At most 600 of the photos, at random."""
    order = np.random.default_rng([seed, 13]).permutation(len(photos))
    return [photos[row] for row in sorted(order[:STILLS].tolist())]


def steadiness(stills: Sequence[Still], static: Path, temporal: Member | None, smoothing: Smoothing) -> Steadiness:
    """temporal: takes the static model's logits; None for the smoothing alone."""
    extractor = open_extractor(static, "cpu", threads=torch.get_num_threads(), outputs="logits")
    logits = features_of_crops((drawn(still.pixels, np.zeros(4), False) for still in stills), extractor)
    labels = np.array([still.label for still in stills], dtype=np.int8)
    classes = np.stack([_classes(row, temporal, smoothing) for row in logits])
    counts = np.stack([np.bincount(row, minlength=len(EXPRESSION_CLASSES)) for row in classes])
    single = confusion_of(labels, logits.argmax(axis=1).astype(np.int8))
    frames = confusion_of(np.repeat(labels, FRAMES), classes.ravel())
    return Steadiness(
        _accuracy(single),
        float(macro_f1_of(single)),
        _accuracy(frames),
        float(macro_f1_of(frames)),
        float(1 - counts.max(axis=1).sum() / classes.size),
    )


def _classes(logits: NDArray[np.float16], temporal: Member | None, smoothing: Smoothing) -> NDArray[np.int8]:
    """The classes of a clip that shows one face, (T,). logits: (C,)."""
    there = np.ones(FRAMES, dtype=np.bool_)
    held = np.repeat(logits[None], FRAMES, axis=0)
    probs = softmax(held.astype(np.float32))
    if temporal is not None:
        outputs = temporal.outputs(held, there[:, None]).probs
        assert outputs is not None
        probs = outputs
    frames = np.arange(1, FRAMES + 1, dtype=np.int32)
    predictions = Predictions("held", EXPRESSION_CLASSES, frames, there, there, probs, {"fps": FPS})
    return decode(predictions, smoothing).labels


def _accuracy(confusion: NDArray[np.int64]) -> float:
    return float(np.trace(confusion) / confusion.sum())


if __name__ == "__main__":
    main()
