"""Backbones by name: classification networks of torchvision without their heads, networks of timm (`timm:NAME`), and
our own `small`, `medium`, `large` and `wide_resnet28_2`.

A backbone maps images (B, 3, S, S) to features (B, D).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from abaw.core.errors import ConfigError, nearest
from abaw.models.image_input import IMAGENET_MEAN, IMAGENET_STD
from abaw.models.small import SmallNet
from abaw.models.timm_networks import PREFIX, build_timm, load_timm, pretrained_file, timm_input
from abaw.models.weight_files import load_weights, read_weight_file
from abaw.models.wide_resnet import WideResNet

_OWN: dict[str, Callable[[], nn.Module]] = {
    "small": lambda: SmallNet(16, (32, 64, 128)),  # 0.3 million weights, 128 features
    "medium": lambda: SmallNet(32, (48, 96, 192, 384)),  # 2.7 million weights, 384 features
    "large": lambda: SmallNet(64, (64, 128, 256, 512), depth=2),  # 11 million weights, 512 features
    "wide_resnet28_2": lambda: WideResNet(28, 2),  # 1.5 million weights, 128 features
}
# In training their forward pass returns more than one tensor.
_WITH_SIDE_OUTPUTS = frozenset({"googlenet", "inception_v3"})


def backbone_names() -> list[str]:
    """Our own backbones, and every network of torchvision.models that has a single output."""
    models = _torchvision_models()
    return [*_OWN, *sorted(set(models.list_models(module=models)) - _WITH_SIDE_OUTPUTS)]


def build_backbone(
    name: str, pretrained: bool = False, size: int | None = None, weights: Path | None = None
) -> nn.Module:
    """A backbone with random weights, with its library's pretrained ones, or with those of a file.

    size: of the images, for networks of timm that are built for one size; weights: a file with at least the weights of
    the backbone. Raises ConfigError for an unknown name, for pretrained weights that do not exist or cannot be
    downloaded (this is done once), and for a network without a linear head. Raises DataError for a file with other
    weights.
    """
    if name.startswith(PREFIX):
        return _from_timm(name.removeprefix(PREFIX), pretrained, size, weights)
    network = _random_or_pretrained(name, pretrained)
    if weights is not None:
        load_weights(network, read_weight_file(weights), weights, name)
    return network


def _from_timm(name: str, pretrained: bool, size: int | None, weights: Path | None) -> nn.Module:
    network = build_timm(name, size)
    if pretrained:
        weights = pretrained_file(name, "--no-pretrained --backbone_weights")
    if weights is not None:
        load_timm(network, name, weights)
    return network


def _random_or_pretrained(name: str, pretrained: bool) -> nn.Module:
    if name in _OWN:
        if pretrained:
            raise ConfigError(f"there are no pretrained weights for '{name}'; leave pretrained out or choose resnet18")
        return _OWN[name]()
    if name not in (names := backbone_names()):
        raise ConfigError(
            f"unknown backbone '{name}'; expected {', '.join(_OWN)}, a classification network of torchvision such as "
            f"resnet18, efficientnet_b0, mobilenet_v3_small, or {PREFIX}NAME.{nearest(name, names)}"
        )
    models = _torchvision_models()
    return _without_head(name, _pretrained(name) if pretrained else models.get_model(name, weights=None))


def _torchvision_models() -> Any:
    # Loaded on use: any import of torchvision loads all of it, and the own backbones do not need it.
    import torchvision.models

    return torchvision.models


def _pretrained(name: str) -> nn.Module:
    models = _torchvision_models()
    try:
        network: nn.Module = models.get_model(name, weights="DEFAULT")
    except (OSError, ValueError, RuntimeError) as error:
        file = models.get_model_weights(name).DEFAULT.url.rpartition("/")[2]
        raise ConfigError(
            f"cannot get the pretrained weights of {name} ({error}); torchvision downloads them once. Without a "
            f"network, copy {file} from a machine that has it into {torch.hub.get_dir()}/checkpoints, or use "
            "--no-pretrained"
        ) from error
    return network


def _without_head(name: str, network: nn.Module) -> nn.Module:
    """Replace the last linear layer, the classifier, by the identity: its input is the feature."""
    linears = [path for path, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not linears:
        raise ConfigError(f"backbone {name} has no linear head to remove; choose another")
    parent, _, leaf = linears[-1].rpartition(".")
    setattr(network.get_submodule(parent), leaf, nn.Identity())
    return network


def channel_statistics(name: str) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """The mean and the deviation of each channel, R, G, B in 0..1, that the backbone's pretrained weights expect."""
    if name.startswith(PREFIX):
        found = timm_input(name.removeprefix(PREFIX))
        return found.mean, found.std
    return IMAGENET_MEAN, IMAGENET_STD


def probe_feature_dim(backbone: nn.Module, size: int, name: str) -> int:
    """D, measured with one image of `size` × `size` pixels. Raises ConfigError when the backbone rejects that size."""
    backbone.eval()
    try:
        with torch.no_grad():
            features = backbone(torch.zeros(1, 3, size, size))
    except (AssertionError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"backbone {name} does not accept images of {size}x{size} pixels: {error}; choose another size"
        ) from error
    finally:
        backbone.train()
    return int(features.shape[1])
