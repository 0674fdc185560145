"""The static model: one face image -> feature and class logits. Rebuilt from the spec of its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from abaw.core.config import to_plain
from abaw.core.errors import ConfigError
from abaw.core.extras import MissingLibraryError
from abaw.core.seed import derive_seed
from abaw.models.architecture import Architecture, read_architecture
from abaw.models.backbones import build_backbone, channel_statistics, probe_feature_dim
from abaw.models.experts import ExpertMixture
from abaw.models.image_input import ImageInput, image_input
from abaw.models.local_attention import LocalAttentionPool, attend
from abaw.models.running import Classify
from abaw.stores.checkpoints import Checkpoint, load_checkpoint, misfit, require_shapes, save_checkpoint
from abaw.stores.crop import Crop
from abaw.stores.spec import CheckpointError, Spec, require_classes

_BACKBONE = "backbone."


def image_for(backbone: str, size: int, grey: bool = False, crop: Crop | None = None) -> ImageInput:
    """What a new model on this backbone is trained on: normalised as the backbone's pretrained weights expect it."""
    mean, std = channel_statistics(backbone)
    return ImageInput(size, grey, mean, std, crop)


class StaticModel(nn.Module):
    """A backbone and a linear head; with experts, one mixture before the features and one before the head.

    With experts, features are scaled to length √D, where the entries are about 1. LEAF scales to length 1; with ours, a
    head that was trained without experts can be used further.
    """

    def __init__(
        self,
        backbone: nn.Module,
        feature_dim: int,
        num_classes: int,
        semantic: ExpertMixture | None = None,
        instance: ExpertMixture | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.semantic = semantic
        self.instance = instance
        self.head = nn.Linear(feature_dim, num_classes)

    @property
    def feature_dim(self) -> int:
        return self.head.in_features

    def features(self, images: Tensor) -> Tensor:
        """Standardised images (B, 3, S, S) -> (B, D)."""
        features: Tensor = self.backbone(images)
        if self.semantic is not None:
            features = F.normalize(self.semantic(features), dim=-1) * self.feature_dim**0.5
        return features

    def classify(self, features: Tensor) -> Tensor:
        """Features of any leading shape, (…, D), -> logits (…, C)."""
        logits: Tensor = self.head(features if self.instance is None else self.instance(features))
        return logits

    def forward(self, images: Tensor) -> Tensor:
        """Standardised images (B, 3, S, S) -> logits (B, C)."""
        return self.classify(self.features(images))


def classify_arrays(model: StaticModel) -> Classify:
    """The head of a model, in eval mode, as a function of arrays."""

    @torch.inference_mode()
    def classify(features: NDArray[np.floating]) -> NDArray[np.float32]:
        rows = torch.from_numpy(features).float().to(model.head.weight.device)
        logits: NDArray[np.float32] = model.classify(rows).cpu().numpy()
        return logits

    return classify


def build_static(
    architecture: Architecture,
    num_classes: int,
    size: int,
    *,
    seed: int,
    pretrained: bool = False,
    weights: Path | None = None,
) -> StaticModel:
    """A model with weights drawn from `seed`, those of the backbone optionally pretrained or from a file.

    Raises ConfigError for a backbone or a size that does not work, and DataError for a file with other weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        network = build_backbone(architecture.backbone, pretrained, size, weights)
        width = probe_feature_dim(network, size, architecture.backbone)
        model = _assembled(network, width, num_classes, size, architecture)
    return model.to(memory_format=torch.channels_last)


def _assembled(network: nn.Module, width: int, num_classes: int, size: int, architecture: Architecture) -> StaticModel:
    model = StaticModel(network, width, num_classes)
    # Last, so that the other parts draw the same weights with and without it.
    if architecture.attention_maps:
        attend(network, size, architecture.attention_maps, architecture.backbone)
    if (experts := architecture.experts) is not None:
        model.semantic, model.instance = ExpertMixture(width, experts), ExpertMixture(width, experts)
    return model


def save_static(
    folder: Path,
    model: StaticModel,
    architecture: Architecture,
    classes: tuple[str, ...],
    image: ImageInput,
    training: Mapping[str, Any],
    class_shares: tuple[float, ...] | None = None,
) -> Spec:
    """Write a checkpoint. training: its provenance; class_shares: see Spec. Returns the spec with the weights' hash."""
    spec = Spec(
        "static",
        architecture.plain(),
        classes,
        model.feature_dim,
        to_plain(image),
        training,
        class_shares=class_shares,
    )
    return save_checkpoint(folder, spec, model.state_dict())


def save_backbone(
    folder: Path,
    backbone: nn.Module,
    feature_dim: int,
    architecture: Architecture,
    image: ImageInput,
    training: Mapping[str, Any],
) -> Spec:
    """Write a checkpoint of a backbone without classes, from which a static model can start."""
    spec = Spec("backbone", architecture.plain(), (), feature_dim, to_plain(image), training)
    return save_checkpoint(folder, spec, {f"{_BACKBONE}{k}": v for k, v in backbone.state_dict().items()})


def load_static(folder: Path) -> tuple[StaticModel, Spec]:
    """Rebuild the model of a checkpoint, on the CPU and in eval mode.

    Raises CheckpointError when it is missing, damaged or of another kind, or when its weights do not fit its spec.
    """
    checkpoint = load_checkpoint(folder, "static")
    return _rebuilt(checkpoint), checkpoint.spec


def load_features(folder: Path) -> tuple[StaticModel, Spec]:
    """As `load_static`, for checkpoints with or without a head: use only the model's `features`."""
    checkpoint = _load_image_checkpoint(folder)
    return _rebuilt(checkpoint), checkpoint.spec


def _load_image_checkpoint(folder: Path) -> Checkpoint:
    checkpoint = load_checkpoint(folder)
    if checkpoint.spec.kind == "temporal":
        raise CheckpointError(f"{folder}: expected a static checkpoint or a backbone, found a temporal one")
    return checkpoint


def _rebuilt(checkpoint: Checkpoint) -> StaticModel:
    folder, spec = checkpoint.path, checkpoint.spec
    try:
        architecture, image = read_architecture(spec.architecture), image_input(spec)
        num_classes = max(1, len(spec.classes))
        # Before anything of the size that the spec states is built, which may be any size.
        require_shapes(folder, checkpoint.weights, _expected_weights(architecture, num_classes, spec))
        model = build_static(architecture, num_classes, image.size, seed=0)
        if spec.kind == "backbone":
            model.backbone.load_state_dict(_backbone_weights(checkpoint.weights))
        else:
            model.load_state_dict(checkpoint.weights)
    except MissingLibraryError as error:
        raise MissingLibraryError(f"{folder}: {error}") from error
    except (ConfigError, ValueError, RuntimeError) as error:
        raise misfit(folder, error) from error
    if model.feature_dim != spec.feature_dim:
        raise CheckpointError(
            f"{folder}: its spec states features of width {spec.feature_dim}, its weights have {model.feature_dim}"
        )
    return model.eval()


def _expected_weights(architecture: Architecture, num_classes: int, spec: Spec) -> dict[str, Tensor]:
    """The weights of the checkpoint that a spec describes, on the device "meta", which takes no memory."""
    size = image_input(spec).size
    network = _on_meta(architecture.backbone, size)
    with torch.device("meta"):
        model = _assembled(network, spec.feature_dim, num_classes, size, architecture)
    return {
        name: weight
        for name, weight in model.state_dict().items()
        if spec.kind != "backbone" or name.startswith(_BACKBONE)
    }


def _on_meta(backbone: str, size: int) -> nn.Module:
    try:
        with torch.device("meta"):
            return build_backbone(backbone, size=size)
    except (NotImplementedError, RuntimeError):  # some networks compute their widths with tensors
        return build_backbone(backbone, size=size).to("meta")


def _backbone_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(_BACKBONE): value for name, value in weights.items() if name.startswith(_BACKBONE)}


