"""Segments: stretches of equal values over time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def segment_bounds(values: NDArray[np.generic]) -> list[tuple[int, int]]:
    """Start and stop of each segment of `values` (T,), in order: segment k is `values[start:stop]`."""
    if not len(values):
        return []
    borders = (np.flatnonzero(values[1:] != values[:-1]) + 1).tolist()
    return list(zip([0, *borders], [*borders, len(values)], strict=True))
