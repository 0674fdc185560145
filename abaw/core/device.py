"""Where models compute, as text that needs no torch."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Literal

Device = Literal["cpu", "cuda"]


def has_gpu_driver() -> bool:
    """Whether there is a driver of NVIDIA or AMD. Without one torch finds no GPU, and need not be loaded to say so."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return Path("/dev/kfd").exists()
    return True
