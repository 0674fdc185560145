"""Smoothings by name; they run after `predict`, never in it.

Shapes: T time, C class, K columns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from abaw.core.errors import ConfigError, nearest
from abaw.sequence.filters import box, gaussian, median, require_odd, require_positive
from abaw.sequence.hmm import Transitions, forward_backward, viterbi

Probs = NDArray[np.float32]

WIDTH_FILTERS: Mapping[str, Callable[[NDArray[np.float32], int], NDArray[np.float32]]] = {"box": box, "median": median}
HMM_PASSES = ("viterbi", "forward_backward")
NAMES = ("none", *WIDTH_FILTERS, "gaussian", *HMM_PASSES)
_FORMS = (
    "expected 'none', 'box:WIDTH' or 'median:WIDTH' (an odd number of frames, or seconds as in box:0.5s), "
    "'gaussian:SIGMA' (frames, or seconds as in gaussian:0.2s), 'viterbi' or 'viterbi:WEIGHT', 'forward_backward' or "
    "'forward_backward:WEIGHT' (WEIGHT above 0), these two also with '+shares'"
)
# The lowest probability used as evidence: no single frame may rule out a class.
_FLOOR = 1e-8
# The lowest class share from which a bias is derived: a class that a model has never seen is not raised without limit.
_LEAST_SHARE = 1e-3


@dataclass(frozen=True, slots=True)
class Smoothing:
    """A filter or a hidden Markov pass by name; `none` leaves the probabilities unchanged.

    value: of `box` and `median`, the width in frames (odd); of `gaussian`, sigma in frames; of these, in seconds if
    `seconds`; of `viterbi` and `forward_backward`, WEIGHT: the power of each frame's probabilities as evidence, usually
    below 1 because the errors of neighbouring frames are correlated. transitions: needed by these two. class_bias: C
    numbers, or None for no bias; a pass adds them to the log of each frame's probabilities, before WEIGHT, and a filter
    to the log of the smoothed probabilities. shares: a pass without a bias uses the one that follows from the class
    shares that the model expects and those of the transitions (see `for_shares`). chosen_on, counted_on: the videos on
    which the smoothing was chosen and its transitions were counted, None when this is unknown. `str()` returns the text
    form, without the bias. Raises ConfigError for an unknown name, a value out of range, a bias that is not finite, or
    missing transitions.
    """

    name: str = "none"
    value: float = 1
    transitions: Transitions | None = None
    seconds: bool = False
    class_bias: tuple[float, ...] | None = None
    shares: bool = False
    chosen_on: tuple[str, ...] | None = field(default=(), compare=False)
    counted_on: tuple[str, ...] | None = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if self.class_bias is not None and not np.isfinite(self.class_bias).all():
            raise ConfigError(f"class bias: expected finite numbers, found {list(self.class_bias)}")
        if self.name not in NAMES:
            raise ConfigError(f"unknown smoothing '{self.name}'; {_FORMS}.{nearest(self.name, list(NAMES))}")
        if self.seconds and self.name not in (*WIDTH_FILTERS, "gaussian"):
            raise ConfigError(f"smoothing '{self.name}' takes no seconds; {_FORMS}")
        if self.shares and not self.needs_transitions:
            raise ConfigError(f"smoothing '{self.name}' takes no '+shares'; {_FORMS}")
        if self.name in ("none", *WIDTH_FILTERS) and not self.seconds:
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
        value = np.format_float_positional(self.value, trim="-")
        text = self.name if self.name == "none" else f"{self.name}:{value}{'s' if self.seconds else ''}"
        return f"{text}+shares" if self.shares else text

    def at(self, fps: float | None) -> Smoothing:
        """The same smoothing of a video with this frame rate, in frames.

        Seconds become frames, for box and median the nearest odd number. A pass gets the transitions of that rate,
        and a WEIGHT that leaves the evidence of a second unchanged; it stays as it is when a rate is unknown. Raises
        ConfigError for seconds without a frame rate.
        """
        if self.transitions is not None and self.needs_transitions:
            if fps is None or self.transitions.fps is None:
                return self
            return replace(self, value=self.value * self.transitions.fps / fps, transitions=self.transitions.at(fps))
        if not self.seconds:
            return self
        if fps is None:
            raise ConfigError(f"smoothing '{self}' is in seconds, but the frame rate is unknown; name it in frames")
        frames = self.value * fps
        frames = frames if self.name == "gaussian" else 2 * max(0, round((frames - 1) / 2)) + 1
        return replace(self, value=frames, seconds=False)

    def biased(self, class_bias: Sequence[float] | NDArray[np.floating]) -> Smoothing:
        """The same smoothing with this bias, (C,), in place of any other."""
        return replace(self, class_bias=tuple(map(float, class_bias)), shares=False)

    def without_bias(self) -> Smoothing:
        return replace(self, class_bias=None)

    def for_shares(self, model_shares: Sequence[float] | None) -> Smoothing:
        """With the bias of `shares`; unchanged unless `shares` is set.

        model_shares: (C,), which the model expects, None when they are not recorded. Raises ConfigError for None.
        """
        if not self.shares or self.transitions is None:
            return self
        if model_shares is None:
            raise ConfigError(
                f"smoothing '{self}': the predictions do not record the class shares that their model expects; leave "
                "out '+shares', or train and predict again"
            )
        return self.biased(expected_bias(model_shares, self.transitions.initial))

    def __call__(self, probs: Probs) -> Probs:
        """Smoothed probabilities (T, C), rows that sum to 1; for `viterbi`, 1 at the class of its path.

        probs: (T, C), without gaps. Raises ConfigError when the smoothing is in seconds (see `at`), or its bias is not
        one number per class.
        """
        num = probs.shape[1]
        bias = np.zeros(num) if self.class_bias is None else np.array(self.class_bias)
        if len(bias) != num:
            raise ConfigError(f"class bias: expected {num} finite numbers, found {bias.tolist()}")
        if self.transitions is not None and self.needs_transitions:
            return self._pass(log_evidence(probs, bias, self.value), self.transitions).astype(probs.dtype)
        smooth = self.columns(probs)
        if self.name == "median":
            smooth = _as_distribution(smooth, probs, int(self.value))
        return smooth if self.class_bias is None else _biased(smooth, bias)

    def _pass(self, evidence: NDArray[np.float64], transitions: Transitions) -> NDArray[np.float64]:
        if self.name == "forward_backward":
            return forward_backward(evidence, transitions)
        return np.eye(transitions.num_classes)[viterbi(evidence, transitions)]

    def columns(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Filter values (T, K) other than class probabilities, per column; the two passes leave them unchanged.

        Raises ConfigError when the smoothing is in seconds (see `at`).
        """
        if self.seconds:
            raise ConfigError(f"smoothing '{self}' is in seconds; convert it to frames for the video's frame rate")
        if self.name in WIDTH_FILTERS:
            return WIDTH_FILTERS[self.name](values, int(self.value))
        return gaussian(values, self.value) if self.name == "gaussian" else values


