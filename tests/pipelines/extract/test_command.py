"""`abaw extract` as it is used: batches with bad videos, kills, subjects, workers, real clips."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from abaw.core.artifacts import is_temporary
from abaw.protocol.annotations import write_annotation
from abaw.stores.arrow import find_stores
from abaw.stores.faces import open_faces
from abaw.video.options import ExtractOptions
from pipelines.cli import main
from pipelines.extract.command import ExtractConfig
from tests.video.clips import cut_off, noise, portraits, write_clip


def extract(*arguments: object) -> int:
    return main(["extract", *map(str, arguments)])


def stores(folder: Path) -> dict[str, bytes]:
    """Every file of the folder, hidden ones too."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two good videos, one with blanks and letters beyond ASCII in its name."""
    folder = tmp_path_factory.mktemp("videos") / "Vidéos à part"
    (folder / "batch 2").mkdir(parents=True)
    write_clip(folder / "plain.mp4", portraits(12, side=128))
    write_clip(folder / "batch 2" / "Überraschung 面 1.mp4", portraits(20, side=128))
    return folder


@pytest.fixture(scope="module")
def unbroken(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("unbroken")
    assert extract(videos, "--out", out, "--detector", "builtin") == 0
    return stores(out)


def test_one_store_a_video_with_a_row_for_every_frame(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert extract(videos, "--out", tmp_path, "--detector", "builtin") == 0
    assert sorted(stores(tmp_path)) == ["plain.arrow", "Überraschung 面 1.arrow"]
    plain, other = open_faces(tmp_path / "plain.arrow"), open_faces(tmp_path / "Überraschung 面 1.arrow")
    assert (len(plain), len(other)) == (12, 20)
    assert plain.valid.mean() > 0.9
    said = capsys.readouterr().err.splitlines()
    assert sum("the builtin detector is small" in line for line in said) == 1
    assert any(line.startswith("plain.mp4: 12 frames, 12 with a face (100.0 %), ") for line in said)
    assert extract(videos, "--out", tmp_path, "--detector", "builtin") == 0
    assert "plain.mp4: already exists" in capsys.readouterr().err


def test_videos_and_subjects_can_be_listed_and_shards_share_the_work(
    videos: Path, tmp_path: Path, unbroken: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    """A table with a row per video and its expected length; a video that is missing fails alone."""
    other = videos / "batch 2" / "Überraschung 面 1.mp4"
    table = tmp_path / "list.csv"
    table.write_text(f"path,subject,frames\n{videos}/plain.mp4,,12\n{other},anna,21\n{videos}/none.mp4,,\n")
    statuses = [
        extract("--out", tmp_path / "faces", "--detector", "builtin", "--videos", table, "--shard", f"{number}/2")
        for number in (1, 2)
    ]
    assert sorted(statuses) == [0, 1] and sorted(stores(tmp_path / "faces")) == ["anna.arrow", "plain.arrow"]
    assert stores(tmp_path / "faces")["plain.arrow"] == unbroken["plain.arrow"]
    assert len(open_faces(tmp_path / "faces" / "anna.arrow")) == 20
    said = capsys.readouterr().err
    assert f"warning: {other.name}: has 20 frames, the list says 21" in said and "plain.mp4: has" not in said
    assert "none.mp4: failed: " in said and "no such file" in said
    assert extract(table, "--out", tmp_path / "tracks", "--subjects", "all") == 2
    assert "the list may have no column 'subject'" in capsys.readouterr().err


def test_very_many_stores_are_in_sub_folders(
    videos: Path,
    tmp_path: Path,
    unbroken: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("abaw.stores.folders.MOST_IN_A_FOLDER", 1)
    words = [videos, "--detector", "builtin", "--crop", "aligned:112", "box:64:0.3", "--out", tmp_path]
    assert extract(*words) == 0
    found = {path.name: path.read_bytes() for path in find_stores([tmp_path / "aligned-112"])}
    assert found == unbroken and not list((tmp_path / "aligned-112").glob("*.arrow"))
    assert len(find_stores([tmp_path / "box-64-0.30"])) == 2
    capsys.readouterr()
    assert extract(*words) == 0
    assert capsys.readouterr().err.count("already exists") == 2


def test_auto_without_a_pack_is_builtin(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unbroken: dict[str, bytes]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert extract(videos, "--out", tmp_path / "faces") == 0
    assert stores(tmp_path / "faces") == unbroken


def test_a_bad_video_does_not_stop_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "videos"
    source.mkdir()
    (source / "a text.mp4").write_text("no video")
    cut_off(write_clip(tmp_path / "whole.mp4", noise(40)), source / "b cut.mp4", 0.6)
    write_clip(source / "c good.mp4", portraits(6, side=128))
    assert extract(source, "--out", tmp_path / "faces", "--detector", "builtin") == 1
    assert sorted(stores(tmp_path / "faces")) == ["b cut.arrow", "c good.arrow"]
    said = capsys.readouterr().err.splitlines()
    assert said[-2] == "2 done, 1 failed:"
    assert said[-1].startswith("  a text.mp4: ")
    assert "is not a video" in said[-1]
    assert any(line.startswith("warning: b cut.mp4: damaged or cut off: ") for line in said)
    assert "warning: b cut.mp4: no face in this video" in said


def test_workers_make_the_same_stores_and_survive_a_bad_video(
    videos: Path, tmp_path: Path, unbroken: dict[str, bytes], capfd: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    out = tmp_path / "faces"
    assert extract(videos, bad, "--out", out, "--detector", "builtin", "--workers", 2) == 1
    assert stores(out) == unbroken
    said = capfd.readouterr().err.splitlines()
    assert said[-2:][0] == "2 done, 1 failed:"
    assert said[-1].startswith(f"  bad.mp4: {bad}: is not a video")


def test_killed_at_any_moment_and_run_again(videos: Path, tmp_path: Path, unbroken: dict[str, bytes]) -> None:
    command = [sys.executable, "-m", "pipelines.cli", "extract", str(videos), "--out", str(tmp_path), "--detector"]
    process = subprocess.Popen([*command, "builtin"], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while "plain.mp4: 12 frames" not in process.stderr.readline():
        assert process.poll() is None, "ended before the first video was done"
    time.sleep(0.05)  # into the second video
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    left = {name: data for name, data in stores(tmp_path).items() if not is_temporary(name)}
    assert left.items() <= unbroken.items() and "plain.arrow" in left
    assert extract(videos, "--out", tmp_path, "--detector", "builtin") == 0
    assert stores(tmp_path) == unbroken


def test_killed_while_a_store_is_written(videos: Path, tmp_path: Path, unbroken: dict[str, bytes]) -> None:
    """A half-written store lies under a temporary name that the next run removes."""
    code = (
        "import os, signal, sys; import abaw.core.artifacts as artifacts; from pipelines.cli import main\n"
        "artifacts._fsync = lambda path: os.kill(os.getpid(), signal.SIGKILL)\n"
        "main(sys.argv[1:])"
    )
    arguments = ["extract", str(videos), "--out", str(tmp_path), "--detector", "builtin", "--workers", "1"]
    ended = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert [name for name in stores(tmp_path) if not name.startswith(".")] == []
    assert main(arguments) == 0
    assert stores(tmp_path) == unbroken


def test_subjects_from_an_annotation_folder(videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    annotations = tmp_path / "Train_Set"
    annotations.mkdir()
    for name in ("plain_left", "plain_right", "gone", "gone too_left"):
        write_annotation(annotations / f"{name}.txt", np.zeros(3, np.int8))
    out = tmp_path / "faces"
    assert extract(videos, "--out", out, "--detector", "builtin", "--subjects", annotations) == 0
    assert sorted(stores(out)) == ["plain_left.arrow", "plain_right.arrow", "Überraschung 面 1.arrow"]
    assert len(open_faces(out / "plain_right.arrow")) == 12
    said = capsys.readouterr().err
    assert f"warning: {annotations}: labels for a video that is not there: gone, gone too_left\n" in said


def test_subjects_all(videos: Path, tmp_path: Path) -> None:
    assert extract(videos / "plain.mp4", "--out", tmp_path, "--detector", "builtin", "--subjects", "all") == 0
    assert sorted(stores(tmp_path)) == ["plain_person1.arrow"]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["{empty}"], 1, "no video found"),
        (["{empty}/gone.mp4"], 1, "no such file or folder"),
        (["{videos}", "--workers", "0"], 2, "--workers 0: expected at least 1"),
        (["{videos}", "--detector", "bultin"], 2, "Did you mean 'builtin'"),
        (["{videos}", "--detector", "gone.onnx"], 1, "gone.onnx: no such file or folder (detector)"),
        (["{videos}", "--subjects", "{empty}"], 1, "annotation files"),
        (["{videos}", "--jpeg_quality", "0"], 2, "jpeg_quality is 0; expected 1 <= jpeg_quality <= 100"),
    ],
)
def test_wrong_usage_and_wrong_paths(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, message: str
) -> None:
    (tmp_path / "empty").mkdir()
    filled = [argument.format(empty=tmp_path / "empty", videos=videos) for argument in arguments]
    assert extract(*filled, "--out", tmp_path / "faces") == status
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("abaw extract: error: ")
    assert message in last
    assert not (tmp_path / "faces").exists()


def test_full_disk(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    replace = os.replace

    def full(temporary: Path, path: Path) -> None:
        if path.name == "plain.arrow":
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(temporary, path)

    monkeypatch.setattr("os.replace", full)
    assert extract(videos, "--out", tmp_path, "--detector", "builtin") == 1
    assert sorted(stores(tmp_path)) == ["Überraschung 面 1.arrow"]
    assert "plain.arrow: cannot write: the disk is full" in capsys.readouterr().err.splitlines()[-1]


def test_folder_that_cannot_be_written(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def denied(*_: Any, **__: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", denied)
    assert extract(videos / "plain.mp4", "--out", tmp_path / "faces", "--detector", "builtin") == 1
    assert "no permission to write there; choose another output folder" in capsys.readouterr().err.splitlines()[-1]


def test_real_clips(shared_data: Path, tmp_path: Path) -> None:
    wanted = {"no_face": (95, 0.0), "d0": (78, 0.995), "single_face": (72, 0.995), "short_hamilton_clip": (275, 0.5)}
    clips = [shared_data / "videos" / f"{name}.mp4" for name in wanted]
    weights = shared_data / "models" / "yunet_n_dynamic.onnx"
    assert extract(*clips, "--detector", weights, "--out", tmp_path) == 0
    for name, (num_frames, rate) in wanted.items():
        store = open_faces(tmp_path / f"{name}.arrow")
        assert len(store) == num_frames
        assert store.valid.mean() >= rate
        assert (store.valid.any()) == (rate > 0)
    assert open_faces(tmp_path / "no_face.arrow").meta["header_frames"] == 98


@pytest.mark.slow
def test_a_face_that_fills_the_picture(shared_data: Path, tmp_path: Path) -> None:
    weights = shared_data / "models" / "yunet_n_dynamic.onnx"
    assert extract(shared_data / "videos" / "d6.mp4", "--detector", weights, "--out", tmp_path) == 0
    store = open_faces(tmp_path / "d6.arrow")
    assert (len(store), store.valid.mean() >= 0.995) == (1008, True)


def test_defaults_are_the_librarys() -> None:
    """What the command passes on when nothing is said is what the library does on its own."""
    command = {field.name: field.default for field in fields(ExtractConfig)}
    assert {field.name: command[field.name] for field in fields(ExtractOptions)} == {
        field.name: field.default for field in fields(ExtractOptions)
    }
