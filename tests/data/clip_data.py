"""Small clips and stores for the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from abaw.data.clips import Clip, ClipSet
from abaw.protocol.labels import FrameLabels
from abaw.stores.features import feature_batch, write_features
from abaw.stores.sources import FACE, Source

D = 4


def write_store_of(
    folder: Path,
    name: str,
    num_frames: int,
    *,
    missing: tuple[int, ...] = (),
    backbone: str = "a" * 16,
    dim: int = D,
    modality: str = FACE,
) -> Path:
    """A feature store; all features of frame k are k."""
    valid = np.ones(num_frames, dtype=bool)
    valid[list(missing)] = False
    features = np.repeat(np.arange(1, num_frames + 1, dtype=np.float16)[:, None], dim, axis=1)
    path = folder / f"{name}.arrow"
    frames = np.arange(1, num_frames + 1, dtype=np.int32)
    meta = {"backbone": backbone, "trained_on": [f"seen by {backbone[0]}"]}
    if modality != FACE:
        meta["modality"] = modality
    write_features(path, dim, [feature_batch(frames, valid, features)], meta)
    return path


def labels_of(name: str, expressions: list[int]) -> FrameLabels:
    """Labels with the given expressions; the valence of frame k is k / 100 and its first action unit is on."""
    num_frames = len(expressions)
    valence_arousal = np.full((num_frames, 2), np.nan, dtype=np.float32)
    valence_arousal[:, 0] = np.arange(1, num_frames + 1) / 100
    action_units = np.full((num_frames, 12), -1, dtype=np.int8)
    action_units[:, 0] = 1
    return FrameLabels(name, np.array(expressions, dtype=np.int8), valence_arousal, action_units)


def clip(name: str, labels: list[int]) -> Clip:
    features = np.arange(len(labels) * D).reshape(-1, D).astype(np.float16)
    face = np.ones(len(labels), dtype=bool)
    return Clip(name, features, face[:, None], face, np.array(labels, dtype=np.int8))


def clip_set(*clips: Clip) -> ClipSet:
    return ClipSet(clips, (Source("features", "a" * 16, D),))
