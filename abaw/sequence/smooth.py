"""Filters over the probabilities of one video, as pure functions: they run behind `predict`, never in it.

Shapes: T time, C class.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import ConfigError, nearest

Probs = NDArray[np.float32]


def fill_gaps(probs: Probs, predicted: NDArray[np.bool_]) -> Probs:
    """Give frames without a prediction one: linear between the neighbours, the nearest at the edges.

    probs: (T, C); predicted: (T,) True where `probs` holds something. Uniform when nothing was predicted.
    """
    if predicted.all():
        return probs.copy()
    if not predicted.any():
        return np.full_like(probs, 1 / probs.shape[1])
    frames = np.arange(len(probs))
    known = frames[predicted]
    columns = [np.interp(frames, known, column[predicted]) for column in probs.T]
    return np.stack(columns, axis=1).astype(probs.dtype)


def box(probs: Probs, width: int) -> Probs:
    """Mean over the `width` frames around each, at the edges over those that are there. O(T), whatever the width.

    probs: (T, C). Raises ConfigError when the width is even: the window would be off centre by half a frame.
    """
    _require_odd(width)
    num_frames = len(probs)
    sums = np.concatenate([np.zeros((1, probs.shape[1])), np.cumsum(probs, axis=0, dtype=np.float64)])
    frames = np.arange(num_frames)
    first = np.maximum(frames - width // 2, 0)
    behind = np.minimum(frames + width // 2 + 1, num_frames)
    means: Probs = ((sums[behind] - sums[first]) / (behind - first)[:, None]).astype(probs.dtype)
    return means


def _require_odd(width: int) -> None:
    if width < 1 or width % 2 == 0:
        raise ConfigError(f"smoothing width {width}: expected an odd number of frames, 1 or more")


FILTERS: Mapping[str, Callable[[Probs, int], Probs]] = {"box": box}
"""Filters by name: (probs (T, C), width in frames) -> (T, C)."""


@dataclass(frozen=True, slots=True)
class Smoothing:
    """A filter with its width in frames; `none` leaves the probabilities as they are. `str()` gives its text form.

    Raises ConfigError for an unknown filter or an even width.
    """

    name: str = "none"
    width: int = 1

    def __post_init__(self) -> None:
        if self.name != "none" and self.name not in FILTERS:
            raise ConfigError(f"unknown smoothing '{self.name}'; {_FORMS}.{nearest(self.name, [*FILTERS, 'none'])}")
        _require_odd(self.width)

    def __str__(self) -> str:
        return self.name if self.name == "none" else f"{self.name}:{self.width}"

    def __call__(self, probs: Probs) -> Probs:
        """probs: (T, C) without gaps. Returns (T, C)."""
        return probs if self.name == "none" else FILTERS[self.name](probs, self.width)


_FORMS = "allowed are 'none' and " + ", ".join(f"'{name}:WIDTH'" for name in FILTERS) + " (an odd number of frames)"


def parse_smoothing(text: str) -> Smoothing:
    """`none` or `box:101`. Raises ConfigError that lists the allowed forms."""
    if text == "none":
        return Smoothing()
    match = re.fullmatch(r"([a-z_]+):(\d+)", text)
    if match is None:
        raise ConfigError(f"smoothing '{text}' is not understood; {_FORMS}")
    return Smoothing(match[1], int(match[2]))
