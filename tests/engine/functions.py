"""Functions for the tests of the engines, importable in workers."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import ConfigError, DataError
from abaw.core.progress import Progress
from abaw.engine.local import LocalEngine
from abaw.engine.ray import RayEngine
from abaw.engine.shared_value import Shared


@dataclass(frozen=True)
class Do:
    """Does what an item says, in a process that has counted its set-ups in `folder`."""

    folder: Path

    def set_up(self, threads: int | None) -> Callable[[str, Progress], Any]:
        (self.folder / f"{os.getpid()}-{time.monotonic_ns()}").touch()
        return do


def do(item: str, progress: Progress) -> Any:
    progress(3, 3)
    match item.split():
        case ["bad"]:
            raise DataError("the data are bad")
        case ["bug"]:
            raise ZeroDivisionError("division\nby zero")
        case ["exit"]:
            sys.exit("a library gives up")
        case ["unpicklable"]:
            return threading.Lock()
        case ["die"]:
            os.kill(os.getpid(), signal.SIGKILL)
        case ["environment", name]:
            return os.environ.get(name)
    return f"{item} done"


@dataclass(frozen=True)
class Broken:
    """Its set-up fails."""

    error: Exception

    def set_up(self, threads: int | None) -> Callable[[str, Progress], str]:
        raise self.error


@dataclass(frozen=True)
class Sleep:
    """Leaves a file named after its process, then does not react to anything for a minute."""

    def set_up(self, threads: int | None) -> Callable[[str, Progress], None]:
        return self._sleep

    def _sleep(self, folder: str, progress: Progress) -> None:
        (Path(folder) / str(os.getpid())).touch()
        time.sleep(60)


@dataclass(frozen=True)
class Slow:
    """Takes a while."""

    def set_up(self, threads: int | None) -> Callable[[str, Progress], str]:
        return self._wait

    def _wait(self, item: str, progress: Progress) -> str:
        time.sleep(0.4)
        return f"{item} done"


@dataclass(frozen=True)
class KillOnce:
    """The worker of an item is killed the first time. folder: keeps what has been tried."""

    folder: Path

    def set_up(self, threads: int | None) -> Callable[[str, Progress], str]:
        return self._try

    def _try(self, item: str, progress: Progress) -> str:
        tried = self.folder / item
        if not tried.exists():
            tried.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return f"{item} at last"


@dataclass(frozen=True, eq=False)
class Total:
    """Sum of the shared numbers, which it then overwrites."""

    shared: Shared[dict[str, NDArray[np.int64]]]

    def set_up(self, threads: int | None) -> Callable[[str, Progress], int]:
        return self._total

    def _total(self, name: str, progress: Progress) -> int:
        values = self.shared.get()[name]
        total = int(values.sum())
        values[:] = 0
        return total


def wait(ready: Callable[[], bool], seconds: float = 60) -> None:
    """Return when it is ready, fail after that time."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.02)


BROKEN = [Broken(ConfigError("no such model")), Broken(ZeroDivisionError("division by zero"))]

if __name__ == "__main__":
    engine = RayEngine(None, 2, 1, 0, threads=1) if sys.argv[2:] == ["ray"] else LocalEngine([None, None], threads=1)
    # Not from this module, which workers of Ray do not know by the name that it has here.
    from tests.engine import functions

    for _ in engine.map(functions.Sleep(), [sys.argv[1]] * 2):
        pass
