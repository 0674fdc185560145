"""The demo data set on disk: its layout, the difficulties of real data, and that it depends only on the seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from abaw.core.artifacts import file_hash
from abaw.core.errors import ConfigError
from abaw.demo.dataset import DemoPaths, make_demo_dataset, plan_videos
from abaw.demo.size import DemoSize
from abaw.engine.local import LocalEngine
from abaw.protocol.annotations import read_annotations
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.protocol.layout import find_videos, frame_name
from abaw.protocol.template import read_template

TINY = DemoSize(
    train_videos=3,
    validation_videos=1,
    test_videos=3,
    frames_per_video=52,
    segments_per_video=2,
    frame_wh=(112, 112),
    labelled_stills=16,
    unlabelled_stills=3,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DemoPaths]:
    root = tmp_path_factory.mktemp("demo")
    return root, make_demo_dataset(root, TINY, seed=0)


def _hashes(root: Path) -> Mapping[str, str]:
    return {str(file.relative_to(root)): file_hash(file) for file in sorted(root.rglob("*")) if file.is_file()}


def _decoded_frames(path: Path) -> tuple[int, str]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return sum(1 for _ in container.decode(stream)), stream.codec_context.name


def test_videos_are_h264_in_the_folders_of_affwild2(made: tuple[Path, DemoPaths]) -> None:
    videos = find_videos([made[1].videos])
    assert len(videos) == 7
    assert {video.parent.name for video in videos} == {"batch1", "batch2", "new_vids"}
    planned = {plan.name: plan.num_frames for split in plan_videos(TINY, 0) for plan in split}
    for video in videos:
        assert _decoded_frames(video) == (planned[video.stem], "h264")


def test_the_template_has_a_row_for_every_frame_of_every_test_subject(made: tuple[Path, DemoPaths]) -> None:
    template = read_template(made[1].template)
    frames = {video.stem: _decoded_frames(video)[0] for video in find_videos([made[1].videos])}
    subjects = template.videos()
    assert set(subjects) == set(made[1].test_list.read_text().split())
    assert all(rows == frames[name.removesuffix("_left").removesuffix("_right")] for name, rows in subjects.items())
    in_order = [name for plan in plan_videos(TINY, 0)[2] for name in plan.subjects]
    assert list(subjects) == in_order
    assert list(template.locations) == [
        frame_name(name, frame) for name in in_order for frame in range(1, subjects[name] + 1)
    ]


@pytest.mark.parametrize("split", [0, 1, 2])
def test_a_video_with_two_people_has_two_annotations(split: int) -> None:
    pairs = [plan.subjects for plan in plan_videos(DemoSize(), 0)[split] if len(plan.subjects) == 2]
    assert [tuple(name.rpartition("_")[2] for name in pair) for pair in pairs] == [("left", "right")]


def test_label_files_are_a_few_lines_longer_or_shorter_than_the_video() -> None:
    offsets = {plan.label_offset for plan in plan_videos(DemoSize(), 0)[0]}
    assert min(offsets) < 0 < max(offsets)
    assert 0 in offsets


def test_written_labels_follow_the_plan(made: tuple[Path, DemoPaths]) -> None:
    annotations = read_annotations(made[1].train_annotations)
    for plan in plan_videos(TINY, 0)[0]:
        for subject in plan.subjects:
            assert len(annotations[subject].labels) == plan.num_frames + plan.label_offset


def test_some_frames_have_no_label_and_some_no_face(made: tuple[Path, DemoPaths]) -> None:
    plans = plan_videos(DemoSize(), 0)[0]
    assert any(np.diff(plan.unlabelled)[0] > 0 for plan in plans)
    assert any(not plan.has_face().all() for plan in plans)
    labels = np.concatenate([item.labels for item in read_annotations(made[1].train_annotations).values()])
    assert (labels == -1).any()


def test_classes_are_imbalanced_as_in_affwild2() -> None:
    counts = np.zeros(len(EXPRESSION_CLASSES))
    for plan in plan_videos(DemoSize(), 0)[0]:
        for classes in plan.classes:
            counts += np.bincount(classes, minlength=len(EXPRESSION_CLASSES))
    assert (counts > 0).all()
    common = [EXPRESSION_CLASSES.index(name) for name in ("Neutral", "Other", "Happiness")]
    rare = [EXPRESSION_CLASSES.index(name) for name in ("Fear", "Disgust", "Anger")]
    assert counts[common].min() > 2 * counts[rare].max()


def test_labelled_stills_are_in_class_folders(made: tuple[Path, DemoPaths]) -> None:
    folders = {folder.name: len(list(folder.glob("*.jpg"))) for folder in made[1].labelled_stills.iterdir()}
    assert set(folders) == set(EXPRESSION_CLASSES)
    assert sum(folders.values()) == TINY.labelled_stills
    assert len(list(made[1].unlabelled_stills.glob("*.jpg"))) == TINY.unlabelled_stills


def test_the_result_depends_only_on_the_seed(made: tuple[Path, DemoPaths], tmp_path: Path) -> None:
    make_demo_dataset(tmp_path / "again", TINY, seed=0, engine=LocalEngine([None, None], threads=1))
    assert _hashes(tmp_path / "again") == _hashes(made[0])
    make_demo_dataset(tmp_path / "other", replace(TINY, train_videos=1, test_videos=1, labelled_stills=8), seed=1)
    first, other = (find_videos([root / "videos"])[0] for root in (made[0], tmp_path / "other"))
    assert file_hash(first) != file_hash(other)


def test_an_interrupted_data_set_is_completed_and_existing_files_are_kept(tmp_path: Path) -> None:
    paths = make_demo_dataset(tmp_path, replace(TINY, train_videos=1, test_videos=1), seed=0)
    whole = _hashes(tmp_path)
    lost, kept = find_videos([paths.videos])[:2]
    before = kept.stat().st_mtime_ns
    lost.unlink()
    make_demo_dataset(tmp_path, replace(TINY, train_videos=1, test_videos=1), seed=0)
    assert _hashes(tmp_path) == whole
    assert kept.stat().st_mtime_ns == before


def test_another_set_in_the_same_folder_is_refused(made: tuple[Path, DemoPaths]) -> None:
    before = _hashes(made[0])
    with pytest.raises(ConfigError, match="seed: 0 -> 1"):
        make_demo_dataset(made[0], TINY, seed=1)
    with pytest.raises(ConfigError, match="test_videos: 3 -> 4"):
        make_demo_dataset(made[0], replace(TINY, test_videos=4), seed=0)
    assert _hashes(made[0]) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test_videos": 0}, "at least 1"),
        ({"frames_per_video": 30}, "frames_per_video 30"),
        ({"segments_per_video": 9}, "segments_per_video 9"),
        ({"frame_wh": (101, 100)}, "frame_wh"),
    ],
)
def test_invalid_sizes_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(TINY, **changes)  # type: ignore[arg-type]
