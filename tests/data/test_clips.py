"""Reading features with their labels, splitting by video, drawing windows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from abaw.core.errors import ConfigError, DataError
from abaw.data.clips import Clip, ClipSet, WindowSampler, read_clips, split_by_video
from abaw.protocol.annotations import Annotation
from abaw.stores.arrow import StoreError
from abaw.stores.features import feature_batch, write_features

D = 4


def _store(
    folder: Path, name: str, num_frames: int, *, missing: tuple[int, ...] = (), backbone: str = "a" * 16, dim: int = D
) -> Path:
    valid = np.ones(num_frames, dtype=bool)
    valid[list(missing)] = False
    features = np.repeat(np.arange(1, num_frames + 1, dtype=np.float16)[:, None], dim, axis=1)
    path = folder / f"{name}.arrow"
    frames = np.arange(1, num_frames + 1, dtype=np.int32)
    write_features(path, dim, [feature_batch(frames, valid, features)], {"backbone": backbone})
    return path


def _annotation(name: str, labels: list[int]) -> Annotation:
    return Annotation(name, np.array(labels, dtype=np.int8))


def _clip(name: str, labels: list[int]) -> Clip:
    features = np.arange(len(labels) * D).reshape(-1, D).astype(np.float16)
    return Clip(name, features, np.ones(len(labels), dtype=bool), np.array(labels, dtype=np.int8))


def _set(*clips: Clip) -> ClipSet:
    return ClipSet(clips, "a" * 16, D)


def test_features_meet_labels_by_name(tmp_path: Path) -> None:
    paths = [_store(tmp_path, "v1", 3, missing=(1,)), _store(tmp_path, "v2_left", 2)]
    labels = {"v2_left": _annotation("v2_left", [7, -1]), "v1": _annotation("v1", [0, 1, 2])}
    clips, warnings = read_clips(paths, labels)
    assert warnings == []
    assert [clip.name for clip in clips.clips] == ["v1", "v2_left"]
    assert clips.clips[0].features[:, 0].tolist() == [1, 0, 3]
    assert clips.clips[0].present.tolist() == [True, False, True]
    assert clips.clips[1].labels.tolist() == [7, -1]
    assert clips.class_counts().tolist() == [1, 1, 1, 0, 0, 0, 0, 1]


def test_neither_tail_is_dropped_and_both_are_told(tmp_path: Path) -> None:
    paths = [_store(tmp_path, "long", 2), _store(tmp_path, "short", 4)]
    labels = {"long": _annotation("long", [1, 2, 3]), "short": _annotation("short", [5])}
    clips, warnings = read_clips(paths, labels)
    long, short = clips.clips
    assert long.labels.tolist() == [1, 2, 3] and long.present.tolist() == [True, True, False]
    assert short.labels.tolist() == [5, -1, -1, -1] and short.present.all()
    assert len(warnings) == 1 and "long +1" in warnings[0] and "short -3" in warnings[0]


def test_what_has_no_partner_is_listed(tmp_path: Path) -> None:
    paths = [_store(tmp_path, name, 2) for name in ("both", "only store")]
    labels = {name: _annotation(name, [0, 0]) for name in ("both", "only_labels")}
    clips, warnings = read_clips(paths, labels)
    assert [clip.name for clip in clips.clips] == ["both"]
    assert any("no feature store: only_labels" in text for text in warnings)
    assert any("no annotation here" in text and "only store" in text for text in warnings)


def test_no_match_at_all_is_an_error_that_names_both_sides(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no annotation matches.*of b; the stores are of a;"):
        read_clips([_store(tmp_path, "a", 2)], {"b": _annotation("b", [0])})


@pytest.mark.parametrize("other", [{"backbone": "c" * 16}, {"dim": D + 1}])
def test_stores_of_two_backbones_are_refused(tmp_path: Path, other: dict[str, object]) -> None:
    paths = [_store(tmp_path, "v1", 2), _store(tmp_path, "v2", 2, **other)]  # type: ignore[arg-type]
    labels = {name: _annotation(name, [0, 0]) for name in ("v1", "v2")}
    with pytest.raises(StoreError, match=r"v2\.arrow: made by backbone .* but v1\.arrow"):
        read_clips(paths, labels)


def test_a_damaged_store_is_named(tmp_path: Path) -> None:
    path = _store(tmp_path, "v1", 50)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(StoreError, match=r"v1\.arrow: not a readable store"):
        read_clips([path], {"v1": _annotation("v1", [0])})


def test_a_store_that_lacks_a_frame_is_refused(tmp_path: Path) -> None:
    batch = feature_batch(np.array([1, 3], dtype=np.int32), np.ones(2, dtype=bool), np.ones((2, D), dtype=np.float16))
    write_features(tmp_path / "v1.arrow", D, [batch], {"backbone": "a"})
    with pytest.raises(StoreError, match="a row for each frame, 1 to 2"):
        read_clips([tmp_path / "v1.arrow"], {"v1": _annotation("v1", [0, 0])})


def test_statistics_leave_out_frames_without_a_face() -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(3, 2, (500, D)).astype(np.float16)
    present = generator.random(500) < 0.7
    clips = [
        Clip(f"v{index}", features[part], present[part], np.zeros(250, dtype=np.int8))
        for index, part in enumerate((slice(0, 250), slice(250, 500)))
    ]
    mean, std = _set(*clips).statistics()
    seen = features[present].astype(np.float64)
    np.testing.assert_allclose(mean, seen.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(std, seen.std(axis=0), rtol=1e-4)
    blind = Clip("v", features, np.zeros(500, dtype=bool), np.zeros(500, dtype=np.int8))
    with pytest.raises(DataError, match="shows a face"):
        _set(blind).statistics()


def test_people_of_one_video_stay_together_and_every_class_is_on_both_sides() -> None:
    clips = [_clip(f"v{index}{side}", [index % 2] * 10) for index in range(8) for side in ("_left", "_right")]
    training, held = split_by_video(_set(*clips), 0.25, np.random.default_rng(0))
    videos = [{clip.name.rpartition("_")[0] for clip in part.clips} for part in (training, held)]
    assert not videos[0] & videos[1] and len(videos[1]) == 2
    assert (held.class_counts()[:2] > 0).all() and (training.class_counts()[:2] > 0).all()
    assert len(training.clips) + len(held.clips) == len(clips)


def test_a_video_without_a_label_is_never_held_out() -> None:
    clips = _set(_clip("a", [0, 1]), _clip("b", [0, 1]), *(_clip(f"n{index}", [-1, -1]) for index in range(6)))
    for seed in range(5):
        _, held = split_by_video(clips, 0.5, np.random.default_rng(seed))
        assert {clip.name for clip in held.clips} <= {"a", "b"}


def test_the_fingerprint_tells_other_labels_and_names() -> None:
    sets = [_set(_clip("a", [0, 1])), _set(_clip("a", [0, 1])), _set(_clip("a", [0, 2])), _set(_clip("b", [0, 1]))]
    first, same, *others = [clips.fingerprint() for clips in sets]
    assert first == same and first not in others


def test_the_split_follows_the_generator() -> None:
    clips = _set(*(_clip(f"v{index}", [0, 1]) for index in range(12)))
    splits = [
        {clip.name for clip in split_by_video(clips, 0.25, np.random.default_rng(seed))[1].clips} for seed in (3, 3, 4)
    ]
    assert splits[0] == splits[1] != splits[2]


@pytest.mark.parametrize(("num_videos", "fraction"), [(1, 0.2), (5, 1.0), (5, -0.1)])
def test_a_split_that_cannot_be_is_refused(num_videos: int, fraction: float) -> None:
    clips = _set(*(_clip(f"v{index}", [0]) for index in range(num_videos)))
    with pytest.raises(ConfigError, match="holdout"):
        split_by_video(clips, fraction, np.random.default_rng(0))


def test_windows_are_cut_padded_and_labelled() -> None:
    clips = _set(_clip("long", list(range(8)) * 3), _clip("short", [1, -1, 2]))
    batch = WindowSampler(clips, length=10, batch_size=64, by="frame")(np.random.default_rng(0))
    assert batch.features.shape == (64, 10, D) and batch.features.dtype.itemsize == 2
    for row, name in enumerate(batch.ids):
        video, first = name.split(":")
        clip = clips.clips[0 if video == "long" else 1]
        part = slice(int(first) - 1, int(first) + 9)
        size = len(clip.labels[part])
        np.testing.assert_array_equal(batch.features[row, :size], clip.features[part])
        assert batch.labels[row].tolist() == clip.labels[part].tolist() + [-1] * (10 - size)
        assert batch.inside[row].tolist() == [True] * size + [False] * (10 - size)
        assert batch.present[row].tolist() == batch.inside[row].tolist()
        assert size == min(10, len(clip)), "a window never sticks out of a video that is long enough"
    assert {name.split(":")[0] for name in batch.ids} == {"long", "short"}


def test_no_window_is_without_a_label_and_the_tail_is_drawn_too() -> None:
    clips = _set(_clip("v", [-1] * 200 + [3] + [-1] * 40 + [4]))
    generator = np.random.default_rng(0)
    sampler = WindowSampler(clips, length=5, batch_size=32, by="frame")
    batch = sampler(generator)
    assert (batch.labels >= 0).any(dim=1).all()
    assert "v:238" in batch.ids, "the last frame is seen"


def test_drawing_by_class_evens_out_rare_classes() -> None:
    clips = _set(*(_clip(f"v{index}", [0] * 95 + [5] * 5) for index in range(4)))
    shares = {}
    for by in ("frame", "class"):
        batch = WindowSampler(clips, length=1, batch_size=400, by=by)(np.random.default_rng(0))  # type: ignore[arg-type]
        shares[by] = float((batch.labels == 5).float().mean())
    assert shares["frame"] == pytest.approx(0.05, abs=0.03)
    assert shares["class"] == pytest.approx(0.5, abs=0.08)


def test_the_same_generator_gives_the_same_windows() -> None:
    sampler = WindowSampler(_set(_clip("v", [0, 1] * 50)), length=7, batch_size=16, by="frame")
    first, same, other = (sampler(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.ids == same.ids != other.ids


def test_nothing_labelled_is_an_error() -> None:
    with pytest.raises(DataError, match="no frame of the training videos is labelled"):
        WindowSampler(_set(_clip("v", [-1, -1])), length=2, batch_size=1, by="frame")
