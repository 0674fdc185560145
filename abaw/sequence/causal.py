"""A causal filter of per-frame probabilities: it uses past frames alone, and any frame rate.

Shapes: T time, C class.
"""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import ConfigError

Probs = NDArray[np.float32]
_FORMS = "expected 'none' or 'exponential:SECONDS', a number above 0"


def parse_causal(text: str) -> float:
    """The time constant in seconds of `exponential:SECONDS`; 0 for `none`. Raises ConfigError for anything else."""
    if text == "none":
        return 0.0
    match = re.fullmatch(r"exponential:(\d+(?:\.\d+)?)", text)
    if match is None or float(match[1]) == 0:
        raise ConfigError(f"causal smoothing '{text}' is not understood; {_FORMS}")
    return float(match[1])


class Exponential:
    """An exponential average over time, fed frame by frame; after a step, the old level has faded to 37 % in `tau_s`.

    tau_s: time constant in seconds, 0 for no filter. A frame without a face leaves the level unchanged. A time that
    does not advance counts as no time.
    """

    def __init__(self, tau_s: float) -> None:
        self._tau_s = tau_s
        self._level: Probs | None = None
        self._time_s = -math.inf

    def push(self, probs: Probs, time_s: float) -> Probs:
        """Add the probabilities (C,) of the frame at `time_s`; returns the filtered ones, (C,)."""
        if self._level is None or self._tau_s == 0:
            self._level = probs
        else:
            share = -math.expm1(-max(0.0, time_s - self._time_s) / self._tau_s)
            self._level = (self._level + np.float32(share) * (probs - self._level)).astype(np.float32)
        self._time_s = max(time_s, self._time_s)
        return self._level


def exponential(probs: Probs, times_s: NDArray[np.float64], tau_s: float) -> Probs:
    """`Exponential` over a whole video: probs (T, C) without gaps, at times (T,) -> (T, C)."""
    level = Exponential(tau_s)
    return np.stack([level.push(row, float(time)) for row, time in zip(probs, times_s, strict=True)])
