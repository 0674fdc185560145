"""The settings that all training runs have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from abaw.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How a model is trained. Raises ConfigError for values out of range.

    Args:
        steps: optimiser steps
        lr: peak learning rate of AdamW, reached after the warm-up; then falls along a cosine to 0
        weight_decay: of weight matrices and kernels
        warmup_steps: steps over which the learning rate rises
        clip_norm: maximum norm of the gradients; longer ones are scaled down
        ema_decay: decay of the averaged weights, which are evaluated and saved; 0 uses the weights themselves
        precision: arithmetic of the forward pass
        accelerator: where to train; auto uses a GPU if there is one
        devices: number of processes (more than one: data-parallel, each with its own batch)
        prefetch: batches prepared ahead, each in a thread; 0 prepares them in the training loop
        seed: of all randomness
        evaluate_every: steps between evaluations on the held-out part of the training data
        checkpoint_every: steps between checkpoints, from which a killed run continues
        log_every: steps between lines of metrics
    """

    steps: int = 2000
    lr: float = 1e-3
    weight_decay: float = 0.05
    warmup_steps: int = 100
    clip_norm: float = 5.0
    ema_decay: float = 0.999
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = 1
    prefetch: int = 0
    seed: int = 0
    evaluate_every: int = 500
    checkpoint_every: int = 500
    log_every: int = 50

    def __post_init__(self) -> None:
        for name in ("steps", "devices", "evaluate_every", "checkpoint_every", "log_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected at least 1")
        for name in ("weight_decay", "warmup_steps", "prefetch"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected at least 0")
        for name in ("lr", "clip_norm"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected more than 0")
        if not 0 <= self.ema_decay < 1:
            raise ConfigError(f"ema_decay is {self.ema_decay}; expected 0 <= ema_decay < 1")
        if self.warmup_steps >= self.steps:
            raise ConfigError(f"warmup_steps {self.warmup_steps} >= steps {self.steps}: the rate would never fall")
