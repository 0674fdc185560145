"""Exporting stores to the official layout and importing it again gives the same stores."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abaw.core.errors import DataError
from abaw.importing import export_crops as module
from abaw.importing.export_crops import export_crops, is_exported, prepare_folder, read_lengths, write_lengths
from abaw.stores.faces import open_faces
from pipelines.cli import main

JPEGS = [cv2.imencode(".jpg", np.full((8, 8, 3), grey, np.uint8))[1].tobytes() for grey in (0, 90, 255)]


def make_store(root: Path, name: str, faces: list[int | None]) -> Path:
    """A store whose row k has the JPEG with the number faces[k], None without a face; at least one has a face."""
    folder = root / "made" / name
    folder.mkdir(parents=True)
    for frame, number in enumerate(faces, 1):
        if number is not None:
            (folder / f"{frame:05d}.jpg").write_bytes(JPEGS[number])
    write_lengths(folder.parent, {**read_lengths(folder.parent), name: len(faces)})
    assert main(["import-crops", str(folder), "--out", str(root / "faces")]) == 0
    return root / "faces" / f"{name}.arrow"


def content(path: Path) -> list[bytes | None]:
    return list(open_faces(path).store.table.column("jpeg").to_pylist())


def export(root: Path, *words: str) -> int:
    return main(["export-crops", str(root / "faces"), "--out", str(root / "out"), *words])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.none() | st.integers(0, 2), min_size=1, max_size=30))
def test_round_trip(faces: list[int | None]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        store = make_store(root, "a é_left", faces)
        assert export(root) == 0
        images = {path.name: path.read_bytes() for path in (root / "out" / "a é_left").iterdir()}
        assert images == {f"{k:05d}.jpg": JPEGS[face] for k, face in enumerate(faces, 1) if face is not None}
        assert main(["import-crops", str(root / "out"), "--out", str(root / "again")]) == 0
        back = root / "again" / "a é_left.arrow"
        assert content(back) == content(store) == [None if face is None else JPEGS[face] for face in faces]
        assert open_faces(back).valid.tolist() == open_faces(store).valid.tolist()
        assert open_faces(back).keys.to_pylist() == list(range(1, len(faces) + 1))


def test_a_second_run_keeps_existing_folders_and_continues(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_store(tmp_path, "a", [0, None, 1])
    assert export(tmp_path) == 0
    before = (tmp_path / "out" / "a" / "00001.jpg").stat().st_mtime_ns
    make_store(tmp_path, "b", [None, 2])
    capsys.readouterr()
    assert export(tmp_path) == 0
    assert (tmp_path / "out" / "a" / "00001.jpg").stat().st_mtime_ns == before
    err = capsys.readouterr().err
    assert "a: already exists" in err and "b: 1 images, 1 frames without a face" in err
    assert (tmp_path / "out" / "frames.csv").read_text() == "video,frames\na,3\nb,2\n"


def test_a_folder_with_other_content_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_store(tmp_path, "a", [0])
    (tmp_path / "out" / "other").mkdir(parents=True)
    assert export(tmp_path) == 1
    assert "contains 'other', which is from no export" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["other"]


def test_other_images_of_the_same_video_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_store(tmp_path, "a", [0, 1])
    assert export(tmp_path) == 0
    (tmp_path / "out" / "a" / "00002.jpg").unlink()
    assert export(tmp_path) == 1
    assert "contains other images than" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out" / "a").iterdir()] == ["00001.jpg"]


def test_an_interrupted_export_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faces = open_faces(make_store(tmp_path, "a", [0, 1]))
    names = iter(["00001.jpg", "no/such/folder.jpg"])
    with monkeypatch.context() as patch:
        patch.setattr(module, "image_sizes", lambda faces: {})
        patch.setattr(module, "_file_name", lambda frame: next(names))
        with pytest.raises(DataError, match="cannot write"):
            export_crops(faces, tmp_path / "out" / "a")
    assert list((tmp_path / "out").iterdir()) == []
    assert not is_exported(faces, tmp_path / "out" / "a")


def test_leftovers_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    import socket

    faces = open_faces(make_store(tmp_path, "a", [0]))
    left = tmp_path / "out" / f".a.{socket.gethostname()}-999999999-ab12.partial"
    left.mkdir(parents=True)
    (left / "00001.jpg").touch()
    assert prepare_folder(tmp_path / "out", ["a"]) == {}
    export_crops(faces, tmp_path / "out" / "a")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]


@pytest.mark.parametrize("text", ["x,y\n", "video,frames\na,many\n", "video,frames\na\n", ""])
def test_a_damaged_list_of_lengths_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "frames.csv").write_text(text)
    with pytest.raises(DataError, match="export again"):
        read_lengths(tmp_path)


def test_a_file_where_the_folder_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(DataError, match="is a file"):
        prepare_folder(tmp_path / "out", [])
