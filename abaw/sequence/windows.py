"""Windows over a sequence of frames: where to cut, cutting, and averaging overlapping windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Windows:
    """Where a sequence is cut: windows of `length` frames, `hop` apart, the last one moved back to cover the tail.

    Raises ConfigError when either is below 1, or when hop > length: frames between windows would get no prediction.
    """

    length: int
    hop: int

    def __post_init__(self) -> None:
        if self.length < 1 or self.hop < 1:
            raise ConfigError(f"window {self.length} and hop {self.hop} must be at least 1 frame")
        if self.hop > self.length:
            raise ConfigError(
                f"hop {self.hop} > window {self.length}: frames between windows get no prediction; use hop <= window"
            )

    def starts(self, num_frames: int) -> list[int]:
        """The first frame, from 0, of every window. A sequence shorter than a window has one, an empty one none."""
        if num_frames == 0:
            return []
        last = max(0, num_frames - self.length)
        return sorted({*range(0, last + 1, self.hop), last})


def cut(values: NDArray[Any], starts: Sequence[int], length: int) -> NDArray[Any]:
    """Cut windows from a sequence, padded with zeros (False) after its end.

    values: (T, …). Returns (W, length, …), one row per start.
    """
    positions = _positions(starts, length)
    num_frames = values.shape[0]
    windows: NDArray[Any] = values[np.minimum(positions, num_frames - 1)]
    windows[positions >= num_frames] = 0
    return windows


def inside(starts: Sequence[int], length: int, num_frames: int) -> NDArray[np.bool_]:
    """True where a window holds a frame of the sequence, False for padding, (W, length)."""
    return _positions(starts, length) < num_frames


def overlap_weights(length: int, *, causal: bool = False) -> NDArray[np.float32]:
    """Weights of a window's frames, (length,): all above 0, rising linearly from both ends to the centre.

    causal: rising to the last frame, which has seen the most earlier frames.
    """
    ramp = np.arange(1, length + 1, dtype=np.float32)
    weights = ramp / np.float32(length) if causal else np.minimum(ramp, ramp[::-1]) / np.float32((length + 1) // 2)
    return np.asarray(weights, np.float32)


def overlap_average(
    logits: NDArray[np.float32], starts: Sequence[int], num_frames: int, *, causal: bool = False
) -> NDArray[np.float32]:
    """Average the logits of overlapping windows with `overlap_weights`.

    logits: (W, T, C), one row per start; padding after the end of the sequence is ignored.
    Returns (num_frames, C). Raises ValueError when the rows do not match the starts or a frame is in no window.
    """
    num_windows, length, num_classes = logits.shape
    if num_windows != len(starts):
        raise ValueError(f"expected one window per start ({len(starts)}), got {num_windows}")
    weights = overlap_weights(length, causal=causal)[:, None]
    total = np.zeros((num_frames, num_classes), np.float32)
    weight = np.zeros((num_frames, 1), np.float32)
    for start, window in zip(starts, logits, strict=True):
        kept = min(length, num_frames - start)
        total[start : start + kept] += window[:kept] * weights[:kept]
        weight[start : start + kept] += weights[:kept]
    if not weight.all():
        raise ValueError(f"frame {int(np.argmin(weight))} is in no window")
    return np.asarray(total / weight)


def _positions(starts: Sequence[int], length: int) -> NDArray[np.int64]:
    """The frame index of every position of every window, (W, length)."""
    return np.asarray(starts, np.int64)[:, None] + np.arange(length)
