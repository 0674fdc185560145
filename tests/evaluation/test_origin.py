from __future__ import annotations

from typing import Any

import pytest

from abaw.evaluation.origin import Origin, origin_of
from abaw.sequence.smooth import Smoothing


def meta(trained_on: list[str], selected_on: list[str] | None = None) -> dict[str, Any]:
    return {"trained_on": trained_on, "selected_on": selected_on or []}


def test_no_scored_video_was_seen() -> None:
    found = origin_of({"a": meta(["x", "y"]), "b": meta(["x", "y"])})
    assert found.clean and not found.out_of_fold and found.num_trainings == 1
    assert found.warnings() == ()
    assert found.summary() == "no model was trained or chosen on any of the 2 scored videos"


def test_out_of_fold() -> None:
    found = origin_of({"a": meta(["b", "x"]), "b": meta(["a", "x"])})
    assert found.out_of_fold and found.warnings() == ()
    assert found.summary().startswith("out-of-fold: each of the 2 videos")
    chosen = origin_of({"a": meta(["b"], ["a"]), "b": meta(["a"])})
    assert chosen.out_of_fold
    assert "but their steps were chosen on scored videos" in chosen.summary()


@pytest.mark.parametrize(
    ("scored", "trained"),
    [
        ("a", "a"),
        ("a_left", "a_left"),
        ("a_left", "a_right_1"),
        ("a_person1", "a_person2"),
        ("a_person1", "a"),
        ("a_person1", "a_left"),
        ("a", "a_track7"),
    ],
)
def test_a_video_or_the_other_person_in_it_was_trained_on(scored: str, trained: str) -> None:
    found = origin_of({scored: meta([trained]), "b": meta([trained])})
    assert len(found.trained_on) == 1 and not found.out_of_fold and not found.clean
    (warning,) = found.warnings()
    assert warning.startswith("TRAINED ON SCORED VIDEOS: 1 of 2 scored videos (a")
    assert found.summary() == warning


def test_the_step_was_chosen_on_scored_videos() -> None:
    found = origin_of({name: meta(["x"], ["a", "b"]) for name in ("a", "b", "c")})
    assert found.selected_on == ("a", "b")
    assert found.warnings()[0].startswith("CHOSEN ON SCORED VIDEOS: the checkpoint is the best step on 2 of 3")


def test_the_smoothing_was_chosen_on_scored_videos() -> None:
    metas = {name: meta(["x"]) for name in ("a_left", "a_right", "b")}
    found = origin_of(metas, [Smoothing(), Smoothing("box", 3, chosen_on=("a_left", "y"))])
    assert found.smoothing_chosen_on == ("a_left", "a_right") and found.leaked and not found.clean
    (warning,) = found.warnings()
    assert warning.startswith(
        "SMOOTHING CHOSEN ON SCORED VIDEOS: by its file, a smoothing was chosen on 2 of 3 scored videos (a_left, "
        "a_right)"
    )
    assert found.summary() == warning
    elsewhere = origin_of(metas, [Smoothing("box", 3, chosen_on=("y",))])
    assert elsewhere.clean and not elsewhere.warnings()
    folds = origin_of({"a": meta(["b"]), "b": meta(["a"])}, [Smoothing(chosen_on=("a",))])
    assert folds.out_of_fold and folds.summary().endswith("but their smoothings were chosen on scored videos")


def test_where_a_smoothing_was_chosen_may_be_unknown() -> None:
    found = origin_of({"a": meta(["x"])}, [Smoothing("box", 3, chosen_on=None), Smoothing()])
    assert found.smoothings_unknown == ("box:3",) and not found.leaked and not found.clean
    assert found.warnings() == (
        "the file of smoothing 'box:3' does not say on which videos it was chosen; it is unknown whether the figures "
        "are too high",
    )


def test_older_predictions_are_of_unknown_origin() -> None:
    found = origin_of({"a": {}, "b": meta(["x"]), "c": meta(["y"])})
    assert found.unknown == ("a",) and not found.out_of_fold and not found.clean
    assert "do not say which videos" in found.warnings()[0]


def test_long_lists_of_names_are_shortened() -> None:
    names = tuple(f"v{number}" for number in range(9))
    assert "(v0, v1, v2, v3, v4 and 4 more)" in Origin(9, names, (), (), 1).warnings()[0]
