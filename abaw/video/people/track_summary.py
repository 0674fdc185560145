"""One track over the whole video, in memory that does not grow with its length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(slots=True, eq=False)
class TrackSummary:
    """weight: sum over its frames of size × centrality; sum_x: of the centres' x; sum_look: of the appearances (D,)."""

    number: int
    first: int
    last: int
    num_frames: int = 0
    weight: float = 0.0
    sum_x: float = 0.0
    sum_look: NDArray[np.float64] | None = None

    def add(self, frame: int, weight: float, x: float, look: NDArray[np.float32] | None) -> None:
        """One more frame; x: of the centre, 0 to 1 from the viewer's left."""
        self.last = frame
        self.num_frames += 1
        self.weight += weight
        self.sum_x += x
        if look is not None:
            self.sum_look = look.astype(np.float64) if self.sum_look is None else self.sum_look + look

    def overlaps(self, other: TrackSummary) -> bool:
        """True when both tracks were there at once, so that they are two people."""
        return self.first <= other.last and other.first <= self.last
