"""Videos in memory: statistics, splits by video, fingerprints."""

from __future__ import annotations

import numpy as np
import pytest

from abaw.core.errors import ConfigError, DataError
from abaw.data.clips import Clip, split_by_video
from tests.data.clip_data import D, clip, clip_set


def test_statistics_ignore_frames_without_a_face() -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(3, 2, (500, D)).astype(np.float16)
    present = generator.random(500) < 0.7
    clips = [
        Clip(f"v{index}", features[part], present[part], np.zeros(250, dtype=np.int8))
        for index, part in enumerate((slice(0, 250), slice(250, 500)))
    ]
    mean, std = clip_set(*clips).statistics()
    seen = features[present].astype(np.float64)
    np.testing.assert_allclose(mean, seen.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(std, seen.std(axis=0), rtol=1e-4)
    blind = Clip("v", features, np.zeros(500, dtype=bool), np.zeros(500, dtype=np.int8))
    with pytest.raises(DataError, match="shows a face"):
        clip_set(blind).statistics()


def test_people_of_one_video_stay_together_and_every_class_is_on_both_sides() -> None:
    clips = [clip(f"v{index}{side}", [index % 2] * 10) for index in range(8) for side in ("_left", "_right")]
    training, held = split_by_video(clip_set(*clips), 0.25, np.random.default_rng(0))
    videos = [{clip.name.rpartition("_")[0] for clip in part.clips} for part in (training, held)]
    assert not videos[0] & videos[1] and len(videos[1]) == 2
    assert (held.class_counts()[:2] > 0).all() and (training.class_counts()[:2] > 0).all()
    assert len(training.clips) + len(held.clips) == len(clips)


def test_a_video_without_a_label_is_never_held_out() -> None:
    clips = clip_set(clip("a", [0, 1]), clip("b", [0, 1]), *(clip(f"n{index}", [-1, -1]) for index in range(6)))
    for seed in range(5):
        _, held = split_by_video(clips, 0.5, np.random.default_rng(seed))
        assert {clip.name for clip in held.clips} <= {"a", "b"}


def test_the_fingerprint_depends_on_labels_and_names() -> None:
    sets = [
        clip_set(clip("a", [0, 1])),
        clip_set(clip("a", [0, 1])),
        clip_set(clip("a", [0, 2])),
        clip_set(clip("b", [0, 1])),
    ]
    first, same, *others = [clips.fingerprint() for clips in sets]
    assert first == same and first not in others


def test_the_split_depends_on_the_generator() -> None:
    clips = clip_set(*(clip(f"v{index}", [0, 1]) for index in range(12)))
    splits = [
        {clip.name for clip in split_by_video(clips, 0.25, np.random.default_rng(seed))[1].clips} for seed in (3, 3, 4)
    ]
    assert splits[0] == splits[1] != splits[2]


@pytest.mark.parametrize(("num_videos", "fraction"), [(1, 0.2), (5, 1.0), (5, -0.1)])
def test_impossible_splits_are_refused(num_videos: int, fraction: float) -> None:
    clips = clip_set(*(clip(f"v{index}", [0]) for index in range(num_videos)))
    with pytest.raises(ConfigError, match="holdout"):
        split_by_video(clips, fraction, np.random.default_rng(0))
