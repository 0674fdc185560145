"""The time that a run spends on each purpose."""

from __future__ import annotations

import time


class Clock:
    """Wall-clock seconds by purpose, measured in laps."""

    def __init__(self) -> None:
        self.seconds = {"step": 0.0, "evaluation": 0.0}
        self._since = time.perf_counter()

    def start(self) -> None:
        """Start a lap; the time since the last one is not counted."""
        self._since = time.perf_counter()

    def lap(self, purpose: str) -> None:
        """Add the time since the last start or lap to `purpose`."""
        now = time.perf_counter()
        self.seconds[purpose] += now - self._since
        self._since = now