def initialise(model: StaticModel, architecture: Architecture, classes: tuple[str, ...], folder: Path) -> str:
    """Load the weights of a static checkpoint or of a bare backbone into `model`; returns their id.

    Parts that the checkpoint lacks (experts, attention, the head of a bare backbone) keep their random weights. Raises
    CheckpointError when its classes, their order, its backbone or its feature width differ, or when it has experts or
    attention that the model does not have.
    """
    checkpoint = _load_image_checkpoint(folder)
    spec = checkpoint.spec
    if spec.kind == "static":
        require_classes(spec, classes, folder)
    found = (spec.architecture.get("name"), spec.feature_dim)
    if found != (architecture.backbone, model.feature_dim):
        raise CheckpointError(
            f"{folder}: backbone differs: expected {architecture.backbone} with features of width {model.feature_dim}; "
            f"found {found[0]} with width {found[1]}; set backbone to {found[0]} or start from another checkpoint"
        )
    expected = architecture.plain()
    extra = {name: value for name, value in spec.architecture.items() if name != "name" and value != expected.get(name)}
    if extra:
        raise CheckpointError(
            f"{folder}: has {', '.join(f'{name} {value}' for name, value in extra.items())}, which the model to train "
            "does not have; use the same settings (--aggregation, --experts, attention maps) or start from another "
            "checkpoint"
        )
    try:
        missing, unexpected = model.load_state_dict(checkpoint.weights, strict=False)
    except RuntimeError as error:
        raise misfit(folder, error) from error
    optional = _optional_weights(model, spec)
    if unexpected or (lacking := [name for name in missing if name not in optional]):
        what = "unexpected" if unexpected else "missing"
        raise misfit(folder, f"{what} {', '.join((unexpected or lacking)[:5])}")
    return spec.weights_id


def _optional_weights(model: StaticModel, spec: Spec) -> set[str]:
    """Names of the weights that a checkpoint with this spec may lack."""
    modules: list[tuple[str, nn.Module | None]] = [("semantic", model.semantic), ("instance", model.instance)]
    if spec.kind == "backbone":
        modules.append(("head", model.head))
    modules += [(path, each) for path, each in model.named_modules() if isinstance(each, LocalAttentionPool)]
    return {f"{path}.{name}" for path, each in modules if each is not None for name in each.state_dict()}
