"""The rule by which the smoothing of `abaw predict-video` is chosen."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.sequence.smooth import parse_smoothing
from abaw.stores.predictions import Predictions

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))  # scripts, not a package

from choose_smoothing import CANDIDATES, Stretch, Tally, choose, lifelike_transitions, read_stretches, tally

PLAIN = Tally(100, (True, True, False), 40)


@pytest.mark.parametrize(
    ("other", "f1", "expected"),
    [
        pytest.param(Tally(100, (True, True, False), 20), 0.6, "other", id="steady and better"),
        pytest.param(Tally(100, (True, True, True), 20), 0.5, "other", id="steady and as good"),
        pytest.param(Tally(100, (True, True, True), 20), 0.4, "none", id="worse on the flip-book"),
        pytest.param(Tally(99, (True, True, True), 20), 0.6, "none", id="fewer frames"),
        pytest.param(Tally(200, (True, False, True), 2), 0.6, "none", id="loses a stretch"),
        pytest.param(Tally(100, (True, True, False), 30), 0.6, "other", id="not steady, but fewer changes"),
    ],
)
def test_the_rule(other: Tally, f1: float, expected: str) -> None:
    table = {"none": {"a": PLAIN}, "other": {"a": other}}
    assert choose(table, {"none": 0.5, "other": f1}, ["a"]) == expected


def test_the_highest_of_steady_ones_on_the_clips_that_count() -> None:
    steady, lossy = Tally(100, (True, True, False), 10), Tally(0, (False, False, False), 10)
    table = {"none": {"a": PLAIN, "b": PLAIN}, "x": {"a": steady, "b": lossy}, "y": {"a": steady, "b": steady}}
    scores = {"none": 0.5, "x": 0.9, "y": 0.6}
    assert choose(table, scores, ["a"]) == "x"
    assert choose(table, scores, ["a", "b"]) == "y"


def test_frames_stretches_and_changes_are_counted(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(
        "video,first,last,label,kind\nv,1,4,Anger,acted\nv,5,8,Happiness,acted\nv,9,9,Other,acted\n"
    )
    stretches = read_stretches(tmp_path / "labels.csv")
    assert stretches == {"v": [Stretch(1, 4, 1), Stretch(5, 8, 4)]}
    labels = np.array([1, 1, 1, 0, 4, 0, 0, 4, 7])
    valid = np.array([True] * 8 + [False])
    predictions = Predictions(
        "v", EXPRESSION_CLASSES, np.arange(1, 10, dtype=np.int32), valid, valid, np.eye(8, dtype=np.float32)[labels], {}
    )
    assert tally(predictions, stretches["v"], parse_smoothing("none")) == Tally(5, (True, False), 4)


def test_every_candidate_can_be_decoded_with_the_transitions_of_the_flipbook() -> None:
    transitions = lifelike_transitions()
    assert transitions.fps == 30
    np.testing.assert_allclose(transitions.initial, 1 / 8, atol=0.05)
    probs = np.full((60, 8), 1 / 8, np.float32)
    for text in CANDIDATES:
        assert parse_smoothing(text, transitions).at(25)(probs).shape == probs.shape
