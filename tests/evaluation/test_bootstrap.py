"""Intervals tested on a population with a known score, and compared with drawing videos one by one."""

from __future__ import annotations

import numpy as np
import pytest

from abaw.core.errors import DataError
from abaw.evaluation.bootstrap import (
    Interval,
    bootstrap,
    bootstrap_macro_f1,
    draw_weights,
    interval,
    paired_difference,
    video_groups,
)
from abaw.evaluation.metrics import ScoredVideo, macro_f1, macro_f1_of, tally
from tests.evaluation.made import options, population, videos


def names(num: int) -> list[str]:
    return [f"video{number:03d}" for number in range(num)]


def test_intervals_have_about_their_nominal_coverage() -> None:
    rng = np.random.default_rng(0)
    truth = float(macro_f1_of(population(0.5)))
    inside = 0
    for seed in range(200):
        found = interval(bootstrap_macro_f1(videos(rng, 0.5, 60), names(60), draws=400, seed=seed))
        inside += found.low <= truth <= found.high
    assert 178 <= inside <= 198  # 190 expected


def test_intervals_narrow_with_the_level_and_with_more_videos() -> None:
    rng = np.random.default_rng(1)
    few, many = (videos(rng, 0.5, num) for num in (20, 320))
    wide, narrow = (interval(bootstrap_macro_f1(each, names(len(each)))) for each in (few, many))
    assert 2.5 < (wide.high - wide.low) / (narrow.high - narrow.low) < 6.5  # 4 expected
    samples = bootstrap_macro_f1(few, names(20))
    half = interval(samples, 0.5)
    assert wide.low < half.low < half.high < wide.high


def test_frames_of_one_video_are_not_independent() -> None:
    """Drawing single frames gives an interval that is far too narrow."""
    rng = np.random.default_rng(2)
    clustered = interval(bootstrap_macro_f1(videos(rng, 0.5, 60, spread=5), names(60)))
    mixed = interval(bootstrap_macro_f1(videos(rng, 0.5, 60, spread=5000), names(60)))
    assert clustered.high - clustered.low > 4 * (mixed.high - mixed.low)


def test_a_draw_is_the_score_of_the_drawn_videos() -> None:
    rng = np.random.default_rng(3)
    scored = [
        ScoredVideo(
            name, rng.integers(-1, 4, 40).astype(np.int8), rng.integers(0, 4, 40).astype(np.int8), np.ones(40, bool)
        )
        for name in names(5)
    ]
    found = bootstrap_macro_f1(np.stack([tally(video, 4).confusion for video in scored]), names(5), draws=20, seed=7)
    for row, value in zip(draw_weights(5, 20, 7).astype(int), found, strict=True):
        drawn = [video for video, times in zip(scored, row, strict=True) for _ in range(times)]
        assert len(drawn) == 5
        labels, predicted = (
            np.concatenate([getattr(video, key) for video in drawn]) for key in ("labels", "predicted")
        )
        assert value == pytest.approx(macro_f1(labels, predicted, 4))


def test_people_are_grouped_by_video() -> None:
    people = ["v", "v_left", "v_right_1", "v_person1", "v_person2", "v_track3"]
    assert video_groups([*people, "v_1", "v_2", "w_person1"]) == [*["v"] * 6, "v_1", "v_2", "w"]


@pytest.mark.parametrize("people", [("x_left", "x_right_1"), ("x_person1", "x_person2"), ("x_person1", "x")])
def test_both_people_of_a_video_are_drawn_together(people: tuple[str, str]) -> None:
    rng = np.random.default_rng(4)
    pair, alone = videos(rng, 0.5, 2), videos(rng, 0.5, 9)
    groups = video_groups([*people, *names(9)])
    assert groups[0] == groups[1] == "x"
    together = bootstrap_macro_f1(np.concatenate([pair, alone]), groups)
    as_one = bootstrap_macro_f1(np.concatenate([alone, pair.sum(axis=0, keepdims=True)]), [*names(9), "x"])
    assert np.allclose(together, as_one)


def test_draws_depend_on_the_seed_and_not_on_the_order() -> None:
    made = videos(np.random.default_rng(5), 0.5, 12)
    order = np.random.default_rng(6).permutation(12)
    first = bootstrap_macro_f1(made, names(12))
    assert np.allclose(first, bootstrap_macro_f1(made[order], [names(12)[index] for index in order]))
    assert not np.allclose(first, bootstrap_macro_f1(made, names(12), seed=1))


def test_many_numbers_per_video_are_processed_in_batches() -> None:
    statistics = np.random.default_rng(7).random((6, 3000, 10))
    found = bootstrap(statistics, lambda sums: sums.sum(axis=(1, 2)), names(6), draws=300)
    assert np.allclose(found, draw_weights(6, 300, 0) @ statistics.sum(axis=(1, 2)))


def test_a_real_difference_is_found() -> None:
    rng = np.random.default_rng(8)
    labels = videos(rng, 0.5, 60).sum(axis=2)
    a, b = options(rng, [0.4, 0.5], labels)
    found = paired_difference(a, b, names(60))
    assert found.interval.low > 0
    assert found.share_not_better < 0.01
    assert found.observed == pytest.approx(float(macro_f1_of(b.sum(axis=0)) - macro_f1_of(a.sum(axis=0))))
    assert found.mean == pytest.approx(found.observed, abs=0.01)
    back = paired_difference(b, a, names(60))
    assert back.interval.low == pytest.approx(-found.interval.high)


def test_no_difference_is_rarely_mistaken_for_one() -> None:
    rng = np.random.default_rng(9)
    outside = 0
    for seed in range(120):
        labels = videos(rng, 0.5, 50).sum(axis=2)
        a, b = options(rng, [0.45, 0.45], labels)
        found = paired_difference(a, b, names(50), draws=300, seed=seed).interval
        outside += not found.low <= 0 <= found.high
    assert outside <= 15  # 6 expected


def test_pairing_narrows_the_interval() -> None:
    """Videos differ more than models: the interval of the difference is narrower than those of the scores."""
    rng = np.random.default_rng(10)
    a = videos(rng, 0.5, 60, spread=4)
    b = a.copy()
    b[:, 0, 0] += b[:, 0, 1]
    b[:, 0, 1] = 0
    found = paired_difference(a, b, names(60)).interval
    alone = interval(bootstrap_macro_f1(a, names(60)))
    assert found.high - found.low < (alone.high - alone.low) / 2


def test_equal_predictions_do_not_differ() -> None:
    a = videos(np.random.default_rng(11), 0.5, 10)
    found = paired_difference(a, a, names(10))
    assert (found.observed, found.mean, found.interval, found.share_not_better) == (0, 0, Interval(0, 0), 1)


def test_invalid_arguments_are_refused() -> None:
    made = videos(np.random.default_rng(12), 0.5, 3)
    with pytest.raises(DataError, match="no videos to draw from"):
        bootstrap_macro_f1(made[:0], [])
    with pytest.raises(DataError, match="one group for each of the 3 videos, found 2"):
        bootstrap_macro_f1(made, names(2))
    with pytest.raises(DataError, match="the same videos on both sides"):
        paired_difference(made, made[:2], names(3))
