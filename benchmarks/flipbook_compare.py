"""The flip-book's comparison of single frames, filters and the temporal model on the same scored clips.

Shapes: T time, C class.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abaw.evaluation.metrics import confusion_of, macro_f1_of
from abaw.evaluation.pass_fit import PooledVideos
from abaw.evaluation.selection import biased_confusion, fit_class_bias, log_probs
from abaw.inference.decode import decode
from abaw.protocol.classes import NUM_EXPRESSIONS
from abaw.sequence.filters import fill_gaps
from abaw.sequence.hmm import Transitions
from abaw.sequence.smooth import HMM_PASSES, Smoothing, parse_smoothing
from abaw.stores.predictions import Predictions

_WIDTHS = (5, 11, 21, 31, 41, 51, 61, 75, 91, 111, 131, 151, 181, 221)
_SIGMAS = (2, 4, 6, 8, 10, 12, 15, 18, 22, 27, 33, 40, 50)
_WEIGHTS = (0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.14, 0.2, 0.3, 0.5, 1)
GRIDS: Mapping[str, tuple[str, ...]] = {
    "box": tuple(f"box:{width}" for width in _WIDTHS),
    "gaussian": tuple(f"gaussian:{sigma}" for sigma in _SIGMAS),
    "median": tuple(f"median:{width}" for width in _WIDTHS),
    "viterbi": tuple(f"viterbi:{weight}" for weight in _WEIGHTS),
    "forward_backward": tuple(f"forward_backward:{weight}" for weight in _WEIGHTS),
}
# A class bias is fitted on every N frames: neighbours are nearly the same.
_BIAS_EVERY = 7


@dataclass(frozen=True, slots=True, eq=False)
class Videos:
    """V clips with the predictions of a model and their labels, each (T,)."""

    predictions: Sequence[Predictions]
    labels: Sequence[NDArray[np.int8]]


@dataclass(frozen=True, slots=True)
class Score:
    """Macro F1 and accuracy on the scored clips, and the smoothing that was used."""

    macro_f1: float
    accuracy: float
    smoothing: str


class Comparison:
    """Scores one model's predictions under every smoothing, and chooses the smoothing on other clips.

    tuning: clips on which widths, weights and biases are chosen; scored: clips on which the result counts.
    """

    def __init__(self, tuning: Videos, scored: Videos, transitions: Transitions) -> None:
        self._tuning, self._scored, self._transitions = tuning, scored, transitions

    def plain(self, text: str = "none") -> Score:
        return self._score(self._without_bias(text))

    def chosen(self, options: Sequence[str]) -> Score:
        """With the smoothing that is best on the tuning clips: the score to expect in practice."""
        return self._best(map(self._without_bias, options))

    def hindsight(self, options: Sequence[str]) -> Score:
        """With the smoothing that is best on the scored clips themselves: an upper bound."""
        return max(map(self.plain, options), key=lambda score: score.macro_f1)

    def expected(self, options: Sequence[str]) -> Score:
        """As `chosen`, with the bias that follows from the class shares that the model expects."""
        return self._best(parse_smoothing(f"{text}+shares", self._transitions) for text in options)

    def fitted(self, options: Sequence[str]) -> Score:
        """With the smoothing and class bias that together are best on the tuning clips; a pass is fitted as a whole."""
        return self._best(map(self._fitted, options))

    def decoded(self) -> Score:
        """With whatever is best on the tuning clips: every filter or pass with its width or WEIGHT and a class bias."""
        return self._best(map(self._fitted, ("none", *GRIDS["gaussian"], *(f"{name}:0.1" for name in HMM_PASSES))))

    def fitted_after(self, options: Sequence[str]) -> Score:
        """As `fitted`, with the bias of a forward-backward pass added to its result."""
        found = [(text, self._bias(self._without_bias(text))) for text in options]
        text, bias = max(found, key=lambda each: self._f1_after(*each))
        return _score(self._confusion_after(self._scored, text, bias), f"{text}, bias after")

    def _best(self, options: Iterable[Smoothing]) -> Score:
        return self._score(max(options, key=lambda smoothing: _f1(self._confusion(self._tuning, smoothing))))

    def _without_bias(self, text: str) -> Smoothing:
        return parse_smoothing(text, self._transitions)

    def _fitted(self, text: str) -> Smoothing:
        smoothing = self._without_bias(text)
        return smoothing.biased(self._bias(smoothing)) if not smoothing.needs_transitions else self._fit_pass(smoothing)

    def _fit_pass(self, smoothing: Smoothing) -> Smoothing:
        pooled = PooledVideos()
        for each, labels in zip(self._tuning.predictions, self._tuning.labels, strict=True):
            filled = fill_gaps(each.probs, each.predicted, 1 / NUM_EXPRESSIONS)
            pooled.add(filled, labels[: len(filled)], 0, each.fps)
        return pooled.fit(smoothing)

    def _bias(self, smoothing: Smoothing) -> NDArray[np.float64]:
        probs = [decode(each, smoothing).probs[::_BIAS_EVERY] for each in self._tuning.predictions]
        labels = [each[::_BIAS_EVERY] for each in self._tuning.labels]
        return fit_class_bias(np.concatenate(probs), np.concatenate(labels))

    def _score(self, smoothing: Smoothing) -> Score:
        return _score(self._confusion(self._scored, smoothing), str(smoothing))

    def _confusion(self, videos: Videos, smoothing: Smoothing) -> NDArray[np.int64]:
        """(C, C) frames, rows annotated, columns predicted."""
        pairs = zip(videos.predictions, videos.labels, strict=True)
        return _sum(confusion_of(labels, decode(each, smoothing).labels) for each, labels in pairs)

    def _f1_after(self, text: str, bias: NDArray[np.float64]) -> float:
        return _f1(self._confusion_after(self._tuning, text, bias))

    def _confusion_after(self, videos: Videos, text: str, bias: NDArray[np.float64]) -> NDArray[np.int64]:
        smoothing, pairs = self._without_bias(text), zip(videos.predictions, videos.labels, strict=True)
        return _sum(biased_confusion(log_probs(decode(each, smoothing).probs), labels, bias) for each, labels in pairs)


def _sum(confusions: Iterable[NDArray[np.int64]]) -> NDArray[np.int64]:
    total: NDArray[np.int64] = np.sum(list(confusions), axis=0)
    return total


def _f1(confusion: NDArray[np.int64]) -> float:
    return float(macro_f1_of(confusion))


def _score(confusion: NDArray[np.int64], smoothing: str) -> Score:
    return Score(_f1(confusion), float(np.trace(confusion) / confusion.sum()), smoothing)


def compare_filters(static: Comparison) -> dict[str, Score]:
    """Rows of the table for the static model: name -> score."""
    rows = {"static": static.plain(), "static, bias": static.fitted(["none"])}
    for name, options in GRIDS.items():
        rows[f"static + {name}"] = static.chosen(options)
        rows[f"static + {name}, hindsight"] = static.hindsight(options)
        if name not in HMM_PASSES:
            rows[f"static + {name}, bias"] = static.fitted(options)
    rows["static + forward_backward, bias after the pass"] = static.fitted_after(GRIDS["forward_backward"])
    for name in HMM_PASSES:
        rows[f"static + {name}, expected shares"] = static.expected(GRIDS[name])
        rows[f"static + {name}, bias in the evidence"] = static.fitted([f"{name}:0.1"])
    rows["static, chosen decoding"] = static.decoded()
    return rows


def compare_temporal(temporal: Comparison) -> dict[str, Score]:
    """Rows of the table for the temporal model: name -> score."""
    options = ["none", *(text for grid in GRIDS.values() for text in grid)]
    rows = {
        "temporal": temporal.plain(),
        "temporal, bias": temporal.fitted(["none"]),
        "temporal + any filter": temporal.chosen(options),
    }
    for name in HMM_PASSES:
        rows[f"temporal + {name}, bias in the evidence"] = temporal.fitted([f"{name}:0.1"])
    rows["temporal, chosen decoding"] = temporal.decoded()
    return rows
