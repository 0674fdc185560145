"""How long results take, in memory that does not grow."""

from __future__ import annotations

import numpy as np

_MS = 20_000


class Latencies:
    """A histogram with bins of one millisecond; 20 s and more share the last."""

    def __init__(self) -> None:
        self._counts = np.zeros(_MS + 1, np.int64)

    def add(self, seconds: float) -> None:
        self._counts[min(_MS, max(0, round(seconds * 1000)))] += 1

    def __len__(self) -> int:
        return int(self._counts.sum())

    def percentile_ms(self, share: float) -> int:
        """The smallest number of milliseconds that `share` (0 to 1) of the results do not exceed; 0 without results."""
        return int(np.searchsorted(np.cumsum(self._counts), share * len(self)))
