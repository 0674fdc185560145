"""Models as functions of arrays, whichever library runs them; and the functions that turn outputs into probabilities.

Shapes: B batch, T time, S source, D feature, C class, O outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from abaw.core.device import Device
from abaw.stores.spec import has_graph, is_exported

Classify = Callable[[NDArray[np.floating]], NDArray[np.float32]]
"""The head of a static model: features (N, D) -> logits (N, C)."""
RunWindows = Callable[[NDArray[np.floating], NDArray[np.bool_]], NDArray[np.float32]]
"""A temporal model: features (B, T, D), and present (B, T, S), False without a feature of the source -> outputs
(B, T, O)."""


def runs_without_torch(path: Path, device: Device) -> bool:
    """Whether onnxruntime runs a checkpoint: exported files always, graphs next to weights on a processor."""
    return is_exported(path) or (device == "cpu" and has_graph(path))


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits (…, C) -> probabilities (…, C)."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    # exp of minus the absolute value cannot overflow.
    small = np.exp(-np.abs(logits))
    return np.asarray(np.where(logits < 0, small, 1) / (1 + small))
