"""The flip-book's comparison of single frames, filters and the temporal model on the same scored clips.

Shapes: T time, C class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abaw.evaluation.metrics import confusion_of, macro_f1_of
from abaw.evaluation.selection import fit_class_bias
from abaw.inference.decode import decode
from abaw.protocol.classes import NUM_EXPRESSIONS
from abaw.sequence.hmm import Transitions
from abaw.sequence.smooth import parse_smoothing
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

    def plain(self, smoothing: str = "none") -> Score:
        return self._score(smoothing, None)

    def chosen(self, options: Sequence[str]) -> Score:
        """With the smoothing that is best on the tuning clips: the score to expect in practice."""
        best = max(options, key=lambda text: self._f1(self._tuning, text, None))
        return self.plain(best)

    def hindsight(self, options: Sequence[str]) -> Score:
        """With the smoothing that is best on the scored clips themselves: an upper bound."""
        return max(map(self.plain, options), key=lambda score: score.macro_f1)

    def chosen_with_bias(self, options: Sequence[str]) -> Score:
        """With the smoothing and class bias that together are best on the tuning clips."""
        biases = {text: self._bias(text) for text in options}
        best = max(options, key=lambda text: self._f1(self._tuning, text, biases[text]))
        return self._score(best, biases[best])

    def _bias(self, smoothing: str) -> NDArray[np.float64]:
        parsed = parse_smoothing(smoothing, self._transitions)
        probs = [decode(each, parsed).probs[::_BIAS_EVERY] for each in self._tuning.predictions]
        labels = [each[::_BIAS_EVERY] for each in self._tuning.labels]
        return fit_class_bias(np.concatenate(probs), np.concatenate(labels))

    def _score(self, smoothing: str, bias: NDArray[np.float64] | None) -> Score:
        confusion = self._confusion(self._scored, smoothing, bias)
        return Score(float(macro_f1_of(confusion)), float(np.trace(confusion) / confusion.sum()), smoothing)

    def _f1(self, videos: Videos, smoothing: str, bias: NDArray[np.float64] | None) -> float:
        return float(macro_f1_of(self._confusion(videos, smoothing, bias)))

    def _confusion(self, videos: Videos, smoothing: str, bias: NDArray[np.float64] | None) -> NDArray[np.int64]:
        """(C, C) frames, rows annotated, columns predicted."""
        parsed = parse_smoothing(smoothing, self._transitions)
        confusion = np.zeros((NUM_EXPRESSIONS, NUM_EXPRESSIONS), dtype=np.int64)
        for predictions, labels in zip(videos.predictions, videos.labels, strict=True):
            confusion += confusion_of(labels, decode(predictions, parsed, bias).labels)
        return confusion


def compare_filters(static: Comparison) -> dict[str, Score]:
    """Rows of the table for the static model: name -> score."""
    rows = {"static": static.plain(), "static, bias": static.chosen_with_bias(["none"])}
    for name, options in GRIDS.items():
        rows[f"static + {name}"] = static.chosen(options)
        rows[f"static + {name}, hindsight"] = static.hindsight(options)
        if name != "viterbi":
            rows[f"static + {name}, bias"] = static.chosen_with_bias(options)
    return rows


def compare_temporal(temporal: Comparison) -> dict[str, Score]:
    """Rows of the table for the temporal model: name -> score."""
    options = ["none", *(text for grid in GRIDS.values() for text in grid)]
    return {
        "temporal": temporal.plain(),
        "temporal, bias": temporal.chosen_with_bias(["none"]),
        "temporal + any filter": temporal.chosen(options),
    }
