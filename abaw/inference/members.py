"""Checkpoints of either kind as members of an ensemble: features of a video -> outputs per frame.

Shapes: T time, C class, D feature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from abaw.data.read_clips import joined_backbone
from abaw.inference.windowed import window_outputs
from abaw.models.static import StaticModel, load_static
from abaw.models.tasks import split_outputs
from abaw.models.temporal import TemporalTransformer, load_temporal, spec_tasks
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.sequence.windows import Windows
from abaw.stores.features import FeatureStore
from abaw.stores.spec import CheckpointError, Spec, load_spec, require_classes


@dataclass(frozen=True, slots=True, eq=False)
class FrameOutputs:
    """A model's predictions for T frames.

    predicted: (T,) True for frames with a prediction. Of each task, None when the model does not have it: probs:
    (T, C); valence_arousal: (T, 2) in [-1, 1]; action_units: (T, 12) probabilities.
    """

    probs: Tensor | None
    predicted: NDArray[np.bool_]
    valence_arousal: Tensor | None = None
    action_units: Tensor | None = None


class Member(Protocol):
    """One model of an ensemble."""

    @property
    def folder(self) -> Path: ...

    @property
    def spec(self) -> Spec: ...

    @property
    def tasks(self) -> tuple[str, ...]: ...

    @property
    def backbone(self) -> str:
        """`weights_id` of the static checkpoint whose features it expects, joined by `+` for several sources."""

    def outputs(self, features: NDArray[np.float16], valid: NDArray[np.bool_]) -> FrameOutputs:
        """Predictions for a whole video. features: (T, D); valid: (T,) False without a face; T >= 1."""


def temporal_outputs(
    model: TemporalTransformer, spec: Spec, features: NDArray[np.float16], present: NDArray[np.bool_]
) -> FrameOutputs:
    """A temporal model's predictions for a whole video, which is cut into the windows of its spec.

    model: in eval mode; features: (T, D); present: (T,) False without a face; T >= 1.
    """
    windows = Windows(int(spec.input["window"]), int(spec.input["hop"]))
    outputs = window_outputs(model, features, present, windows, causal=model.size.causal)
    parts = split_outputs(outputs, spec_tasks(spec))
    return FrameOutputs(
        parts["expression"].softmax(-1) if "expression" in parts else None,
        np.ones_like(present),
        parts["valence_arousal"].tanh() if "valence_arousal" in parts else None,
        parts["action_units"].sigmoid() if "action_units" in parts else None,
    )


@dataclass(frozen=True, slots=True, eq=False)
class TemporalMember:
    """A temporal checkpoint: predicts every frame; those without a face from their neighbours."""

    folder: Path
    spec: Spec
    model: TemporalTransformer

    @property
    def tasks(self) -> tuple[str, ...]:
        return spec_tasks(self.spec)

    @property
    def backbone(self) -> str:
        return str(self.spec.input["backbone"])

    def outputs(self, features: NDArray[np.float16], valid: NDArray[np.bool_]) -> FrameOutputs:
        return temporal_outputs(self.model, self.spec, features, valid)


@dataclass(frozen=True, slots=True, eq=False)
class StaticMember:
    """A static checkpoint: applies its classifier to the stored features; frames without a face get no prediction."""

    folder: Path
    spec: Spec
    model: StaticModel

    @property
    def tasks(self) -> tuple[str, ...]:
        return ("expression",)

    @property
    def backbone(self) -> str:
        return self.spec.weights_id

    @torch.inference_mode()
    def outputs(self, features: NDArray[np.float16], valid: NDArray[np.bool_]) -> FrameOutputs:
        device = next(self.model.parameters()).device
        logits = self.model.classify(torch.from_numpy(features).float().to(device)).cpu()
        return FrameOutputs(logits.softmax(-1), valid)


def load_member(folder: Path, device: torch.device) -> Member:
    """A static or temporal checkpoint, ready to predict on the device.

    Raises CheckpointError when it is missing, damaged, or its classes are not the eight in their order (a temporal
    model without expression has none).
    """
    spec = load_spec(folder)
    if spec.kind != "temporal" or "expression" in spec_tasks(spec):
        require_classes(spec, EXPRESSION_CLASSES, folder)
    if spec.kind == "temporal":
        temporal, spec = load_temporal(folder)
        return TemporalMember(folder, spec, temporal.to(device))
    static, spec = load_static(folder)
    return StaticMember(folder, spec, static.to(device))


def require_fit(member: Member, stores: Sequence[FeatureStore]) -> None:
    """Raise CheckpointError when the features come from other backbones than the checkpoint expects.

    stores: of one video, one per source, in the order of training.
    """
    paths = ", ".join(str(store.store.path) for store in stores)
    dim, backbone = sum(store.feature_dim for store in stores), joined_backbone(stores)
    if dim != member.spec.feature_dim:
        raise CheckpointError(
            f"{member.folder}: expects {member.spec.feature_dim} features per frame, {paths} has "
            f"{dim}: it was written with another backbone; write it with the right one (`abaw features`)"
        )
    if backbone != member.backbone:
        raise CheckpointError(
            f"{paths}: written with another backbone: {member.folder} expects {member.backbone}, found "
            f"{backbone}; write the features again with that static checkpoint, or give a temporal checkpoint trained "
            "on these features; several --features must be in the order of training"
        )
