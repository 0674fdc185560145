"""A function whose module loads torch: a worker has done so before any of its code can run."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import torch

from abaw.core.progress import Progress


@dataclass(frozen=True)
class Threads:
    """Threads of torch and OpenCV, and an environment variable."""

    def set_up(self, threads: int | None) -> Callable[[str, Progress], tuple[int, int, str | None]]:
        return lambda name, progress: (torch.get_num_threads(), cv2.getNumThreads(), os.environ.get(name))
