"""Scores compared with hand counts and with their definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.evaluation.metrics import ScoredVideo, evaluate, macro_f1, score_frames


def arr(*values: int) -> NDArray[np.int8]:
    return np.array(values, dtype=np.int8)


@pytest.mark.parametrize(
    ("labels", "predicted", "expected"),
    [
        pytest.param(arr(0, 1, 2), arr(0, 1, 2), 1.0, id="all right"),
        pytest.param(arr(0, 1, 2), arr(1, 2, 0), 0.0, id="all wrong"),
        pytest.param(
            arr(0, 0, 1), arr(0, 0, 0), (0.8 + 0 + 0) / 3, id="a class never predicted and one absent count 0"
        ),
        pytest.param(arr(0, 1, 2, -1), arr(0, 1, 2, 0), 1.0, id="-1 is left out"),
        pytest.param(arr(0, 1), arr(0, 1), 2 / 3, id="an absent class counts 0"),
    ],
)
def test_macro_f1_over_three_classes(labels: NDArray[np.int8], predicted: NDArray[np.int8], expected: float) -> None:
    assert macro_f1(labels, predicted, 3) == pytest.approx(expected)
    assert score_frames(labels, predicted, 3).macro_f1 == pytest.approx(expected)


@pytest.mark.parametrize("labels", [arr(), arr(-1, -1)])
def test_no_annotated_frames(labels: NDArray[np.int8]) -> None:
    assert math.isnan(macro_f1(labels, labels, 3))
    with pytest.raises(DataError, match="nothing to score"):
        score_frames(labels, labels, 3)


@pytest.mark.parametrize(("labels", "predicted"), [(arr(3), arr(0)), (arr(0), arr(3)), (arr(0), arr(-1))])
def test_unknown_classes_are_refused(labels: NDArray[np.int8], predicted: NDArray[np.int8]) -> None:
    with pytest.raises(DataError, match=r"expected every (label|prediction) in 0\.\.2"):
        score_frames(labels, predicted, 3)


PAIRS = st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 4)), min_size=1, max_size=80)


@settings(deadline=None)
@given(PAIRS)
def test_scores_follow_from_the_confusion_matrix(pairs: list[tuple[int, int]]) -> None:
    labels, predicted = (np.array(column, dtype=np.int8) for column in zip(*pairs, strict=True))
    if (labels < 0).all():
        return
    scores = score_frames(labels, predicted, 5)
    matrix = scores.confusion
    assert matrix.sum() == scores.num_frames == (labels >= 0).sum()
    for index, score in enumerate(scores.per_class):
        hits, annotated, said = matrix[index, index], matrix[index].sum(), matrix[:, index].sum()
        assert score.support == annotated
        assert score.recall == pytest.approx(hits / annotated if annotated else 0)
        assert score.precision == pytest.approx(hits / said if said else 0)
        assert score.f1 == pytest.approx(2 * hits / (annotated + said) if annotated + said else 0)
    assert scores.macro_f1 == pytest.approx(np.mean([score.f1 for score in scores.per_class]))
    assert scores.macro_f1 == pytest.approx(macro_f1(labels, predicted, 5))
    assert scores.accuracy == pytest.approx(np.trace(matrix) / matrix.sum())


def test_both_conventions() -> None:
    video = ScoredVideo("v", arr(0, 1, 1, -1), arr(0, 1, 0, 0), np.array([True, True, False, True]))
    evaluation = evaluate([video], 2)
    assert evaluation.all_frames.num_frames == 3
    assert evaluation.all_frames.macro_f1 == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert evaluation.with_face is not None
    assert (evaluation.with_face.num_frames, evaluation.with_face.macro_f1) == (2, 1.0)


def test_frames_of_all_videos_are_pooled() -> None:
    every = np.ones(3, bool)
    videos = [ScoredVideo("a", arr(0, 0, 0), arr(0, 0, 1), every), ScoredVideo("b", arr(1, 1, 1), arr(1, 1, 1), every)]
    pooled = evaluate(videos, 2).all_frames.macro_f1
    labels, predicted = np.concatenate([arr(0, 0, 0), arr(1, 1, 1)]), np.concatenate([arr(0, 0, 1), arr(1, 1, 1)])
    assert pooled == pytest.approx(macro_f1(labels, predicted, 2))


def test_a_video_is_scored_over_the_classes_annotated_in_it() -> None:
    every = np.ones(4, bool)
    unlabelled = ScoredVideo("none", arr(-1), arr(0), np.ones(1, bool))
    video, nothing = evaluate([ScoredVideo("v", arr(2, 2, 3, 3), arr(2, 2, 3, 0), every), unlabelled], 8).videos
    assert (video.num_classes, video.num_frames, video.num_frames_with_face) == (2, 4, 4)
    assert video.macro_f1 == pytest.approx((1.0 + 2 / 3) / 2)
    assert video.accuracy == 0.75
    assert nothing.num_frames == 0
    assert math.isnan(nothing.macro_f1) and math.isnan(nothing.accuracy)


def test_no_face_anywhere() -> None:
    assert evaluate([ScoredVideo("v", arr(0), arr(0), np.zeros(1, bool))], 2).with_face is None


def test_no_video_and_unequal_lengths() -> None:
    with pytest.raises(DataError, match="no video"):
        evaluate([])
    with pytest.raises(DataError, match=r"v: .* differ in length: \(2, 1, 1\)"):
        ScoredVideo("v", arr(0, 1), arr(0), np.ones(1, bool))
