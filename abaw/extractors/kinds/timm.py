"""`timm:NAME`: image networks of the library timm, with its pretrained weights or those of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from abaw.core.device import Device
from abaw.core.errors import ConfigError
from abaw.extractors.extractor import Extractor
from abaw.extractors.picture import picture_of
from abaw.extractors.settings import NOTHING, ExtractorSettings, preset
from abaw.extractors.torch_network import cls_token, has_cls_token, mean_of_places, torch_extractor
from abaw.models.timm_networks import TimmInput, build_timm, load_timm, pretrained_file, timm_input

USES: Final = frozenset(
    ("size", "resize", "mean", "std", "channel_order", "crop", "pooling", "weights", "source", "trained_on")
)


def open_extractor(argument: str, settings: ExtractorSettings, device: Device, threads: int | None) -> Extractor:
    """argument: a name of timm, with or without the tag of its weights.

    Raises ConfigError for an unknown name, or weights that cannot be downloaded, and DataError for a file with other
    weights.
    """
    name = f"timm:{argument}"
    settings = settings.over(preset("timm", argument) or NOTHING)
    chosen = settings.over(_own_settings(timm_input(argument), settings.size))
    picture = picture_of(chosen, name)
    module = build_timm(argument, picture.size)
    file = pretrained_file(argument, "--extractor.weights") if chosen.weights is None else Path(chosen.weights)
    load_timm(module, argument, file)
    if device == "cpu":
        module.to(memory_format=torch.channels_last)  # faster for convolutions
    pooling = chosen.pooling or "pooled"
    if pooling == "cls" and not has_cls_token(module):
        raise ConfigError(f"{name}: has no CLS token; use --extractor.pooling pooled or mean")
    compute = _Compute(module, pooling, name)
    return torch_extractor(name, module, compute, picture, chosen, device, {"pooling": pooling})


def _own_settings(found: TimmInput, size: int | None) -> ExtractorSettings:
    """What timm says of the network; of a given size, it keeps the same share of the picture."""
    size = found.size if size is None else size
    return ExtractorSettings(size=size, resize=int(size / found.cut), mean=found.mean, std=found.std)


class _Compute:
    """Pictures -> features of a network without a head."""

    def __init__(self, module: nn.Module, pooling: str, name: str) -> None:
        self._module: Any = module
        self._pooling = pooling
        self._name = name

    def __call__(self, pictures: Tensor) -> Tensor:
        if self._pooling == "pooled":
            pooled: Tensor = self._module(pictures)
            return pooled
        values: Tensor = self._module.forward_features(pictures)
        if self._pooling == "cls":
            return cls_token(values, self._name)
        width = self._module.num_features
        channels_last = values.ndim == 4 and values.shape[1] != width
        return mean_of_places(values, self._name, getattr(self._module, "num_prefix_tokens", 0), channels_last)
