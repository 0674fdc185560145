"""Reading feature stores with the labels of their videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from abaw.core.errors import DataError
from abaw.data.read_clips import read_clips
from abaw.stores.arrow import StoreError
from abaw.stores.features import feature_batch, write_features
from abaw.stores.sources import Source
from tests.data.clip_data import D, clip_set, labels_of, write_store_of


def test_features_and_labels_are_matched_by_name(tmp_path: Path) -> None:
    paths = [write_store_of(tmp_path, "v1", 3, missing=(1,)), write_store_of(tmp_path, "v2_left", 2)]
    labels = {"v2_left": labels_of("v2_left", [7, -1]), "v1": labels_of("v1", [0, 1, 2])}
    clips, warnings = read_clips([paths], labels)
    assert warnings == []
    assert [clip.name for clip in clips.clips] == ["v1", "v2_left"]
    assert clips.clips[0].features[:][:, 0].tolist() == [1, 0, 3]
    assert clips.clips[0].present[:, 0].tolist() == [True, False, True]
    assert clips.clips[0].face.tolist() == [True, False, True]
    assert clips.clips[1].labels.tolist() == [7, -1]
    assert clips.class_counts().tolist() == [1, 1, 1, 0, 0, 0, 0, 1]


def test_neither_tail_is_dropped_and_both_are_reported(tmp_path: Path) -> None:
    paths = [write_store_of(tmp_path, "long", 2), write_store_of(tmp_path, "short", 4)]
    labels = {"long": labels_of("long", [1, 2, 3]), "short": labels_of("short", [5])}
    clips, warnings = read_clips([paths], labels)
    long, short = clips.clips
    assert long.labels.tolist() == [1, 2, 3] and long.present[:, 0].tolist() == long.face.tolist() == [
        True,
        True,
        False,
    ]
    assert short.labels.tolist() == [5, -1, -1, -1] and short.present.all()
    assert len(warnings) == 1 and "long +1" in warnings[0] and "short -3" in warnings[0]


def test_unmatched_stores_and_annotations_are_listed(tmp_path: Path) -> None:
    paths = [write_store_of(tmp_path, name, 2) for name in ("both", "only store")]
    labels = {name: labels_of(name, [0, 0]) for name in ("both", "only_labels")}
    clips, warnings = read_clips([paths], labels)
    assert [clip.name for clip in clips.clips] == ["both"]
    assert any("no feature store: only_labels" in text for text in warnings)
    assert any("have no annotations" in text and "only store" in text for text in warnings)


def test_stores_of_another_split_are_left_out_without_a_warning(tmp_path: Path) -> None:
    paths = [write_store_of(tmp_path, name, 2) for name in ("mine", "other_split", "stranger")]
    clips, warnings = read_clips([paths], {"mine": labels_of("mine", [0, 0])}, elsewhere={"other_split"})
    assert [clip.name for clip in clips.clips] == ["mine"]
    assert warnings == ["1 feature stores have no annotations and are not used: stranger"]


def test_no_match_is_an_error_that_names_both_sides(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no annotation matches.*of b and stores of a;"):
        read_clips([[write_store_of(tmp_path, "a", 2)]], {"b": labels_of("b", [0])})


@pytest.mark.parametrize("other", [{"backbone": "c" * 16}, {"dim": D + 1}])
def test_stores_of_two_backbones_are_refused(tmp_path: Path, other: dict[str, object]) -> None:
    paths = [write_store_of(tmp_path, "v1", 2), write_store_of(tmp_path, "v2", 2, **other)]  # type: ignore[arg-type]
    labels = {name: labels_of(name, [0, 0]) for name in ("v1", "v2")}
    with pytest.raises(StoreError, match=r"v2\.arrow: made by backbone .* but v1\.arrow"):
        read_clips([paths], labels)


def test_a_damaged_store_is_named(tmp_path: Path) -> None:
    path = write_store_of(tmp_path, "v1", 50)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(StoreError, match=r"v1\.arrow: not a readable store"):
        read_clips([[path]], {"v1": labels_of("v1", [0])})


def test_a_store_with_a_missing_frame_is_refused(tmp_path: Path) -> None:
    batch = feature_batch(np.array([1, 3], dtype=np.int32), np.ones(2, dtype=bool), np.ones((2, D), dtype=np.float16))
    write_features(tmp_path / "v1.arrow", D, [batch], {"backbone": "a"})
    with pytest.raises(StoreError, match="one row for each of the frames"):
        read_clips([[tmp_path / "v1.arrow"]], {"v1": labels_of("v1", [0, 0])})


def test_each_source_has_its_own_mask(tmp_path: Path) -> None:
    first = [write_store_of(tmp_path / "a", name, 3, missing=(1,)) for name in ("v1", "v2", "only_a")]
    second = [write_store_of(tmp_path / "b", name, 3, missing=(2,), backbone="b" * 16, dim=2) for name in ("v2", "v1")]
    labels = {name: labels_of(name, [0, 1, 2]) for name in ("v1", "v2", "only_a")}
    clips, warnings = read_clips([first, second], labels)
    assert [each.name for each in clips.clips] == ["v1", "v2"]
    assert clips.backbone == "a" * 16 + "+" + "b" * 16 and clips.feature_dim == D + 2
    assert clips.sources == (Source("a", "a" * 16, D), Source("b", "b" * 16, 2))
    assert clips.backbone_videos == ("seen by a", "seen by b")
    one = clips.clips[0]
    assert one.present.tolist() == [[True, True], [False, True], [True, False]]
    assert one.features[:].tolist() == [[1] * (D + 2), [0] * D + [2] * 2, [3] * D + [0] * 2]
    assert one.face.all(), "there is a face where any detector found one"
    assert any("lack features of some sources" in text and "only_a" in text for text in warnings)


def test_sound_is_no_face_and_a_video_may_lack_it(tmp_path: Path) -> None:
    faces = [write_store_of(tmp_path / "faces", name, 3, missing=(1,)) for name in ("heard", "silent")]
    sound = {"backbone": "s" * 16, "dim": 2, "modality": "sound"}
    sounds = [write_store_of(tmp_path / "sound", name, 3, missing=(0,), **sound) for name in ("heard", "radio")]  # type: ignore[arg-type]
    labels = {name: labels_of(name, [0, 1, 2, 3]) for name in ("heard", "silent", "radio")}
    clips, warnings = read_clips([faces, sounds], labels)
    assert clips.sources[1] == Source("sound", "s" * 16, 2, "sound")
    heard, silent = clips.clips
    assert heard.present[:, 1].tolist() == [False, True, True, False]
    assert silent.name == "silent" and not silent.present[:, 1].any() and not silent.features[:][:, D:].any()
    for each in (heard, silent):
        assert each.face.tolist() == [True, False, True, False]
    assert any("no features in sound and do without: silent" in text for text in warnings)
    assert any("are not used: radio" in text for text in warnings)
    alone, _ = read_clips([sounds], labels)
    assert [each.name for each in alone.clips] == ["heard", "radio"] and not alone.clips[0].face.any()


def test_stores_of_one_source_describe_the_same(tmp_path: Path) -> None:
    paths = [write_store_of(tmp_path, "v1", 2), write_store_of(tmp_path, "v2", 2, modality="sound")]
    labels = {name: labels_of(name, [0, 0]) for name in ("v1", "v2")}
    with pytest.raises(StoreError, match=r"v2\.arrow: made by .*, sound\), but v1\.arrow by .*, face\)"):
        read_clips([paths], labels)


def test_sources_of_different_lengths_are_refused(tmp_path: Path) -> None:
    sources = [[write_store_of(tmp_path / folder, "v", size)] for folder, size in (("a", 3), ("b", 4))]
    with pytest.raises(StoreError, match=r"v\.arrow: 4 frames, but .*v\.arrow has 3"):
        read_clips(sources, {"v": labels_of("v", [0, 0, 0])})


def test_labels_of_other_tasks_are_kept_on_request(tmp_path: Path) -> None:
    sources = [[write_store_of(tmp_path, "v", 3)]]
    alone = read_clips(sources, {"v": labels_of("v", [0, -1])})[0].clips[0]
    assert alone.valence_arousal is None and alone.action_units is None
    assert alone.labelled().tolist() == [True, False, False]
    clips, _ = read_clips(sources, {"v": labels_of("v", [0, -1])}, ("expression", "valence_arousal", "action_units"))
    both = clips.clips[0]
    assert both.valence_arousal is not None and both.action_units is not None
    np.testing.assert_allclose(both.valence_arousal[:, 0], [0.01, 0.02, np.nan])
    assert both.action_units[:, 0].tolist() == [1, 1, -1]
    assert both.labelled().tolist() == [True, True, False]
    assert clips.action_unit_counts()[0].tolist() == [0, 2] and not clips.action_unit_counts()[1:].any()
    assert clips.fingerprint() != clip_set(alone).fingerprint()
