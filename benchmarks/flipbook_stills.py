"""The stills of the flip-book: FER+ by majority vote, in parts that share no photo, and the static model."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.protocol.classes import EXPRESSION_CLASSES, NUM_EXPRESSIONS
from abaw.semisup.settings import LabelledLearning
from abaw.training.settings import TrainSettings
from pipelines.import_images import ImportImagesConfig
from pipelines.import_images import run as import_images
from pipelines.train_static import TrainStaticConfig, train_static

# Votes for a class; `contempt` counts as Other. A still that most annotators call `unknown` or `NF` is left out.
_CLASS_OF_VOTE = dict(
    zip(
        ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise", "contempt"),
        EXPRESSION_CLASSES,
        strict=True,
    )
)
_VOTES = (*_CLASS_OF_VOTE, "unknown", "NF")
# Two stills are one photo when their thumbnails correlate above this. Chosen by inspecting FER+, which has many photos
# twice, cropped, scaled, watermarked or lit differently: above are hardly any different photos, below more and more.
ALIKE = 0.94
_THUMBNAIL = 12
VALID_PARTS = (0.5, 0.15)
"""Shares of each class of FER+ `valid` for the training and the tuning clips; the rest is for the scored clips."""
COMPARED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Still:
    """One FER+ image: its grey pixels (48, 48) uint8, and the class 0..7 that most of ten annotators chose."""

    name: str
    label: int
    pixels: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Stills:
    """Stills of the static model (static) and of the training, tuning and scored clips.

    The first three are parts of FER+ `train`, the last is FER+ `valid`.
    """

    static: Sequence[Still]
    train: Sequence[Still]
    tuning: Sequence[Still]
    scored: Sequence[Still]


def majority(votes: Mapping[str, str]) -> int | None:
    """The class that most annotators chose; None on a tie or when most chose `unknown` or `NF`."""
    counts = [int(votes[name]) for name in _VOTES]
    winners = [name for name, count in zip(_VOTES, counts, strict=True) if count == max(counts)]
    if len(winners) > 1 or winners[0] not in _CLASS_OF_VOTE:
        return None
    return EXPRESSION_CLASSES.index(_CLASS_OF_VOTE[winners[0]])


def read_stills(path: Path, shares: tuple[float, float], seed: int = 0) -> Stills:
    """Read FER+ and split it.

    `valid` is for the scored clips. Of each class of `train` the given shares are for the training and the tuning
    clips, the rest for the static model. A photo in two parts is left out of the later one, even if it is cropped, lit
    or mirrored differently.
    """
    by_split: dict[str, list[Still]] = {"train": [], "valid": []}
    with zipfile.ZipFile(path) as archive:
        for row in csv.DictReader(io.TextIOWrapper(archive.open("ferplus/votes.csv"), encoding="utf-8")):
            label = majority(row)
            if label is not None:
                png = np.frombuffer(archive.read(f"ferplus/images/{row['image']}"), np.uint8)
                pixels = np.asarray(cv2.imdecode(png, cv2.IMREAD_GRAYSCALE), np.uint8)
                by_split[row["split"]].append(Still(row["image"], label, pixels))
    labels = np.array([still.label for still in by_split["train"]])
    rng = np.random.default_rng(seed)
    part_of = np.zeros(len(labels), dtype=np.int64)
    for label in range(NUM_EXPRESSIONS):
        members = rng.permutation(np.flatnonzero(labels == label))
        ends = np.round(np.cumsum(shares) * len(members)).astype(int)
        part_of[members[: ends[0]]], part_of[members[ends[0] : ends[1]]] = 1, 2
    parts = [[still for still, own in zip(by_split["train"], part_of, strict=True) if own == part] for part in range(3)]
    return Stills(*apart([*parts, by_split["valid"]]))


def split_valid(photos: Sequence[Still], seed: int) -> Stills:
    """Split the photos of FER+ `valid` class by class for a static model that was trained on all of `train`.

    The part for a static model stays empty; a photo that is a changed copy of one in an earlier part is left out.
    """
    rng = np.random.default_rng([seed, 7])
    parts: list[list[Still]] = [[], [], []]
    for label in range(NUM_EXPRESSIONS):
        members = [still for still in photos if still.label == label]
        order = rng.permutation(len(members))
        ends = np.round(np.cumsum([*VALID_PARTS, 1 - sum(VALID_PARTS)]) * len(members)).astype(int)
        for part, rows in zip(parts, np.split(order, ends[:-1]), strict=True):
            part += [members[row] for row in rows]
    return Stills([], *apart(parts))


def apart(parts: Sequence[Sequence[Still]]) -> list[list[Still]]:
    """Leave out of each part the photos of earlier parts."""
    kept: list[list[Still]] = []
    for part in parts:
        before = [still for earlier in kept for still in earlier]
        kept.append([still for still, again in zip(part, shared(part, before), strict=True) if not again])
    require_apart(kept)
    return kept


def shared(stills: Sequence[Still], others: Sequence[Still]) -> NDArray[np.bool_]:
    """(N,) True for each of `stills` that shows the same photo as one of `others`, mirrored or not."""
    found = np.zeros(len(stills), dtype=bool)
    if not (stills and others):
        return found
    known = thumbnails([still.pixels for still in others])
    for start in range(0, len(stills), COMPARED_AT_ONCE):
        part = [still.pixels for still in stills[start : start + COMPARED_AT_ONCE]]
        for pixels in (part, [image[:, ::-1] for image in part]):
            found[start : start + len(part)] |= (thumbnails(pixels) @ known.T).max(axis=1) > ALIKE
    return found


def thumbnails(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """(N, 144): small, centred, of length 1: the product of two is their correlation."""
    side = (_THUMBNAIL, _THUMBNAIL)
    small = np.stack([cv2.resize(image, side, interpolation=cv2.INTER_AREA).ravel() for image in images])
    centred = small.astype(np.float32) - small.mean(axis=1, keepdims=True, dtype=np.float32)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = centred / np.maximum(length, 1e-6)
    return scaled


def require_apart(parts: Sequence[Sequence[Still]]) -> None:
    """Raise DataError when two parts have an identical image."""
    seen: dict[str, str] = {}
    for part in parts:
        hashes = {hashlib.sha256(still.pixels.tobytes()).hexdigest(): still.name for still in part}
        for value, name in hashes.items():
            if value in seen:
                raise DataError(f"{name} and {seen[value]} are the same image in two parts that must share none")
        seen |= hashes


def train_static_model(stills: Sequence[Still], work: Path, steps: int) -> Path:
    """Import the stills and train the static model on them with the project's own stages; returns its checkpoint.

    An unfinished run in `work` is resumed; a finished one is kept.
    """
    images = work / "stills"
    if not images.is_dir():
        partial = work / "stills.partial"
        for still in stills:
            folder = partial / EXPRESSION_CLASSES[still.label]
            folder.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / still.name), still.pixels)
        partial.rename(images)
    import_images(
        ImportImagesConfig(
            dataset="folder_per_class", root=images, out=work / "faces", name="static_stills", detector="none"
        )
    )
    config = TrainStaticConfig(
        out=work / "static",
        labelled=(work / "faces" / "static_stills.arrow",),
        supervised=LabelledLearning(view="weak", label_smoothing=0.1),
        backbone="small",
        size=48,
        balance="uniform",
        batch_size=64,
        train=TrainSettings(
            steps=steps,
            lr=3e-3,
            warmup_steps=min(100, steps // 2),
            ema_decay=0.995,
            evaluate_every=max(1, steps // 4),
            checkpoint_every=max(1, steps // 20),
        ),
    )
    train_static(config)
    return config.out / "last"
