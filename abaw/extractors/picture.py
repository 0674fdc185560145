"""The picture that a network of another project expects."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from abaw.core.errors import ConfigError
from abaw.extractors.settings import ChannelOrder, ExtractorSettings
from abaw.models.image_input import luma
from abaw.stores.crop import Crop

_SIDES = (8, 2048)
_MAX_BYTE = 255


def require_side(name: str, pixels: int) -> None:
    """Raise ConfigError for a side of a picture, the setting `extractor.name`, that is out of range."""
    low, high = _SIDES
    if not low <= pixels <= high:
        raise ConfigError(f"extractor.{name} is {pixels}; expected {low} to {high} pixels")


@dataclass(frozen=True, slots=True)
class Picture:
    """A square picture of `size` pixels, (value / 255 − mean) / std per channel.

    resize: side to which crops are scaled; the centre of `size` pixels is cut out. mean, std: in the order of the
    channels. Raises ConfigError for values out of range.
    """

    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    channel_order: ChannelOrder = "rgb"
    resize: int | None = None
    crop: Crop | None = None

    def __post_init__(self) -> None:
        require_side("size", self.size)
        require_side("resize", self.side)
        if self.side < self.size:
            raise ConfigError(
                f"extractor.resize {self.side} is below extractor.size {self.size}; expected at least that"
            )
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != self.channels:
                raise ConfigError(
                    f"extractor.{name} has {len(values)} numbers, but the picture has {self.channels} channels "
                    f"({self.channel_order})"
                )
            if not all(map(math.isfinite, values)):
                raise ConfigError(f"extractor.{name} {list(values)}: expected finite numbers")
        if not min(self.std) > 0:
            raise ConfigError(f"extractor.std {list(self.std)}: expected numbers above 0")

    @property
    def side(self) -> int:
        """Pixels to which crops are scaled."""
        return self.size if self.resize is None else self.resize

    @property
    def channels(self) -> int:
        return 1 if self.channel_order == "grey" else 3

    def bytes_of(self, crops: Tensor) -> Tensor:
        """Crops (B, 3, S, S) uint8 RGB -> pictures (B, channels, size, size) of values from 0 to 255."""
        start = (self.side - self.size) // 2
        part = crops[:, :, start : start + self.size, start : start + self.size]
        if self.channel_order == "grey":
            return luma(part.float())
        return part.flip(1) if self.channel_order == "bgr" else part

    def prepare(self, crops: Tensor) -> Tensor:
        """The same, standardised."""
        std = torch.tensor(self.std, device=crops.device).view(1, -1, 1, 1)
        mean = torch.tensor(self.mean, device=crops.device).view(1, -1, 1, 1)
        # Few passes over the numbers: on a CPU each takes as long as a part of the network.
        return self.bytes_of(crops).contiguous().float().mul_(1 / (_MAX_BYTE * std)).sub_(mean / std)

    def plain(self) -> dict[str, Any]:
        """What decides the picture, for identities."""
        return {
            "size": self.size,
            "resize": self.side,
            "mean": list(self.mean),
            "std": list(self.std),
            "channel_order": self.channel_order,
        }


def picture_of(settings: ExtractorSettings, name: str) -> Picture:
    """Raises ConfigError when the settings lack what decides the picture, or contradict each other."""
    for key in ("size", "mean", "std"):
        if not getattr(settings, key):
            raise ConfigError(
                f"{name}: its {key} is not known; give --extractor.{key}, as in the network's training (a wrong value "
                "makes poor features without an error)"
            )
    assert settings.size is not None
    return Picture(
        settings.size,
        settings.mean,
        settings.std,
        settings.channel_order or "rgb",
        settings.resize,
        settings.expected_crop,
    )
