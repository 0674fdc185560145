"""Work for the pool's tests, importable in its workers."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.core.progress import Progress
from abaw.engine.local import side_by_side
from abaw.engine.shared_value import Shared


def do(job: str, hook: Progress) -> Any:
    hook(3, 3)
    match job.split():
        case ["bad"]:
            raise DataError("the data are bad")
        case ["bug"]:
            raise ZeroDivisionError("division by zero")
        case ["die"]:
            os.kill(os.getpid(), signal.SIGKILL)
        case ["environment", name]:
            return os.environ.get(name)
        case ["threads"]:
            import torch

            return torch.get_num_threads()
    return f"{job} done"


def sleep(folder: str, hook: Progress) -> None:
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(60)


@dataclass(frozen=True, eq=False)
class Total:
    """Sum of the shared numbers, which it then overwrites."""

    shared: Shared[dict[str, NDArray[np.int64]]]

    def __call__(self, name: str, hook: Progress) -> int:
        values = self.shared.get()[name]
        total = int(values.sum())
        values[:] = 0
        return total


if __name__ == "__main__":
    for _ in side_by_side([sys.argv[1]] * 2, sleep, [None, None]):
        pass
