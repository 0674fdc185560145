"""Features -> probabilities of every frame: the temporal model over overlapping windows, or the static model's head.

Shapes: B batch, T time, C class, D feature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from abaw.core.artifacts import provenance, quick_hash, value_hash
from abaw.data.clips import ClipSet, check_frames
from abaw.evaluation.metrics import Evaluation, ScoredVideo, evaluate
from abaw.models.static import load_static
from abaw.models.temporal import load_temporal
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.sequence.windows import Windows, cut, inside, overlap_average
from abaw.stores.checkpoints import CheckpointError, Spec, load_spec, require_classes
from abaw.stores.features import FeatureStore
from abaw.stores.predictions import Predictions

_FRAMES_A_BATCH = 4096


@torch.inference_mode()
def window_logits(
    model: nn.Module, features: NDArray[np.float16], present: NDArray[np.bool_], windows: Windows
) -> Tensor:
    """Logits of every frame, averaged where windows overlap.

    model: a temporal model in eval mode; features: (T, D); present: (T,). Returns (T, C) on the CPU, T >= 1.
    """
    device = next(model.parameters()).device
    num_frames = len(present)
    starts = windows.starts(num_frames)
    # A video shorter than a window needs no padding: the model takes any length.
    length = min(windows.length, num_frames)
    at_once = max(1, _FRAMES_A_BATCH // length)
    values, mask = torch.from_numpy(features), torch.from_numpy(present)
    pieces = []
    for first in range(0, len(starts), at_once):
        part = starts[first : first + at_once]
        batch = (cut(values, part, length), cut(mask, part, length), inside(part, length, num_frames))
        pieces.append(model(*(tensor.to(device) for tensor in batch)).cpu())
    return overlap_average(torch.cat(pieces), starts, num_frames)


def score_clips(model: nn.Module, clips: ClipSet, windows: Windows) -> Evaluation:
    """Score a temporal model on annotated videos, without smoothing. Raises DataError when no frame is labelled."""
    videos = []
    for clip in clips.clips:
        predicted = window_logits(model, clip.features, clip.present, windows).argmax(-1).numpy().astype(np.int8)
        videos.append(ScoredVideo(clip.name, clip.labels, predicted, clip.present))
    return evaluate(videos)


class Member(Protocol):
    """One model of an ensemble."""

    @property
    def folder(self) -> Path: ...

    @property
    def spec(self) -> Spec: ...

    @property
    def backbone(self) -> str:
        """`weights_id` of the static checkpoint whose features it takes."""

    def probs(self, features: NDArray[np.float16], valid: NDArray[np.bool_]) -> tuple[Tensor, NDArray[np.bool_]]:
        """features: (T, D); valid: (T,), T >= 1. Returns probabilities (T, C) and (T,) True where it gives some."""


@dataclass(frozen=True, slots=True, eq=False)
class TemporalMember:
    """A temporal checkpoint: predicts every frame, those without a face from their neighbours."""

    folder: Path
    spec: Spec
    model: nn.Module

    @property
    def backbone(self) -> str:
        return str(self.spec.input["backbone"])

    def probs(self, features: NDArray[np.float16], valid: NDArray[np.bool_]) -> tuple[Tensor, NDArray[np.bool_]]:
        windows = Windows(int(self.spec.input["window"]), int(self.spec.input["hop"]))
        logits = window_logits(self.model, features, valid, windows)
        return logits.softmax(-1), np.ones_like(valid)


@dataclass(frozen=True, slots=True, eq=False)
class StaticMember:
    """A static checkpoint: its classifier on the stored features, frame by frame, nothing where no face was found."""

    folder: Path
    spec: Spec
    head: nn.Module

    @property
    def backbone(self) -> str:
        return self.spec.weights_id

    @torch.inference_mode()
    def probs(self, features: NDArray[np.float16], valid: NDArray[np.bool_]) -> tuple[Tensor, NDArray[np.bool_]]:
        device = next(self.head.parameters()).device
        logits = self.head(torch.from_numpy(features).float().to(device)).cpu()
        return logits.softmax(-1), valid


def load_member(folder: Path, device: torch.device) -> Member:
    """A checkpoint of either kind, ready to predict on the device.

    Raises CheckpointError when it is missing, damaged, or its classes are not the eight in their order.
    """
    require_classes(load_spec(folder), EXPRESSION_CLASSES, folder)
    if load_spec(folder).kind == "temporal":
        temporal, spec = load_temporal(folder)
        return TemporalMember(folder, spec, temporal.to(device))
    static, spec = load_static(folder)
    return StaticMember(folder, spec, static.head.to(device).eval())


def require_fit(member: Member, store: FeatureStore) -> None:
    """Raise CheckpointError when the features were written by another backbone than the checkpoint expects."""
    if store.feature_dim != member.spec.feature_dim:
        raise CheckpointError(
            f"{member.folder}: expects {member.spec.feature_dim} features a frame, {store.store.path} has "
            f"{store.feature_dim}: it was written by another backbone; write it with the right one (`abaw features`)"
        )
    if store.backbone != member.backbone:
        raise CheckpointError(
            f"{store.store.path}: written by another backbone: {member.folder} expects {member.backbone}, found "
            f"{store.backbone}; write the features again with that static checkpoint, or give its own temporal one"
        )


def fingerprint(members: Sequence[Member], store_path: Path) -> str:
    """Stands for the input and the models of one predictions store."""
    return value_hash([quick_hash(store_path), *(member.spec.weights_id for member in members)])


def predict_store(members: Sequence[Member], store: FeatureStore) -> Predictions:
    """Probabilities of every frame of one video: the mean over the members that predict the frame.

    Raises CheckpointError when a member expects features of another backbone, StoreError when rows are missing.
    """
    for member in members:
        require_fit(member, store)
    check_frames(store)
    valid = store.valid
    total = torch.zeros(len(store), len(EXPRESSION_CLASSES))
    votes = torch.zeros(len(store), 1)
    if len(store):
        features = store.features()
        for member in members:
            member_probs, predicted = member.probs(features, valid)
            mask = torch.from_numpy(predicted)[:, None]
            total += torch.where(mask, member_probs, 0)
            votes += mask
    probs = (total / votes.clamp_min(1)).numpy()
    meta = provenance(
        backbone=store.backbone,
        checkpoints=[member.spec.weights_id for member in members],
        fps=store.meta.get("fps"),
        fingerprint=fingerprint(members, store.store.path),
    )
    return Predictions(store.name, EXPRESSION_CLASSES, store.frames, valid, votes[:, 0].numpy() > 0, probs, meta)
