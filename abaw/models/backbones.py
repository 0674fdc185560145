"""Backbones by name: torchvision's classification networks without their heads, and our own `small`, `medium` and
`wide_resnet28_2`.

A backbone maps images (B, 3, S, S) to features (B, D).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from abaw.core.errors import ConfigError, nearest
from abaw.models.small import SmallNet
from abaw.models.wide_resnet import WideResNet

_OWN: dict[str, Callable[[], nn.Module]] = {
    "small": lambda: SmallNet(16, (32, 64, 128)),  # 0.3 million weights, 128 features
    "medium": lambda: SmallNet(32, (48, 96, 192, 384)),  # 2.7 million weights, 384 features
    "wide_resnet28_2": lambda: WideResNet(28, 2),  # 1.5 million weights, 128 features
}
# In training their forward pass returns more than one tensor.
_WITH_SIDE_OUTPUTS = frozenset({"googlenet", "inception_v3"})


def backbone_names() -> list[str]:
    """Our own backbones, and every network of torchvision.models that has a single output."""
    models = _torchvision_models()
    return [*_OWN, *sorted(set(models.list_models(module=models)) - _WITH_SIDE_OUTPUTS)]


def build_backbone(name: str, pretrained: bool = False) -> nn.Module:
    """A backbone with random weights, or with torchvision's ImageNet weights.

    Raises ConfigError for an unknown name, for pretrained weights that do not exist or cannot be downloaded (this is
    done once), and for a network without a linear head.
    """
    if name in _OWN:
        if pretrained:
            raise ConfigError(f"there are no pretrained weights for '{name}'; leave pretrained out or choose resnet18")
        return _OWN[name]()
    if name not in (names := backbone_names()):
        raise ConfigError(
            f"unknown backbone '{name}'; expected {', '.join(_OWN)} or a classification network of torchvision such as "
            f"resnet18, efficientnet_b0, mobilenet_v3_small.{nearest(name, names)}"
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
