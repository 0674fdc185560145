"""The device on which a model computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from abaw.core.errors import ConfigError


@dataclass(frozen=True)
class Processor:
    """What the figures of a training run may depend on. threads: of torch; instruction_set: such as AVX512."""

    threads: int
    instruction_set: str


def processor() -> Processor:
    """What this process uses now."""
    return Processor(torch.get_num_threads(), torch.backends.cpu.get_cpu_capability())


def choose_device(accelerator: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """The device of that name; auto is a GPU if there is one. Raises ConfigError when cuda is not available."""
    if accelerator == "cuda" and not torch.cuda.is_available():
        raise ConfigError("accelerator cuda: torch finds no GPU; use auto or cpu, or see `abaw doctor`")
    return torch.device("cuda" if accelerator != "cpu" and torch.cuda.is_available() else "cpu")
