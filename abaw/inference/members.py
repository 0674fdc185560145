"""Checkpoints of either kind as members of an ensemble: features of a video -> outputs per frame.

Shapes: T time, S source, C class, D feature.
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

from abaw.inference.windowed import window_outputs
from abaw.models.static import StaticModel, load_static
from abaw.models.tasks import split_outputs
from abaw.models.temporal import TemporalTransformer, load_temporal, spec_tasks
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.sequence.windows import Windows
from abaw.stores.sources import Source, joined_backbone, spec_backbones
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
    def backbones(self) -> tuple[str, ...]:
        """The backbones of the features that it expects, S, in their order."""

    def outputs(self, features: NDArray[np.float16], present: NDArray[np.bool_]) -> FrameOutputs:
        """Predictions for a whole video. features: (T, D); present: (T, S) False without a feature; T >= 1."""


def temporal_outputs(
    model: TemporalTransformer, spec: Spec, features: NDArray[np.float16], present: NDArray[np.bool_]
) -> FrameOutputs:
    """A temporal model's predictions for a whole video, which is cut into the windows of its spec.

    model: in eval mode; features: (T, D); present: (T, S) False without a feature; T >= 1.
    """
    windows = Windows(int(spec.input["window"]), int(spec.input["hop"]))
    outputs = window_outputs(model, features, present, windows, causal=model.size.causal)
    parts = split_outputs(outputs, spec_tasks(spec))
    return FrameOutputs(
        parts["expression"].softmax(-1) if "expression" in parts else None,
        np.ones(len(present), dtype=np.bool_),
        parts["valence_arousal"].tanh() if "valence_arousal" in parts else None,
        parts["action_units"].sigmoid() if "action_units" in parts else None,
    )


@dataclass(frozen=True, slots=True, eq=False)
class TemporalMember:
    """A temporal checkpoint: predicts every frame; those without a face from its other sources and their neighbours."""

    folder: Path
    spec: Spec
    model: TemporalTransformer

    @property
    def tasks(self) -> tuple[str, ...]:
        return spec_tasks(self.spec)

    @property
    def backbones(self) -> tuple[str, ...]:
        return tuple(name for joined in spec_backbones(self.spec) for name in joined)

    def outputs(self, features: NDArray[np.float16], present: NDArray[np.bool_]) -> FrameOutputs:
        # Checkpoints of earlier versions have several backbones in one source, which is present where all of them are.
        sizes = [len(joined) for joined in spec_backbones(self.spec)]
        starts = np.cumsum([0, *sizes[:-1]])
        return temporal_outputs(self.model, self.spec, features, np.logical_and.reduceat(present, starts, axis=1))


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
    def backbones(self) -> tuple[str, ...]:
        return (self.spec.weights_id,)

    @torch.inference_mode()
    def outputs(self, features: NDArray[np.float16], present: NDArray[np.bool_]) -> FrameOutputs:
        device = next(self.model.parameters()).device
        logits = self.model.classify(torch.from_numpy(features).float().to(device)).cpu()
        return FrameOutputs(logits.softmax(-1), present[:, 0])


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


def fitting_sources(member: Member, sources: Sequence[Source], paths: Sequence[Path]) -> tuple[int, ...]:
    """The indices of the sources that the checkpoint uses, which are those of its backbones, in their order.

    sources: of one video; those that the checkpoint does not use are passed over. paths: of the stores, for messages.
    Raises CheckpointError when the sources have other backbones or another order than the checkpoint expects.
    """
    found: list[int] = []
    for index, source in enumerate(sources):
        if len(found) < len(member.backbones) and source.backbone == member.backbones[len(found)]:
            found.append(index)
    shown, backbone = ", ".join(map(str, paths)), joined_backbone(sources)
    complete = len(found) == len(member.backbones)
    dim = sum(sources[index].dim for index in found) if complete else sum(source.dim for source in sources)
    if dim != member.spec.feature_dim:
        raise CheckpointError(
            f"{member.folder}: expects {member.spec.feature_dim} features per frame, {shown} has "
            f"{dim}: it was written with another backbone; write it with the right one (`abaw features`)"
        )
    if not complete:
        raise CheckpointError(
            f"{shown}: written with another backbone: {member.folder} expects {'+'.join(member.backbones)}, found "
            f"{backbone}; write the features again with that static checkpoint, or give a temporal checkpoint trained "
            "on these features; several --features must be in the order of training"
        )
    return tuple(found)
