"""The fit of a class bias: with the bias that a smoothing has already, and with videos without any prediction."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from abaw.evaluation.fitted_smoothing import fit_smoothing
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.sequence.hmm import count_transitions
from abaw.sequence.smooth import Smoothing, parse_smoothing
from abaw.stores.predictions import Predictions
from tests.pipelines.validate_data import noisy, runs

PRIOR = [0.65, *[0.05] * 7]
FOLDS = [0, 1, 2, 0, 1, 2]


def annotated(num_blank: int = 0) -> Iterator[tuple[Predictions, np.ndarray]]:
    """Six videos; then such without any prediction, all of class 6."""
    rng = np.random.default_rng(0)
    for number in range(6 + num_blank):
        labels = runs(rng, 200) if number < 6 else [6] * 400
        num, seen = len(labels), np.full(len(labels), number < 6)
        probs = noisy(rng, labels, prior=PRIOR) * seen[:, None]
        frames = np.arange(1, num + 1, dtype=np.int32)
        yield Predictions(f"v{number}", EXPRESSION_CLASSES, frames, seen, seen, probs, {}), np.array(labels, np.int8)


def smoothing(text: str) -> Smoothing:
    return parse_smoothing(text, count_transitions([np.repeat(np.arange(8), 20)], 8))


@pytest.mark.parametrize("text", ["box:5", "viterbi:0.1"])
def test_a_bias_that_the_smoothing_has_changes_nothing(text: str) -> None:
    plain = smoothing(text)
    fitted, by_fold, _ = fit_smoothing(plain, annotated(), FOLDS)
    again, by_fold_again, _ = fit_smoothing(plain.biased([0, 3, -2, 1, 0, 0, 2, 0]), annotated(), FOLDS)
    assert (again.value, again.class_bias) == (fitted.value, fitted.class_bias)
    assert [each.class_bias for each in by_fold_again] == [each.class_bias for each in by_fold]
    assert fitted.class_bias is not None and fitted.class_bias[4] > 0


@pytest.mark.parametrize("text", ["box:5", "viterbi:0.1"])
def test_no_bias_is_fitted_to_videos_without_any_prediction(text: str) -> None:
    """They stay at the first class. As long as they counted as uniform, the largest bias was that of their class."""
    fitted, _, _ = fit_smoothing(smoothing(text), annotated(num_blank=4), [*FOLDS, 0, 1, 2, 0])
    assert np.argmax(fitted.class_bias) != 6
