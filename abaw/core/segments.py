"""Runs: stretches of equal values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def runs(values: NDArray[np.generic]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each run of `values` (T,) begins and where it has ended: (R,) first places, (R,) places behind the last."""
    if not len(values):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    borders = np.flatnonzero(values[1:] != values[:-1]) + 1
    return np.concatenate([[0], borders]), np.concatenate([borders, [len(values)]])
