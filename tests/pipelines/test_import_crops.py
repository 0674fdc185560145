from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from abaw.protocol.annotations import write_annotation
from abaw.protocol.editions import edition
from abaw.stores.faces import open_faces
from pipelines.cli import main

JPEG = cv2.imencode(".jpg", np.full((112, 112, 3), 90, np.uint8))[1].tobytes()


def make_crops(folder: Path, *frames: int, data: bytes = JPEG) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for frame in frames:
        (folder / f"{frame:05d}.jpg").write_bytes(data)


def run(root: Path, *words: str) -> int:
    return main(["import-crops", *words, "--out", str(root / "faces")])


def test_the_official_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_crops(tmp_path / "cropped_aligned" / "video 1 é", 1, 3)
    make_crops(tmp_path / "cropped_aligned_new_50_vids" / "b_left", 2)
    assert run(tmp_path, str(tmp_path / "cropped_aligned"), str(tmp_path / "cropped_aligned_new_50_vids")) == 0
    assert open_faces(tmp_path / "faces" / "video 1 é.arrow").valid.tolist() == [True, False, True]
    assert open_faces(tmp_path / "faces" / "b_left.arrow").valid.tolist() == [False, True]
    assert "video 1 é: 3 frames, 1 of them without a face" in capsys.readouterr().err


def test_the_length_comes_from_annotations_and_template(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        make_crops(tmp_path / "crops" / name, 1, 2)
    write_annotation(tmp_path / "labels" / "Train_Set" / "a.txt", np.zeros(4, int))
    write_annotation(tmp_path / "labels" / "Validation_Set" / "b.txt", np.zeros(1, int))
    rows = [f"c/{frame:05d}.jpg,0" for frame in range(1, 6)]
    (tmp_path / "t.txt").write_text("\n".join([edition("abaw6").header, *rows]) + "\n")
    known = ["--annotations", str(tmp_path / "labels"), "--template", str(tmp_path / "t.txt")]
    assert run(tmp_path, str(tmp_path / "crops"), *known) == 0
    assert [len(open_faces(tmp_path / "faces" / f"{name}.arrow")) for name in ("a", "b", "c")] == [4, 2, 5]


def test_a_second_run_changes_nothing_and_other_input_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_crops(tmp_path / "v", 1, 2)
    assert run(tmp_path, str(tmp_path / "v")) == 0
    before = (tmp_path / "faces" / "v.arrow").stat().st_mtime_ns
    assert run(tmp_path, str(tmp_path / "v")) == 0
    assert (tmp_path / "faces" / "v.arrow").stat().st_mtime_ns == before
    assert "v: already exists" in capsys.readouterr().err
    make_crops(tmp_path / "v", 3)
    assert run(tmp_path, str(tmp_path / "v")) == 1
    assert "was made from another input" in capsys.readouterr().err


def test_a_bad_folder_does_not_stop_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_crops(tmp_path / "crops" / "a", 0)
    make_crops(tmp_path / "crops" / "b", 1)
    make_crops(tmp_path / "crops" / "c", 1, 2, data=b"rubbish")
    assert run(tmp_path, str(tmp_path / "crops")) == 1
    assert sorted(file.name for file in (tmp_path / "faces").iterdir()) == ["b.arrow", "c.arrow"]
    err = capsys.readouterr().err
    assert "00000.jpg: frames are counted from 1" in err
    assert "c: 2 images are not complete JPEGs" in err
    assert "2 done, 1 failed" in err


def test_an_empty_folder_and_a_file_for_the_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert run(tmp_path, str(tmp_path / "empty")) == 1
    assert "contains no crops" in capsys.readouterr().err
    make_crops(tmp_path / "v", 1)
    (tmp_path / "faces").write_text("")
    assert run(tmp_path, str(tmp_path / "v")) == 1
    assert "cannot write" in capsys.readouterr().err


def test_images_beyond_the_labels_are_reported_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_crops(tmp_path / "v", 1, 5)
    write_annotation(tmp_path / "labels" / "v.txt", np.zeros(3, int))
    assert run(tmp_path, str(tmp_path / "v"), "--annotations", str(tmp_path / "labels")) == 0
    assert "v: the last image is frame 5, but labels or template end at 3" in capsys.readouterr().err
    assert len(open_faces(tmp_path / "faces" / "v.arrow")) == 5


def test_an_empty_folder_of_a_known_video_is_a_video_without_a_face(tmp_path: Path) -> None:
    make_crops(tmp_path / "crops" / "a", 1)
    (tmp_path / "crops" / "b").mkdir()
    (tmp_path / "crops" / "unknown").mkdir()
    rows = [f"b/{frame:05d}.jpg,0" for frame in (1, 4)]
    (tmp_path / "t.txt").write_text("\n".join([edition("abaw6").header, *rows]) + "\n")
    assert run(tmp_path, str(tmp_path / "crops"), "--template", str(tmp_path / "t.txt")) == 0
    assert sorted(file.name for file in (tmp_path / "faces").iterdir()) == ["a.arrow", "b.arrow"]
    assert open_faces(tmp_path / "faces" / "b.arrow").valid.tolist() == [False] * 4


def test_a_video_in_both_official_folders_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("cropped_aligned", "cropped_aligned_new_50_vids"):
        make_crops(tmp_path / folder / "v", 1)
    assert run(tmp_path, str(tmp_path / "cropped_aligned"), str(tmp_path / "cropped_aligned_new_50_vids")) == 1
    assert "two folders are named 'v'" in capsys.readouterr().err
