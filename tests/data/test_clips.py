"""Videos in memory: statistics, splits by video, fingerprints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from abaw.core.errors import ConfigError, DataError
from abaw.data.clips import Clip, ClipSet, split_by_video
from abaw.stores.sources import Source
from tests.data.clip_data import D, clip, clip_set


def test_statistics_ignore_frames_without_a_face() -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(3, 2, (500, D)).astype(np.float16)
    present = generator.random(500) < 0.7
    clips = [
        Clip(f"v{index}", features[part], present[part, None], present[part], np.zeros(250, dtype=np.int8))
        for index, part in enumerate((slice(0, 250), slice(250, 500)))
    ]
    mean, std = clip_set(*clips).statistics()
    seen = features[present].astype(np.float64)
    np.testing.assert_allclose(mean, seen.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(std, seen.std(axis=0), rtol=1e-4)
    nowhere = np.zeros(500, dtype=bool)
    blind = Clip("v", features, nowhere[:, None], nowhere, np.zeros(500, dtype=np.int8))
    with pytest.raises(DataError, match="shows a face"):
        clip_set(blind).statistics()


SOURCES = (Source("faces", "a", 3), Source("sound", "b", 2, "sound"), Source("logits", "c", 4))


def _several_sources() -> ClipSet:
    generator = np.random.default_rng(0)
    features = generator.normal(3, 2, (400, 9)).astype(np.float16)
    present = generator.random((400, 3)) < 0.7
    clips = [
        Clip(f"v{index}", features[part], present[part], present[part, 0], np.zeros(200, dtype=np.int8))
        for index, part in enumerate((slice(0, 200), slice(200, 400)))
    ]
    return ClipSet(tuple(clips), SOURCES, (("x", "y"), (), ("z",)))


def test_statistics_of_a_source_are_over_the_frames_that_have_it() -> None:
    clips = _several_sources()
    mean, std = clips.statistics()
    features = np.concatenate([clip.features for clip in clips.clips]).astype(np.float64)
    present = np.concatenate([clip.present for clip in clips.clips])
    for index, columns in enumerate((slice(0, 3), slice(3, 5), slice(5, 9))):
        seen = features[present[:, index], columns]
        np.testing.assert_allclose(mean[columns], seen.mean(axis=0), rtol=1e-4)
        np.testing.assert_allclose(std[columns], seen.std(axis=0), rtol=1e-4)
    silent = clips.subset([replace(clip, present=clip.present & [True, False, True]) for clip in clips.clips])
    mean, std = silent.statistics()
    assert not mean[3:5].any() and not std[3:5].any() and bool(std[:3].all())


@pytest.mark.parametrize(
    ("choice", "indices", "columns"),
    [("1", [1], [3, 4]), ("sound+logits", [1, 2], [3, 4, 5, 6, 7, 8]), ("2+0", [0, 2], [0, 1, 2, 5, 6, 7, 8])],
)
def test_sources_are_chosen_and_faces_stay(choice: str, indices: list[int], columns: list[int]) -> None:
    clips = _several_sources()
    chosen = clips.using(choice)
    assert chosen.sources == tuple(SOURCES[index] for index in indices) and chosen.feature_dim == len(columns)
    assert chosen.backbone_videos == tuple(sorted(name for index in indices for name in clips.trained_on[index]))
    for one, whole in zip(chosen.clips, clips.clips, strict=True):
        assert np.array_equal(one.features, whole.features[:, columns])
        assert np.array_equal(one.present, whole.present[:, indices]) and np.array_equal(one.face, whole.face)
        adjoin = columns == list(range(columns[0], columns[-1] + 1))
        assert np.shares_memory(one.features, whole.features) == adjoin
    assert clips.using(None) is clips and clips.using("0+1+2") is clips
    with pytest.raises(ConfigError, match="'speech' is not among"):
        clips.using("speech")


@pytest.mark.parametrize("ends", [("_left", "_right"), ("_person1", "_person2")])
def test_people_of_one_video_stay_together_and_every_class_is_on_both_sides(ends: tuple[str, str]) -> None:
    clips = [clip(f"v{index}{end}", [index % 2] * 10) for index in range(8) for end in ends]
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
