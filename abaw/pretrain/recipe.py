"""The settings of pre-training: the backbone and how it learns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from abaw.core.errors import ConfigError
from abaw.pretrain.settings import ContraWarpingSettings
from abaw.training.settings import TrainSettings


@dataclass(frozen=True, kw_only=True)
class PretrainRecipe:
    """What is pre-trained, and how. The same recipe and faces give the same backbone.

    Args:
        backbone: small, medium, large, wide_resnet28_2, a classification network of torchvision such as resnet18, or
            timm:NAME
        pretrained: start from the weights that torchvision or timm has for the backbone (downloaded once)
        size: side of the square input in pixels
        grey: convert images to grey, for models trained on grey photos that will be used on colour video
        batch_size: faces per step (and process)
        cache_mb: decoded images are kept in memory if they need at most this many MiB
        decode: where JPEGs are decoded: in threads of the processor (`train.prefetch`) or on the training device
        contrawarping: the method
        train: optimiser, schedule, checkpoints; the target network is the average of `train.ema_decay`
    """

    backbone: str = "small"
    pretrained: bool = False
    size: int = 48
    grey: bool = False
    batch_size: int = 64
    cache_mb: int = 2048
    decode: Literal["cpu", "device"] = "cpu"
    contrawarping: ContraWarpingSettings = field(default_factory=ContraWarpingSettings)
    train: TrainSettings = field(default_factory=lambda: TrainSettings(ema_decay=0.99))

    def __post_init__(self) -> None:
        if self.train.ema_decay == 0:
            raise ConfigError(
                "train.ema_decay is 0: the target is the average of the weights; set it, for instance 0.99"
            )
