from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from abaw.core.errors import DataError
from abaw.evaluation.calibration import calibration_of
from abaw.evaluation.temperature import fit_temperature


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_of_scaled_logits_is_found(temperature: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 4)) * 2
    labels = np.array([rng.choice(4, p=row) for row in softmax(logits, axis=1)], np.int8)
    labels[:100] = -1
    found = fit_temperature(logits * temperature, labels)
    assert found == pytest.approx(temperature, rel=0.05)
    assert calibration_of(softmax(logits * temperature / found, axis=1), labels).ece < 0.02


def test_a_model_that_is_always_right_gets_the_lowest_temperature() -> None:
    assert fit_temperature(np.eye(3), np.arange(3)) == pytest.approx(0.1, rel=0.01)


def test_without_labels_there_is_nothing_to_fit() -> None:
    with pytest.raises(DataError, match="no labels"):
        fit_temperature(np.eye(3), np.full(3, -1))
