"""The device on which a model computes."""

from __future__ import annotations

from typing import Literal

import torch

from abaw.core.errors import ConfigError


def choose_device(accelerator: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """The device of that name; auto is a GPU if there is one. Raises ConfigError when cuda is not available."""
    if accelerator == "cuda" and not torch.cuda.is_available():
        raise ConfigError("accelerator cuda: torch finds no GPU; use auto or cpu, or see `abaw doctor`")
    return torch.device("cuda" if accelerator != "cpu" and torch.cuda.is_available() else "cpu")
