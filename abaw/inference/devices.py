"""The device on which a model computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from abaw.core.device import Device, has_gpu_driver
from abaw.core.errors import ConfigError


@dataclass(frozen=True)
class Processor:
    """What the figures of a training run may depend on. threads: of torch; instruction_set: such as AVX512."""

    threads: int
    instruction_set: str


def processor() -> Processor:
    """What this process uses now."""
    # Loaded on use: predicting with the built-in models needs no torch.
    import torch

    return Processor(torch.get_num_threads(), torch.backends.cpu.get_cpu_capability())


def choose_device(accelerator: Literal["auto", "cpu", "cuda"]) -> Device:
    """The device of that name; auto is a GPU if there is one. Raises ConfigError when cuda is not available."""
    if accelerator != "cpu" and has_gpu_driver() and _torch_finds_gpu():
        return "cuda"
    if accelerator == "cuda":
        raise ConfigError("accelerator cuda: torch finds no GPU; use auto or cpu, or see `abaw doctor`")
    return "cpu"


def _torch_finds_gpu() -> bool:
    # Loaded on use: it takes seconds, and without a driver the answer is known.
    import torch

    return torch.cuda.is_available()
