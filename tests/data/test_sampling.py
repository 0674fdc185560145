from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from abaw.core.errors import ConfigError, DataError
from abaw.data.sampling import ClassSampler, hold_out

COUNTS = np.array([400, 100, 25, 9, 1])
LABELS = np.repeat([0, 1, 3, 5, 7], COUNTS)
PRESENT = [0, 1, 3, 5, 7]


@pytest.mark.parametrize(
    ("balance", "weights"),
    [("uniform", np.ones(5)), ("sqrt", np.sqrt(COUNTS)), ("natural", COUNTS)],
)
def test_the_balance_decides_how_often_classes_are_drawn(balance: str, weights: np.ndarray) -> None:
    drawn = LABELS[ClassSampler(LABELS, balance).draw(20_000, np.random.default_rng(0))]  # type: ignore[arg-type]
    observed = np.bincount(drawn, minlength=8)[PRESENT]
    assert observed.sum() == 20_000
    assert chisquare(observed, 20_000 * weights / weights.sum()).pvalue > 0.01


def test_samples_of_a_class_are_drawn_equally_often() -> None:
    picks = ClassSampler(LABELS, "uniform").draw(20_000, np.random.default_rng(1))
    second_class = np.bincount(picks[LABELS[picks] == 1] - 400, minlength=100)
    assert chisquare(second_class).pvalue > 0.01


def test_samples_depend_on_the_generator() -> None:
    sampler = ClassSampler(LABELS, "uniform")
    first, again, other = (sampler.draw(50, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(DataError, match="no labelled samples"):
        ClassSampler(np.array([], dtype=np.int64), "uniform")


@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(-1, 6)), min_size=2, max_size=120),
    st.sampled_from([0.1, 0.25, 0.5]),
    st.integers(0, 5),
)
def test_no_group_is_on_both_sides(samples: list[tuple[int, int]], fraction: float, seed: int) -> None:
    labels, groups = np.array(samples).T
    try:
        held = hold_out(labels, groups, fraction, np.random.default_rng(seed))
    except DataError:
        return
    assert held.any() and not held.all()
    assert not set(groups[held & (groups >= 0)]) & set(groups[~held & (groups >= 0)])


@given(st.lists(st.integers(2, 60), min_size=1, max_size=8), st.sampled_from([0.1, 0.2, 0.5]))
def test_each_class_of_stills_is_held_out_in_proportion(counts: list[int], fraction: float) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    held = hold_out(labels, np.full(len(labels), -1), fraction, np.random.default_rng(0))
    for label, count in enumerate(counts):
        assert held[labels == label].sum() == max(1, round(count * fraction))


def test_about_the_requested_share_of_whole_videos_is_held_out() -> None:
    groups = np.repeat(np.arange(20), 30)
    labels = np.tile(np.arange(6), 100)
    held = hold_out(labels, groups, 0.1, np.random.default_rng(0))
    assert len(set(groups[held])) == 2


@pytest.mark.parametrize(
    ("labels", "groups", "message"),
    [
        ([0, 1, 2], [-1, -1, -1], "too few"),
        ([0, 0, 1], [4, 4, 4], "all frames are from one video"),
        ([], [], "too few"),
    ],
)
def test_too_few_samples_to_hold_out_are_refused(labels: list[int], groups: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        hold_out(np.array(labels, dtype=int), np.array(groups, dtype=int), 0.1, np.random.default_rng(0))


@pytest.mark.parametrize("fraction", [0.0, -0.1, 0.6, float("nan")])
def test_a_fraction_outside_its_range_is_refused(fraction: float) -> None:
    with pytest.raises(ConfigError, match="holdout is"):
        hold_out(np.zeros(4, dtype=int), np.full(4, -1), fraction, np.random.default_rng(0))
