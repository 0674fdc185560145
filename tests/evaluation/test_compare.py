from __future__ import annotations

import numpy as np
import pytest

from abaw.evaluation.bootstrap import paired_difference
from abaw.evaluation.compare import compare, compare_options, score_intervals
from abaw.evaluation.intervals import f1_intervals
from abaw.evaluation.metrics import ScoredVideo, evaluate, macro_f1_of
from abaw.evaluation.origin import Origin
from abaw.evaluation.result import Option, Result

NAMES = [f"v{number:02d}" for number in range(12)]
FOLDS = {name: number % 4 for number, name in enumerate(NAMES)}


def option(skill: float, seed: int = 0, names: list[str] = NAMES, smoothing: str = "none", frames: int = 80) -> Option:
    """The share `skill` of the frames is correct; the labels of a video are the same for all options."""
    rng = np.random.default_rng(seed)
    videos = []
    for name in names:
        labels = np.random.default_rng(int(name[1:])).integers(0, 8, frames).astype(np.int8)
        predicted = np.where(rng.random(frames) < skill, labels, rng.integers(0, 8, frames)).astype(np.int8)
        videos.append(ScoredVideo(name, labels, predicted, np.ones(frames, bool)))
    return Option(smoothing, evaluate(videos), None)


def result(name: str, *options: Option) -> Result:
    choice = compare_options([(each.label, each) for each in options], FOLDS, 100) if len(options) > 1 else None
    return Result(
        name=name,
        source=name,
        options=options,
        intervals=score_intervals(options[0].evaluation, 100),
        origin=Origin(12, (), (), (), 1),
        choice=choice,
    )


def test_intervals_of_an_evaluation() -> None:
    evaluation = option(0.5).evaluation
    found = score_intervals(evaluation, 300)
    assert found.macro_f1 == f1_intervals(evaluation.confusions, NAMES, 300).macro
    assert found.macro_f1_with_face == found.macro_f1  # every frame has a face
    assert len(found.per_class) == 8
    for score, known in zip(evaluation.all_frames.per_class, found.per_class, strict=True):
        assert known.low < score.f1 < known.high


def test_options_are_compared_with_the_first_and_the_best_is_chosen() -> None:
    options = [option(skill, seed) for seed, skill in enumerate((0.3, 0.7, 0.5))]
    found = compare_options([("a", options[0]), ("b", options[1]), ("c", options[2])], FOLDS, 200)
    matrices = [each.evaluation.confusions for each in options]
    assert found.labels[found.best] == "b"
    assert found.scores == pytest.approx([float(macro_f1_of(each.sum(axis=0))) for each in matrices])
    assert found.differences[0] is None
    assert found.differences[2] == paired_difference(matrices[0], matrices[2], NAMES, 200)
    assert found.selection is not None and found.selection.chosen == (1, 1, 1, 1)
    assert found.selection.nested_f1 == pytest.approx(found.optimistic_score)
    assert found.nested_interval == found.intervals[1]


def test_results_on_different_videos_are_compared_on_those_they_share() -> None:
    one, other = result("one", option(0.4, 0)), result("other", option(0.6, 1, [*NAMES[::-1][:9], "v40"]))
    found = compare([one, other], FOLDS, 100)
    assert found.rows is not None and found.rows is found.overall
    assert found.rows.num_videos == 9
    (note,) = found.notes
    assert "compared on the 9 videos that all predictions have (scored in all: one 12, other 10)" in note
    shared = option(0.4, 0).evaluation.confusions[3:]
    assert found.rows.scores[0] == pytest.approx(float(macro_f1_of(shared.sum(axis=0))))


def test_videos_of_different_length_are_reported() -> None:
    found = compare([result("one", option(0.4)), result("other", option(0.4, frames=79))], FOLDS, 100)
    assert any("differ in length" in note for note in found.notes)


def test_no_video_in_common() -> None:
    found = compare([result("one", option(0.4, 0, NAMES[:5])), result("other", option(0.4, 0, NAMES[5:]))], FOLDS, 100)
    assert found.rows is None and found.overall is None
    assert "no video in common" in found.notes[0]


def test_the_best_of_all_repeats_the_choice_of_each_result() -> None:
    one = result("one", option(0.4, 0), option(0.5, 1, smoothing="box:5"))
    other = result("other", option(0.8, 2), option(0.3, 3, smoothing="box:5"))
    found = compare([one, other], FOLDS, 100)
    assert found.rows is not None and found.overall is not None
    assert found.rows.labels == ("one", "other")
    assert found.overall.labels == ("one, none", "one, box:5", "other, none", "other, box:5")
    assert found.overall.labels[found.overall.best] == "other, none"


def test_a_fitted_bias_counts_as_fitted_without_the_fold() -> None:
    plain, poor, perfect = option(0.5, 0), option(0.1, 1), option(1.0, 2)
    inside = np.array([FOLDS[name] for name in NAMES])
    by_fold = np.stack(
        [
            np.where((inside == fold)[:, None, None], poor.evaluation.confusions, perfect.evaluation.confusions)
            for fold in range(4)
        ]
    )
    fitted = Option("none", perfect.evaluation, None, np.zeros(8), by_fold)
    found = compare_options([("none", plain), (fitted.label, fitted)], FOLDS, 100)
    assert found.labels[found.best] == "none + class bias" and found.optimistic_score == 1.0
    assert found.selection is not None
    assert found.selection.nested_f1 == pytest.approx(float(macro_f1_of(poor.evaluation.confusions.sum(axis=0))))


def test_with_all_videos_in_one_fold_there_is_no_nested_selection() -> None:
    found = compare_options([("a", option(0.3)), ("b", option(0.5, 1))], dict.fromkeys(NAMES, 0), 100)
    assert found.selection is None and found.nested_interval is None
