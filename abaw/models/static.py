"""The static model: one face image -> feature and class logits. Rebuilt from the spec of its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from abaw.core.config import to_plain
from abaw.core.errors import ConfigError
from abaw.core.seed import derive_seed
from abaw.models.backbones import build_backbone, probe_feature_dim
from abaw.stores.checkpoints import CheckpointError, Spec, load_checkpoint, require_classes, save_checkpoint

# Channel means and deviations of ImageNet in RGB, which pretrained weights expect; good enough for any face.
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
_LUMA = (0.299, 0.587, 0.114)


def luma(images: Tensor) -> Tensor:
    """RGB images (B, 3, S, S) -> their grey, (B, 1, S, S), by ITU-R BT.601."""
    weights = torch.tensor(_LUMA, device=images.device, dtype=images.dtype).view(1, 3, 1, 1)
    return (images * weights).sum(1, keepdim=True)


@dataclass(frozen=True, slots=True)
class ImageInput:
    """What a static model takes: `size` × `size` pixels, RGB in 0..1, then (x − mean) / std a channel.

    grey: every channel is the image's grey, so that a model trained on grey photos meets nothing new in colour video.
    """

    size: int
    grey: bool = False
    mean: tuple[float, float, float] = _MEAN
    std: tuple[float, float, float] = _STD

    def __post_init__(self) -> None:
        if self.size < 16:
            raise ConfigError(f"image size {self.size} is too small for an expression; expected at least 16 pixels")

    def normalise(self, images: Tensor) -> Tensor:
        """images (B, 3, S, S), RGB in 0..1 -> standardised; channels last in memory, as convolutions like it."""
        if self.grey:
            images = luma(images).expand_as(images)
        mean = torch.tensor(self.mean, device=images.device).view(1, 3, 1, 1)
        std = torch.tensor(self.std, device=images.device).view(1, 3, 1, 1)
        return ((images - mean) / std).contiguous(memory_format=torch.channels_last)


class StaticModel(nn.Module):
    """A backbone and a linear head.

    `head` takes features of any leading shape: (B, D) -> (B, C), (B, T, D) -> (B, T, C).
    """

    def __init__(self, backbone: nn.Module, feature_dim: int, num_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(feature_dim, num_classes)

    @property
    def feature_dim(self) -> int:
        return self.head.in_features

    def features(self, images: Tensor) -> Tensor:
        """Standardised images (B, 3, S, S) -> (B, D)."""
        features: Tensor = self.backbone(images)
        return features

    def forward(self, images: Tensor) -> Tensor:
        """Standardised images (B, 3, S, S) -> logits (B, C)."""
        logits: Tensor = self.head(self.features(images))
        return logits


def build_static(backbone: str, num_classes: int, size: int, *, seed: int, pretrained: bool = False) -> StaticModel:
    """A model with weights drawn from `seed`. Raises ConfigError for a backbone or a size that does not work."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        network = build_backbone(backbone, pretrained)
        model = StaticModel(network, probe_feature_dim(network, size, backbone), num_classes)
    return model.to(memory_format=torch.channels_last)


def static_spec(
    model: StaticModel, backbone: str, classes: tuple[str, ...], image: ImageInput, training: Mapping[str, Any]
) -> Spec:
    return Spec(
        kind="static",
        architecture={"name": backbone},
        classes=classes,
        feature_dim=model.feature_dim,
        input=to_plain(image),
        training=training,
    )


def save_static(
    folder: Path,
    model: StaticModel,
    backbone: str,
    classes: tuple[str, ...],
    image: ImageInput,
    training: Mapping[str, Any],
) -> Spec:
    """Write a checkpoint; `training` is its provenance. Returns the spec with the hash of the weights."""
    return save_checkpoint(folder, static_spec(model, backbone, classes, image, training), model.state_dict())


def load_static(folder: Path) -> tuple[StaticModel, Spec]:
    """Rebuild the model of a checkpoint, on the CPU and in eval mode.

    Raises CheckpointError when it is missing, damaged, of another kind, or when its weights do not fit its spec.
    """
    checkpoint = load_checkpoint(folder, "static")
    spec = checkpoint.spec
    try:
        model = build_static(spec.architecture["name"], len(spec.classes), image_input(spec).size, seed=0)
        model.load_state_dict(checkpoint.weights)
    except (ConfigError, KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"{folder}: its weights and its spec do not make a model: {error}") from error
    if model.feature_dim != spec.feature_dim:
        raise CheckpointError(
            f"{folder}: its spec promises features of width {spec.feature_dim}, its weights give {model.feature_dim}"
        )
    return model.eval(), spec


def image_input(spec: Spec) -> ImageInput:
    """What the checkpoint's model takes."""
    values = spec.input
    return ImageInput(int(values["size"]), bool(values.get("grey", False)), tuple(values["mean"]), tuple(values["std"]))


def initialise(model: StaticModel, backbone: str, classes: tuple[str, ...], folder: Path) -> str:
    """Start from the weights of a checkpoint; returns their id.

    Raises CheckpointError when its classes, their order, its backbone or its feature width are others.
    """
    checkpoint = load_checkpoint(folder, "static")
    spec = checkpoint.spec
    require_classes(spec, classes, folder)
    found = (spec.architecture.get("name"), spec.feature_dim)
    if found != (backbone, model.feature_dim):
        raise CheckpointError(
            f"{folder}: backbone differs: expected {backbone} with features of width {model.feature_dim}; "
            f"found {found[0]} with width {found[1]}; set backbone to {found[0]} or start from another checkpoint"
        )
    try:
        model.load_state_dict(checkpoint.weights)
    except RuntimeError as error:
        raise CheckpointError(f"{folder}: its weights and its spec do not make a model: {error}") from error
    return spec.weights_id
