"""Smoothings by name; they run after `predict`, never in it.

Shapes: T time, C class, K columns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import ConfigError, nearest
from abaw.sequence.filters import box, gaussian, median, require_odd, require_positive
from abaw.sequence.hmm import Transitions, forward_backward, viterbi

Probs = NDArray[np.float32]

WIDTH_FILTERS: Mapping[str, Callable[[NDArray[np.float32], int], NDArray[np.float32]]] = {"box": box, "median": median}
HMM_PASSES = ("viterbi", "forward_backward")
NAMES = ("none", *WIDTH_FILTERS, "gaussian", *HMM_PASSES)
_FORMS = (
    "expected 'none', 'box:WIDTH' or 'median:WIDTH' (an odd number of frames), 'gaussian:SIGMA' (frames), "
    "'viterbi' or 'viterbi:WEIGHT', 'forward_backward' or 'forward_backward:WEIGHT' (WEIGHT above 0)"
)
# The lowest probability used as evidence: no single frame may rule out a class.
_FLOOR = 1e-8


@dataclass(frozen=True, slots=True)
class Smoothing:
    """A filter or a hidden Markov pass by name; `none` leaves the probabilities unchanged.

    value: of `box` and `median`, the width in frames (odd); of `gaussian`, sigma in frames; of `viterbi` and
    `forward_backward`, the power of each frame's probabilities as evidence, usually below 1 because the errors of
    neighbouring frames are correlated. transitions: needed by these two. `str()` returns the text form.
    Raises ConfigError for an unknown name, a value out of range, or missing transitions.
    """

    name: str = "none"
    value: float = 1
    transitions: Transitions | None = None

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ConfigError(f"unknown smoothing '{self.name}'; {_FORMS}.{nearest(self.name, list(NAMES))}")
        if self.name in ("none", *WIDTH_FILTERS):
            require_odd(self.value)
        else:
            require_positive(self.value)
        if self.needs_transitions and self.transitions is None:
            raise ConfigError(
                f"smoothing '{self.name}' needs to know how classes follow each other; give annotations to count this "
                "(`--transitions DIR`, the folder that holds Train_Set)"
            )

    @property
    def needs_transitions(self) -> bool:
        return self.name in HMM_PASSES

    def __str__(self) -> str:
        value = int(self.value) if self.value == int(self.value) else self.value
        return self.name if self.name == "none" else f"{self.name}:{value}"

    def __call__(self, probs: Probs) -> Probs:
        """Smoothed probabilities (T, C), rows that sum to 1; for `viterbi`, 1 at the class of its path.

        probs: (T, C), without gaps.
        """
        if self.transitions is not None and self.needs_transitions:
            evidence = self.value * np.log(np.maximum(probs.astype(np.float64), _FLOOR))
            if self.name == "forward_backward":
                return forward_backward(evidence, self.transitions).astype(probs.dtype)
            path = viterbi(evidence, self.transitions)
            one_hot: Probs = np.eye(self.transitions.num_classes, dtype=probs.dtype)[path]
            return one_hot
        smooth = self.columns(probs)
        return _as_distribution(smooth, probs, int(self.value)) if self.name == "median" else smooth

    def columns(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Filter values (T, K) other than class probabilities, per column; the two passes leave them unchanged."""
        if self.name in WIDTH_FILTERS:
            return WIDTH_FILTERS[self.name](values, int(self.value))
        return gaussian(values, self.value) if self.name == "gaussian" else values


def _as_distribution(medians: Probs, probs: Probs, width: int) -> Probs:
    """Normalise the medians of the classes; where all are 0 (no class has half the window), use the mean."""
    medians = np.where(medians.sum(axis=1, keepdims=True) > 0, medians, box(probs, width))
    normalised: Probs = medians / medians.sum(axis=1, keepdims=True)
    return normalised


def needs_transitions(text: str) -> bool:
    """Whether this smoothing can be parsed only with transitions."""
    return text.split(":")[0] in HMM_PASSES


def parse_smoothing(text: str, transitions: Transitions | None = None) -> Smoothing:
    """The smoothing of a text such as `none`, `box:101`, `gaussian:12.5` or `viterbi:0.1`.

    transitions: needed by `viterbi` and `forward_backward`, ignored by others. Raises ConfigError that lists the valid
    forms.
    """
    match = re.fullmatch(r"([a-z_]+)(?::(\d+(?:\.\d+)?))?", text)
    if match is None:
        raise ConfigError(f"smoothing '{text}' is not understood; {_FORMS}")
    name, value = match[1], match[2]
    needs_value = name not in ("none", *HMM_PASSES)
    if name in NAMES and ((needs_value and value is None) or (name == "none" and value is not None)):
        raise ConfigError(f"smoothing '{text}' is not understood; {_FORMS}")
    return Smoothing(name, float(value or 1), transitions if name in HMM_PASSES else None)