def log_evidence(probs: NDArray[np.floating], class_bias: NDArray[np.floating], weight: float) -> NDArray[np.float64]:
    """weight · (log probs + bias), (T, C): the evidence of the passes. probs: (T, C); class_bias: (C,)."""
    logs: NDArray[np.float64] = weight * (np.log(np.maximum(probs.astype(np.float64), _FLOOR)) + class_bias)
    return logs


def expected_bias(model_shares: ArrayLike, data_shares: ArrayLike) -> NDArray[np.float64]:
    """The bias (C,) that turns probabilities for some class shares into those for others (Bayes' theorem).

    model_shares: (C,), which the model expects; data_shares: (C,), expected in the data. Shares are 0 or above.
    """
    model, data = (np.maximum(np.asarray(each, dtype=np.float64), _LEAST_SHARE) for each in (model_shares, data_shares))
    bias: NDArray[np.float64] = np.log(data) - np.log(model)
    return bias


def _biased(probs: Probs, class_bias: NDArray[np.float64]) -> Probs:
    weighted = probs * np.exp(class_bias - class_bias.max())
    biased: Probs = (weighted / weighted.sum(axis=1, keepdims=True)).astype(probs.dtype)
    return biased


def _as_distribution(medians: Probs, probs: Probs, width: int) -> Probs:
    """Normalise the medians of the classes; where all are 0 (no class has half the window), use the mean."""
    medians = np.where(medians.sum(axis=1, keepdims=True) > 0, medians, box(probs, width))
    normalised: Probs = medians / medians.sum(axis=1, keepdims=True)
    return normalised


def needs_transitions(text: str) -> bool:
    """Whether this smoothing can be parsed only with transitions."""
    return re.split("[:+]", text)[0] in HMM_PASSES


def parse_smoothing(text: str, transitions: Transitions | None = None) -> Smoothing:
    """The smoothing of a text such as `none`, `box:101`, `gaussian:12.5`, `gaussian:0.2s` or `viterbi:0.1`.

    transitions: needed by `viterbi` and `forward_backward`, ignored by others. Raises ConfigError that lists the valid
    forms.
    """
    match = re.fullmatch(r"([a-z_]+)(?::(\d+(?:\.\d+)?)(s?))?(\+shares)?", text)
    if match is None:
        raise ConfigError(f"smoothing '{text}' is not understood; {_FORMS}")
    name, value, unit, shares = match.groups()
    needs_value = name not in ("none", *HMM_PASSES)
    if name in NAMES and ((needs_value and value is None) or (name == "none" and value is not None)):
        raise ConfigError(f"smoothing '{text}' is not understood; {_FORMS}")
    chain = transitions if name in HMM_PASSES else None
    return Smoothing(name, float(value or 1), chain, seconds=unit == "s", shares=shares is not None)
