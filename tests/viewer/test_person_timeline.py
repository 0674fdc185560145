"""What is computed for one person: segments, shares of time, disagreements, the place of the crop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from abaw.core.errors import DataError
from abaw.sequence.smooth import parse_smoothing
from abaw.stores.predictions import Predictions
from abaw.viewer.person_timeline import ends_of, in_order, read_timeline, seconds_by_class, segments, segments_where
from tests.viewer.people import SURE, person

LABELS = [4, 4, 4, None, None, 4, 5, 5, 5, 5]


def test_segments_end_at_gaps_and_at_changes(tmp_path: Path) -> None:
    found = segments(person(tmp_path, LABELS))
    assert [(one.label, one.first, one.last) for one in found] == [(4, 1, 3), (4, 6, 6), (5, 7, 10)]
    assert [(one.start_s, one.end_s) for one in found] == [
        pytest.approx(pair) for pair in ((0.0, 0.12), (0.2, 0.24), (0.24, 0.4))
    ]
    assert found[2].probability == pytest.approx(SURE)


def test_frames_without_a_face_stay_masked_when_smoothing_fills_them(tmp_path: Path) -> None:
    one = person(tmp_path, LABELS, smoothing="gaussian:2")
    gap = [3, 4]
    assert not one.valid[gap].any() and np.isnan(one.probs[gap]).all() and np.isnan(one.box_xyxy[gap]).all()
    assert np.isfinite(one.probs[one.valid]).all()
    np.testing.assert_allclose(one.probs[one.valid].sum(axis=1), 1, atol=1e-5)


def test_durations_follow_the_time_stamps(tmp_path: Path) -> None:
    """A frame lasts until the next time stamp; the last one lasts the median duration."""
    one = person(tmp_path, [4, 5, 5], times_s=[1.0, 3.0, 3.5])
    np.testing.assert_allclose(ends_of(one.times), [3.0, 3.5, 4.75])
    seconds = seconds_by_class(one)
    assert (seconds[4], seconds[5]) == (pytest.approx(2.0), pytest.approx(1.75))


@pytest.mark.parametrize(
    ("stamps_s", "times"),
    [
        ([], []),
        ([3.0], [3.0]),
        ([1.4, 1.44, 1.44, 2.5], [1.4, 1.44, 1.44, 2.5]),
        ([1.4, 1.5, 1.6, 1.4, 1.5, 1.6], [1.4, 1.5, 1.6, 1.7, 1.8, 1.9]),
        ([7.0, 7.1, 0.0, 0.1, 5.0, 0.0, 0.1], [7.0, 7.1, 7.2, 7.3, 12.2, 12.3, 12.4]),
        ([0.0, 1.0, 2.0, 0.5, 1.5, 2.5], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
        ([0.0, 0.1, 0.3, 0.2, 0.4], [0.0, 0.1, 0.3, 0.3, 0.4]),
        ([2.0, 1.0], [2.0, 2.04]),
    ],
    ids=["empty", "single", "in order", "again", "again twice", "again later", "one late frame", "only backwards"],
)
def test_time_goes_on_where_stamps_begin_again(stamps_s: list[float], times: list[float]) -> None:
    np.testing.assert_allclose(in_order(np.array(stamps_s, np.float64)), times, rtol=0, atol=1e-9)


def test_joined_recordings_last_as_long_as_their_frames(tmp_path: Path) -> None:
    """Two recordings of one second, both from 1.4 s: the second follows the first."""
    stamps_s = [1.4 + frame / 25 for frame in range(25)]
    one = person(tmp_path, [0] * 24 + [6] * 3 + [None] * 3 + [0] * 20, times_s=stamps_s * 2)
    assert [(found.label, found.first, found.last) for found in segments(one)] == [(0, 1, 24), (6, 25, 27), (0, 31, 50)]
    assert [(found.start_s, found.end_s) for found in segments(one)] == [
        pytest.approx(pair) for pair in ((1.4, 2.36), (2.36, 2.48), (2.6, 3.4))
    ]
    seconds = seconds_by_class(one)
    assert (seconds[0], seconds[6]) == (pytest.approx(1.76), pytest.approx(0.12))
    assert seconds.sum() == pytest.approx(1.88)


def test_only_annotated_frames_with_a_face_can_be_wrong(tmp_path: Path) -> None:
    one = person(tmp_path, [4, 4, None, 5, 5], annotated=[4, 5, 5, -1, 1])
    assert segments_where(one.wrong) == [(2, 2), (5, 5)]
    assert one.scored == 3
    assert person(tmp_path, [4], name="other").scored == 0


def test_the_crop_is_centred_on_the_box(tmp_path: Path) -> None:
    """The centre of the box maps to the centre of the crop; without landmarks there is no rotation."""
    one = person(tmp_path, [4, None], box=(20, 10, 60, 50))
    a, b, x, y = one.crop[0].tolist()
    assert b == pytest.approx(0, abs=1e-6) and a > 0
    assert (a * 40 - b * 30 + x, b * 40 + a * 30 + y) == (pytest.approx(56, abs=1), pytest.approx(56, abs=8))
    assert np.isnan(one.crop[1]).all()


def test_stores_of_different_lengths_are_refused(tmp_path: Path) -> None:
    one = person(tmp_path, LABELS)
    short = Predictions(
        "clip",
        ("a",),
        np.zeros(2, np.int32),
        np.ones(2, np.bool_),
        np.ones(2, np.bool_),
        np.ones((2, 1), np.float32),
        {},
    )
    with pytest.raises(DataError, match=r"10 frames, but its predictions have 2; remove both stores"):
        read_timeline(one.faces, short, parse_smoothing("none"), None)
