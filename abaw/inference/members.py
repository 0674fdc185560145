"""Checkpoints of either kind as members of an ensemble: features of a video -> outputs per frame.

Shapes: T time, S source, C class, D feature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from abaw.core.device import Device
from abaw.extractors.extractor import Extractor
from abaw.extractors.kinds.checkpoint import open_extractor
from abaw.extractors.settings import NOTHING
from abaw.inference.windowed import window_outputs
from abaw.models.running import Classify, RunWindows, runs_without_torch, sigmoid, softmax
from abaw.models.tasks import is_causal, spec_tasks, split_outputs
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

    probs: NDArray[np.float32] | None
    predicted: NDArray[np.bool_]
    valence_arousal: NDArray[np.float32] | None = None
    action_units: NDArray[np.float32] | None = None


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
    run: RunWindows, spec: Spec, features: NDArray[np.float16], present: NDArray[np.bool_]
) -> FrameOutputs:
    """A temporal model's predictions for a whole video, which is cut into the windows of its spec.

    features: (T, D); present: (T, S) False without a feature; T >= 1.
    """
    windows = Windows(int(spec.input["window"]), int(spec.input["hop"]))
    outputs = window_outputs(run, features, present, windows, causal=is_causal(spec))
    parts = split_outputs(outputs, spec_tasks(spec))
    return FrameOutputs(
        softmax(parts["expression"]) if "expression" in parts else None,
        np.ones(len(present), dtype=np.bool_),
        np.tanh(parts["valence_arousal"]) if "valence_arousal" in parts else None,
        sigmoid(parts["action_units"]) if "action_units" in parts else None,
    )


@dataclass(frozen=True, slots=True, eq=False)
class TemporalMember:
    """A temporal checkpoint: predicts every frame; those without a face from its other sources and their neighbours."""

    folder: Path
    spec: Spec
    run: RunWindows

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
        return temporal_outputs(self.run, self.spec, features, np.logical_and.reduceat(present, starts, axis=1))


@dataclass(frozen=True, slots=True, eq=False)
class StaticMember:
    """A static checkpoint: applies its classifier to the stored features; frames without a face get no prediction."""

    folder: Path
    spec: Spec
    classify: Classify

    @property
    def tasks(self) -> tuple[str, ...]:
        return ("expression",)

    @property
    def backbones(self) -> tuple[str, ...]:
        return (self.spec.weights_id,)

    def outputs(self, features: NDArray[np.float16], present: NDArray[np.bool_]) -> FrameOutputs:
        return FrameOutputs(softmax(self.classify(features)), present[:, 0])


def load_member(path: Path, device: Device, threads: int | None = None) -> Member:
    """A static or temporal checkpoint, a folder or an exported file, ready to predict on the device.

    threads: of the processor, None for all. Raises CheckpointError when it is missing, damaged, or its classes are not
    the eight in their order (a temporal model without expression has none).
    """
    spec = load_spec(path)
    if spec.kind != "temporal":
        require_classes(spec, EXPRESSION_CLASSES, path)
        return static_member(path, open_extractor(str(path), NOTHING, device, threads))
    if "expression" in spec_tasks(spec):
        require_classes(spec, EXPRESSION_CLASSES, path)
    return TemporalMember(path, spec, _open_temporal(path, device, threads))


def static_member(path: Path, extractor: Extractor) -> StaticMember:
    """The head of a static checkpoint whose extractor is open. Raises CheckpointError for other classes."""
    spec = load_spec(path, "static")
    require_classes(spec, EXPRESSION_CLASSES, path)
    assert extractor.head is not None  # a static checkpoint has one
    return StaticMember(path, spec, extractor.head.classify)


def _open_temporal(path: Path, device: Device, threads: int | None) -> RunWindows:
    if runs_without_torch(path, device):
        # Loaded on use: few checkpoints have a graph.
        from abaw.models.exported import ExportedTemporal
        from abaw.stores.exported import find_exported

        return ExportedTemporal(find_exported(path), device, threads)
    # Loaded on use: it takes seconds, and exported models do without.
    from abaw.models.temporal import load_temporal, on_windows

    return on_windows(load_temporal(path)[0].to(device))


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
