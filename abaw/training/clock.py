"""Where the time of a run goes."""

from __future__ import annotations

import time


class Clock:
    """Wall seconds by purpose, counted in laps."""

    def __init__(self) -> None:
        self.seconds = {"step": 0.0, "evaluation": 0.0}
        self._since = time.perf_counter()

    def start(self) -> None:
        """What went by since the last lap counts for nothing."""
        self._since = time.perf_counter()

    def lap(self, purpose: str) -> None:
        """Count the time since the last start or lap."""
        now = time.perf_counter()
        self.seconds[purpose] += now - self._since
        self._since = now
