"""What each worker computes on: a GPU or the processor, and with how many threads."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from abaw.core.device import has_gpu_driver
from abaw.core.machine import usable_cores, usable_memory

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
"""What torch, NumPy, pyarrow and OpenCV read when they are loaded."""
_WORKER_BYTES = 1 << 30
"""Memory that a worker is assumed to need when nobody says how many there should be."""


def worker_places(workers: int | None, accelerator: str) -> list[str | None]:
    """Where each worker computes: the only GPU that it sees, or None for the processor.

    workers: at least 1; None for one per GPU or, without a GPU, as many as `default_workers`. More workers than GPUs
    share them.
    """
    gpus = [] if accelerator == "cpu" else _gpus()
    if gpus:
        return [gpus[index % len(gpus)] for index in range(workers or len(gpus))]
    return [None] * (workers or default_workers())


def default_workers() -> int:
    """One per core that this process may use, and at most one per GB of memory that is free; at least one.

    A daemonic process, such as a worker of a DataLoader, may not start processes: for it, 1.
    """
    if multiprocessing.current_process().daemon:
        return 1
    memory = usable_memory()
    fitting = usable_cores() if memory is None else min(usable_cores(), memory // _WORKER_BYTES)
    return max(1, fitting)


def _gpus() -> list[str]:
    if not has_gpu_driver():
        return []
    # Loaded on use: torch takes seconds.
    import torch

    if not torch.cuda.is_available():
        return []
    count = torch.cuda.device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",")[:count] if visible else [str(index) for index in range(count)]


def threads_each(workers: int) -> int:
    """The threads of each of so many workers that share the cores."""
    return max(1, usable_cores() // workers)


def worker_environment(threads: int, gpu: str | None) -> dict[str, str]:
    """Environment variables with which a worker must be started."""
    limits = dict.fromkeys(_THREAD_VARIABLES, str(threads))
    return limits if gpu is None else {**limits, "CUDA_VISIBLE_DEVICES": gpu}


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """These variables in the environment of this process, and so of the processes that it starts meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def limit_threads(threads: int) -> None:
    """Set the number of threads of the libraries that are loaded already, whatever they read when they were loaded."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(threads)
