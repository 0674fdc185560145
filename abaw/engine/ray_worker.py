"""What runs in a worker process of a Ray cluster. Only the engine imports it; it does not need Ray itself."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Mapping
from typing import Any

from abaw.core.errors import AbawError, DataError
from abaw.engine.attempt import attempt, unexpected
from abaw.engine.resources import limit_threads
from abaw.engine.worker import Done, Report


class RayWorker:
    """An actor: it is set up once, then processes items, and says in between how far it is.

    Functions, items and outcomes come and go pickled, as with the local engine; Ray's own pickling is not needed.
    """

    def __init__(self, function: bytes, threads: int, environment: Mapping[str, str], folder: str) -> None:
        """environment: set before anything is unpickled, which may load torch; Ray's own way to set it takes seconds.

        folder: the working directory of the command, which relative paths start from.
        """
        os.environ.update(environment)
        self._threads = threads
        self._report: tuple[int, Report] | None = None
        self._apply: Any = attempt(lambda: self._set_up(function, folder))

    def _set_up(self, function: bytes, folder: str) -> Any:
        try:
            os.chdir(folder)
        except OSError as error:
            raise DataError(
                f"{folder}: no such folder on the node {os.uname().nodename}; all nodes need the folders of the "
                "command at the same paths (a shared file system)"
            ) from error
        loaded = pickle.loads(function)
        limit_threads(self._threads)  # what unpickling has loaded
        return loaded.set_up(self._threads)

    def started(self) -> AbawError | None:
        """The error of the set-up, which ends everything."""
        return self._apply if isinstance(self._apply, AbawError) else None

    def run(self, index: int, item: bytes) -> bytes:
        """The pickled `Done` of an item, and its last report if it made one."""
        limit_threads(self._threads)  # what the set-up or the item before has loaded
        self._report = None
        start = time.monotonic()

        def hook(done: int, total: int | None) -> None:
            self._report = index, Report(done, total)

        outcome = attempt(lambda: self._apply(pickle.loads(item), hook))
        seconds = time.monotonic() - start
        try:
            return pickle.dumps((Done(outcome, seconds), self._report))
        except Exception as error:  # the outcome cannot be pickled
            return pickle.dumps((Done(unexpected(error), seconds), self._report))

    def report(self) -> tuple[int, Report] | None:
        """The index of the current item and its progress; called while `run` runs."""
        return self._report
