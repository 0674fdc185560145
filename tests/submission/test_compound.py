"""Compound classes from the eight basic ones, compared with values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from abaw.protocol.classes import COMPOUND_CLASSES, EXPRESSION_CLASSES
from abaw.protocol.editions import edition
from abaw.submission.compound import PARTS, compound_labels, compound_scores


def probs(**classes: float) -> np.ndarray:
    """Probabilities of one frame, (1, 8)."""
    return np.array([[classes.get(name, 0.0) for name in EXPRESSION_CLASSES]], np.float32)


def test_every_compound_class_has_two_parts() -> None:
    assert tuple(PARTS) == COMPOUND_CLASSES
    assert edition("abaw6_ce").header == "image_location," + ",".join(COMPOUND_CLASSES)
    for name, (first, second) in PARTS.items():
        adverb, adjective = name.split("_")
        stems = {"Happiness": "Happ", "Fear": "Fear", "Sadness": "Sad", "Disgust": "Disgust", "Anger": "Ang"}
        assert adverb.startswith(stems[first])
        assert adjective.startswith({"Surprise": "Surpris", "Fear": "Fear", "Anger": "Ang"}[second])


def test_scores_are_geometric_means() -> None:
    scores = compound_scores(probs(Fear=0.09, Surprise=0.16, Sadness=0.25, Anger=0.04, Neutral=0.4, Other=0.06))
    expected = {
        "Fearfully_Surprised": 0.3 * 0.4,
        "Sadly_Surprised": 0.5 * 0.4,
        "Angrily_Surprised": 0.2 * 0.4,
        "Sadly_Fearful": 0.5 * 0.3,
        "Sadly_Angry": 0.5 * 0.2,
    }
    assert scores[0] == pytest.approx([expected.get(name, 0.0) for name in COMPOUND_CLASSES], abs=1e-7)


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ({"Fear": 0.3, "Surprise": 0.3}, "Fearfully_Surprised"),
        ({"Happiness": 0.6, "Surprise": 0.1, "Sadness": 0.2}, "Happily_Surprised"),
        ({"Surprise": 0.5, "Sadness": 0.2, "Fear": 0.1}, "Sadly_Surprised"),
        ({"Disgust": 0.2, "Surprise": 0.2, "Anger": 0.1}, "Disgustedly_Surprised"),
        ({"Anger": 0.5, "Surprise": 0.2, "Sadness": 0.1}, "Angrily_Surprised"),
        ({"Sadness": 0.3, "Fear": 0.2, "Surprise": 0.1, "Neutral": 0.4}, "Sadly_Fearful"),
        ({"Sadness": 0.2, "Anger": 0.2, "Other": 0.6}, "Sadly_Angry"),
        ({"Sadness": 1e-30, "Anger": 1e-30, "Other": 1.0}, "Sadly_Angry"),
        ({"Neutral": 1.0}, "Fearfully_Surprised"),
    ],
)
def test_labels(classes: dict[str, float], expected: str) -> None:
    labels = compound_labels(probs(**classes))
    assert labels.dtype == np.int8
    assert [COMPOUND_CLASSES[label] for label in labels] == [expected]


def test_a_video_and_an_empty_one() -> None:
    frames = np.concatenate([probs(Sadness=0.5, Anger=0.5), probs(Happiness=0.5, Surprise=0.5)])
    assert compound_labels(frames).tolist() == [6, 1]
    assert compound_labels(frames[:0]).tolist() == []
