"""Training windows: where they are drawn and how they are padded."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from abaw.core.errors import DataError
from abaw.data.window_batches import WindowSampler
from tests.data.clip_data import D, clip, clip_set


def test_windows_are_cut_padded_and_labelled() -> None:
    clips = clip_set(clip("long", list(range(8)) * 3), clip("short", [1, -1, 2]))
    batch = WindowSampler(clips, length=10, batch_size=64, by="frame")(np.random.default_rng(0))
    assert batch.features.shape == (64, 10, D) and batch.features.dtype.itemsize == 2
    for row, name in enumerate(batch.ids):
        video, first = name.split(":")
        source = clips.clips[0 if video == "long" else 1]
        part = slice(int(first) - 1, int(first) + 9)
        size = len(source.labels[part])
        np.testing.assert_array_equal(batch.features[row, :size], source.features[part])
        assert batch.labels[row].tolist() == source.labels[part].tolist() + [-1] * (10 - size)
        assert batch.inside[row].tolist() == [True] * size + [False] * (10 - size)
        assert batch.present[row, :, 0].tolist() == batch.inside[row].tolist()
        assert size == min(10, len(source)), "a window never sticks out of a video that is long enough"
    assert {name.split(":")[0] for name in batch.ids} == {"long", "short"}


def test_every_window_has_a_label_and_the_tail_is_drawn_too() -> None:
    clips = clip_set(clip("v", [-1] * 200 + [3] + [-1] * 40 + [4]))
    generator = np.random.default_rng(0)
    sampler = WindowSampler(clips, length=5, batch_size=32, by="frame")
    batch = sampler(generator)
    assert (batch.labels >= 0).any(dim=1).all()
    assert "v:238" in batch.ids, "the last frame is seen"


def test_drawing_by_class_draws_rare_classes_as_often() -> None:
    clips = clip_set(*(clip(f"v{index}", [0] * 95 + [5] * 5) for index in range(4)))
    shares = {}
    for by in ("frame", "class"):
        batch = WindowSampler(clips, length=1, batch_size=400, by=by)(np.random.default_rng(0))  # type: ignore[arg-type]
        shares[by] = float((batch.labels == 5).float().mean())
    assert shares["frame"] == pytest.approx(0.05, abs=0.03)
    assert shares["class"] == pytest.approx(0.5, abs=0.08)


def test_windows_depend_on_the_generator() -> None:
    sampler = WindowSampler(clip_set(clip("v", [0, 1] * 50)), length=7, batch_size=16, by="frame")
    first, same, other = (sampler(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.ids == same.ids != other.ids


def test_no_labels_are_an_error() -> None:
    with pytest.raises(DataError, match="no frame of the training videos is labelled"):
        WindowSampler(clip_set(clip("v", [-1, -1])), length=2, batch_size=1, by="frame")


@pytest.mark.parametrize("by", ["frame", "class"])
def test_videos_without_an_expression_are_drawn_for_their_other_labels(by: Literal["frame", "class"]) -> None:
    units = np.zeros((100, 12), dtype=np.int8)
    faces = clip("faces", [0] * 290 + [3] * 10)
    other = replace(clip("other", [-1] * 100), action_units=units)
    clips = clip_set(replace(faces, action_units=np.full((300, 12), -1, dtype=np.int8)), other)
    batch = WindowSampler(clips, 1, 2000, by)(np.random.default_rng(0))
    assert np.mean([name.startswith("other") for name in batch.ids]) == pytest.approx(0.25, abs=0.04)


def test_windows_carry_the_labels_of_other_tasks() -> None:
    one = clip("v", [-1, -1, -1, -1])
    va = np.full((4, 2), np.nan, dtype=np.float32)
    va[2] = 0.5
    units = np.full((4, 12), -1, dtype=np.int8)
    sampler = WindowSampler(clip_set(replace(one, valence_arousal=va, action_units=units)), 6, 2, "frame")
    batch = sampler(np.random.default_rng(0))
    assert batch.valence_arousal is not None and batch.action_units is not None
    assert batch.valence_arousal.shape == (2, 6, 2) and batch.action_units.shape == (2, 6, 12)
    assert (batch.valence_arousal[:, 2] == 0.5).all() and batch.valence_arousal[:, 3:].isnan().all()
    assert (batch.action_units == -1).all() and (batch.labels == -1).all()
