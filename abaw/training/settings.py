"""The settings that all training runs have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from abaw.core.config import AT_MOST, Limit
from abaw.core.errors import ConfigError
from abaw.core.ranges import require_at_least, require_below_one, require_positive
from abaw.training.loggers import LoggerName


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How a model is trained. Raises ConfigError for values out of range.

    Args:
        steps: optimiser steps
        lr: peak learning rate of AdamW, reached after the warm-up; then falls along a cosine to 0
        weight_decay: weight decay of the weight matrices and kernels
        warmup_steps: steps over which the learning rate rises; unless given on the command line, lowered to fit fewer
            steps
        clip_norm: maximum norm of the gradients; longer ones are scaled down
        ema_decay: decay of the averaged weights, which are evaluated and saved; 0 uses the weights themselves
        precision: arithmetic of the forward pass
        accelerator: where to train; auto uses a GPU if there is one
        devices: number of processes per machine (GPUs, if there are any); each has a batch, and gradients are averaged
        nodes: number of machines; with more than one, torchrun starts the processes (docs/cluster.md)
        prefetch: batches prepared ahead, each in a thread; 0 prepares them in the training loop
        seed: seed of all randomness
        evaluate_every: steps between evaluations on the held-out part of the training data
        checkpoint_every: steps between checkpoints, from which a killed run continues
        log_every: steps between lines of metrics
        logger: what shows the metrics, besides metrics.jsonl; wandb and mlflow are extras
    """

    steps: int = 2000
    lr: float = 1e-3
    weight_decay: float = 0.05
    warmup_steps: int = field(default=100, metadata={AT_MOST: Limit("steps", less=1)})
    clip_norm: float = 5.0
    ema_decay: float = 0.999
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = 1
    nodes: int = 1
    prefetch: int = 0
    seed: int = 0
    evaluate_every: int = 500
    checkpoint_every: int = 500
    log_every: int = 50
    logger: LoggerName = "tensorboard"

    def __post_init__(self) -> None:
        require_at_least(1, self, "steps", "devices", "nodes", "evaluate_every", "checkpoint_every", "log_every")
        require_at_least(0, self, "weight_decay", "warmup_steps", "prefetch")
        require_positive(self, "lr", "clip_norm")
        require_below_one(self, "ema_decay")
        if self.warmup_steps >= self.steps:
            raise ConfigError(f"warmup_steps {self.warmup_steps} >= steps {self.steps}: the rate would never fall")
