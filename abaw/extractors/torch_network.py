"""Extractors from modules of torch, whichever library made them.

Shapes: B batch, N token, D feature.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from abaw.core.device import Device
from abaw.core.errors import ConfigError
from abaw.extractors.extractor import Compute, Extractor, measured_dim
from abaw.extractors.picture import Picture
from abaw.extractors.settings import ExtractorSettings
from abaw.weights.identity import weights_hash

Network = Callable[[Tensor], Tensor]
"""Pictures as the network expects them, (B, …), on its device -> (B, D) on any device."""

_CLS_NAMES = ("cls_token", "class_embedding", "class_token")


def torch_extractor(
    name: str,
    module: nn.Module,
    network: Network,
    picture: Picture,
    settings: ExtractorSettings,
    device: Device,
    decides: dict[str, Any],
    notes: tuple[str, ...] = (),
) -> Extractor:
    """An extractor that runs `network`, which uses `module`, on the device.

    decides: what decides the features besides the weights and the picture. Raises DataError when it does not run, or
    returns no feature per picture.
    """
    digest = weights_hash(module)
    module.eval().requires_grad_(False).to(device)
    compute = on_arrays(network, picture.prepare, device)
    dim = measured_dim(compute, picture.side, name)
    return Extractor(
        name,
        picture.side,
        picture.crop,
        compute,
        dim,
        digest,
        {**picture.plain(), **decides},
        trained_on=settings.trained_on,
        origin={"name": name, "source": settings.source},
        notes=notes,
    )


def on_arrays(network: Network, prepare: Callable[[Tensor], Tensor], device: Device) -> Compute:
    """Runs `network` on arrays. prepare: crops (B, 3, S, S) uint8 RGB on the device -> what the network takes."""

    @torch.inference_mode()
    def compute(crops: NDArray[np.uint8]) -> NDArray[np.floating]:
        found: NDArray[np.floating] = network(prepare(torch.from_numpy(crops).to(device))).cpu().numpy()
        return found

    return compute


def has_cls_token(module: nn.Module) -> bool:
    """Whether a transformer's first token stands for the whole picture."""
    return any(name.rpartition(".")[2] in _CLS_NAMES for name, _ in module.named_parameters())


def cls_token(tokens: Tensor, name: str) -> Tensor:
    """The first token, (B, D), of (B, N, D). Raises ConfigError for what is not tokens."""
    if tokens.ndim != 3:
        raise ConfigError(f"{name}: pooling cls needs tokens (B, N, D), but it returns {list(tokens.shape)}; use mean")
    return tokens[:, 0]


def mean_of_places(values: Tensor, name: str, skip: int = 0, channels_last: bool = False) -> Tensor:
    """The mean over all places, (B, D), of tokens (B, N, D), of which the first `skip` stand for no place, or of maps
    (B, D, height, width), or (B, height, width, D) with channels_last. Raises ConfigError for anything else."""
    if values.ndim == 3:
        return values[:, skip:].mean(1)
    if values.ndim == 4:
        return values.mean((1, 2) if channels_last else (2, 3))
    raise ConfigError(f"{name}: pooling mean needs tokens or maps, but it returns {list(values.shape)}; leave it out")
