"""`abaw audio-features`: one store per subject, as a source of the temporal model next to a face."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from abaw.protocol.annotations import write_annotation
from abaw.protocol.listed_videos import ListedVideo
from abaw.stores.features import feature_batch, open_features, write_features
from abaw.stores.predictions import read_predictions
from pipelines.audio_features import _items
from pipelines.cli import main
from tests.audio.flash import faces_of, write_flash
from tests.pipelines.temporal_data import TINY

TIMES = [0.04 * index for index in range(50)]
SILENT, PAIR = "silent", "pair"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos of one person, one of two people, and one without sound. No test may change it."""
    root = tmp_path_factory.mktemp("audio")
    for index, name in enumerate(("one", "two", PAIR, SILENT)):
        video = write_flash(
            root / "videos" / f"{name}.mp4", TIMES, 10 + 5 * index, codec=None if name == SILENT else "aac"
        )
        faces_of(video, root / "faces", [f"{name}_left", f"{name}_right"] if name == PAIR else [name])
    return root


@pytest.fixture(scope="module")
def sound(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "sound"
    assert main(_words(root, out)) == 0
    return out


def _words(root: Path, out: Path, *more: str) -> list[str]:
    return ["audio-features", str(root / "videos"), "--faces", str(root / "faces"), "--out", str(out), *more]


def test_each_store_has_the_rows_of_its_faces_and_the_sound_of_its_video(root: Path, sound: Path) -> None:
    stores = {path.stem: open_features(path) for path in sorted(sound.glob("*.arrow"))}
    assert set(stores) == {"one", "two", "pair_left", "pair_right", SILENT}
    assert all(len(store) == 50 and store.source.modality == "sound" for store in stores.values())
    assert len({(store.source.backbone, store.source.dim) for store in stores.values()}) == 1
    assert stores["one"].source.backbone.startswith("logmel-")
    assert np.array_equal(stores["pair_left"].features(), stores["pair_right"].features())
    assert not np.array_equal(stores["one"].features(), stores["two"].features())
    assert stores["one"].valid.all()


def test_a_video_without_sound_has_rows_that_are_not_valid_and_the_reason(sound: Path) -> None:
    store = open_features(sound / f"{SILENT}.arrow")
    assert len(store) == 50 and not store.valid.any()
    assert store.meta["no_sound"] == "it has no sound track"
    assert "no_sound" not in open_features(sound / "one.arrow").meta


def test_each_video_has_a_line(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(_words(root, tmp_path)) == 0
    lines = capsys.readouterr().err.splitlines()
    assert "silent.mp4: 50 frames, none with sound: it has no sound track" in lines
    assert "one.mp4: 50 frames, 50 with sound" in lines


def test_stores_are_matched_by_the_names_of_videos_and_people() -> None:
    names = ("a", "a_left", "a_right_1", "b_person2", "b_track12", "c_left", "d")
    videos = [ListedVideo(Path(name)) for name in ("a.mp4", "b.mp4", "c_left.mp4")]
    items = _items([*videos, ListedVideo(Path("x/clip.mp4"), "d")], [Path(f"{name}.arrow") for name in names])
    assert {item.video.name: [path.stem for path in item.faces] for item in items} == {
        "a.mp4": ["a", "a_left", "a_right_1"],
        "b.mp4": ["b_person2", "b_track12"],
        "c_left.mp4": ["c_left"],
        "clip.mp4": ["d"],
    }


def test_existing_stores_are_kept_and_missing_ones_made(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(_words(root, tmp_path)) == 0
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.arrow")}
    lost = tmp_path / "pair_right.arrow"
    content = open_features(lost).features()
    lost.unlink()
    capsys.readouterr()
    assert main(_words(root, tmp_path)) == 0
    assert "one.mp4: already exists" in capsys.readouterr().err
    after = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.arrow")}
    assert [path.name for path in before if before[path] != after[path]] == [lost.name]
    assert np.array_equal(open_features(lost).features(), content)


@pytest.mark.slow
def test_workers_change_nothing(root: Path, sound: Path, tmp_path: Path) -> None:
    assert main(_words(root, tmp_path, "--workers", "2")) == 0
    for path in sound.glob("*.arrow"):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_other_settings_in_the_same_folder_are_refused(
    root: Path, sound: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(_words(root, sound, "--track", "1")) == 1
    assert "was made from another input or with other settings" in capsys.readouterr().err


def test_faulty_videos_do_not_stop_the_others(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    faces_of(root / "videos" / "one.mp4", tmp_path / "faces", ["text", "nobody"])
    words = [
        "audio-features",
        str(root / "videos" / "two.mp4"),
        str(tmp_path / "text.mp4"),
        str(root / "videos/one.mp4"),
    ]
    words += ["--faces", str(tmp_path / "faces"), str(root / "faces" / "one.arrow"), "--out", str(tmp_path / "out")]
    assert main(words) == 1
    lines = capsys.readouterr().err
    assert "no faces store is named two; give --faces made from this video" in lines
    assert "text.mp4: is not a video that FFmpeg can open" in lines
    assert "1 faces stores are of none of these videos and are left out: nobody" in lines
    assert [path.stem for path in (tmp_path / "out").glob("*.arrow")] == ["one"]


def test_imported_crops_take_the_times_of_the_video(root: Path, tmp_path: Path) -> None:
    video = root / "videos" / "one.mp4"
    faces_of(video, tmp_path / "crops", with_times=False)
    for name, faces in (("timed", root / "faces" / "one.arrow"), ("untimed", tmp_path / "crops" / "one.arrow")):
        words = ["audio-features", str(video), "--faces", str(faces), "--out", str(tmp_path / name)]
        assert main(words) == 0
    timed, untimed = (open_features(tmp_path / name / "one.arrow").features() for name in ("timed", "untimed"))
    assert np.array_equal(timed, untimed)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model", "logmels"], "Did you mean 'logmel'?"),
        (["--model", "logmel:64"], "expected logmel"),
        (["--model", "hf"], "expected hf:NAME_OR_FOLDER"),
        (["--model", "opensmile:eGeMAPSv2"], "Did you mean 'eGeMAPSv02'?"),
        (["--layer", "3"], "only models hf:NAME_OR_FOLDER have layers"),
        (["--track", "0"], "numbered from 1"),
        (["--workers", "0"], "expected at least 1"),
    ],
)
def test_wrong_usage_is_refused_in_one_line(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    try:
        status = main(_words(root, tmp_path / "out", *flags))
    except SystemExit as end:
        status = int(str(end.code))
    assert status == 2
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_video_without_sound_is_trained_on_and_predicted(root: Path, sound: Path, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1], 25)
    for name in ("one", "two", "pair_left", "pair_right", SILENT):
        write_annotation(tmp_path / "labels" / "Train_Set" / f"{name}.txt", labels)
        values = (labels[:, None] + 0.1 * generator.normal(size=(50, 6))).astype(np.float16)
        valid = np.ones(50, bool)
        valid[20:30] = False
        meta: dict[str, Any] = {"backbone": "f" * 16, "fps": 25.0}
        batch = feature_batch(np.arange(1, 51, dtype=np.int32), valid, values)
        write_features(tmp_path / "face" / f"{name}.arrow", 6, [batch], meta)
    features = ["--features", str(tmp_path / "face"), str(sound)]
    words = [
        "train-temporal",
        *features,
        "--annotations",
        str(tmp_path / "labels"),
        "--out",
        str(tmp_path / "run"),
        *TINY,
    ]
    assert main([*words, "--window", "20", "--hop", "10", "--holdout", "0", "--train.steps", "4"]) == 0
    out = tmp_path / "predictions"
    assert main(["predict", *features, "--checkpoint", str(tmp_path / "run" / "last"), "--out", str(out)]) == 0
    for name in ("one", SILENT):
        predictions = read_predictions(out / f"{name}.arrow")
        assert predictions.predicted.all() and predictions.valid.sum() == 40
