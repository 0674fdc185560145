"""Made-up features with labels, small enough to train on in a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from abaw.protocol.annotations import write_annotation
from abaw.stores.features import feature_batch, write_features

BACKBONE = "a" * 16
D = 16


def make_split(
    root: Path, split: str, names: list[str], *, num_frames: int = 120, noise: float = 2.0, seed: int = 0
) -> None:
    """Features: the class's mean and much noise a frame. Labels: runs of 15 to 40 frames. Five frames show no face."""
    means = np.random.default_rng(99).normal(size=(8, D))
    generator = np.random.default_rng([seed, *split.encode()])
    for name in names:
        labels = np.concatenate([np.full(generator.integers(15, 40), generator.integers(8)) for _ in range(num_frames)])
        labels = labels[:num_frames]
        features = means[labels] + noise * generator.normal(size=(num_frames, D))
        valid = np.ones(num_frames, dtype=bool)
        valid[10:15] = False
        frames = np.arange(1, num_frames + 1, dtype=np.int32)
        batch = feature_batch(frames, valid, features.astype(np.float16))
        write_features(root / "features" / f"{name}.arrow", D, [batch], {"backbone": BACKBONE, "fps": 25.0})
        labels[20:23] = -1
        write_annotation(root / "annotations" / split / f"{name}.txt", labels)


def make_data(root: Path, num_training: int = 6, num_validation: int = 3) -> None:
    make_split(root, "Train_Set", [f"train{index}" for index in range(num_training)])
    make_split(root, "Validation_Set", [f"valid{index}" for index in range(num_validation)])


TINY = [
    "--model.layers", "1", "--model.heads", "2", "--model.width", "16", "--model.dropout", "0.1",
    "--learn.batch_size", "8", "--train.warmup_steps", "2", "--train.accelerator", "cpu",
]  # fmt: skip
"""Flags of a model that trains in a moment."""


def data_flags(root: Path) -> list[str]:
    return ["--features", str(root / "features"), "--annotations", str(root / "annotations")]
