from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.protocol.manifests import manifests_folder
from abaw.stores.faces import open_faces
from pipelines.cli import main


def save(path: Path, value: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".jpg", np.full((40, 40, 3), value, np.uint8))[1].tobytes())


def run(root: Path, *words: str) -> int:
    return main(["import-images", "--out", str(root / "faces"), *words])


def test_labelled_and_unlabelled_sets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for index, name in enumerate(EXPRESSION_CLASSES):
        save(tmp_path / "labelled" / name / "0001.jpg", 10 + index)
    save(tmp_path / "more" / "ein Bild é.jpg")
    labelled = ["--dataset", "folder_per_class", "--root", str(tmp_path / "labelled")]
    assert run(tmp_path, *labelled, "--name", "set 1", "--detector", "none") == 0
    assert run(tmp_path, "--dataset", "unlabelled", "--root", str(tmp_path / "more"), "--detector", "none") == 0
    assert open_faces(tmp_path / "faces" / "set 1.arrow").labels.tolist() == [1, 2, 3, 4, 0, 7, 5, 6]
    unlabelled = open_faces(tmp_path / "faces" / "unlabelled.arrow")
    assert unlabelled.labels.tolist() == [-1]
    assert unlabelled.keys.to_pylist() == ["ein Bild é.jpg"]
    out = capsys.readouterr().out
    assert "set 1: 8 images, 0 of them without a face; Neutral 1, Anger 1, Disgust 1" in out
    assert "unlabelled: 1 images, 0 of them without a face\n" in out


def test_the_builtin_detector_says_that_there_are_better_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "set" / "a.jpg")
    words = ["--dataset", "unlabelled", "--root", str(tmp_path / "set"), "--detector", "builtin"]
    assert run(tmp_path, *words) == 1
    err = capsys.readouterr().err
    assert err.count("builtin detector") == 1
    assert "no image shows a face" in err
    assert open_faces(tmp_path / "faces" / "unlabelled.arrow").valid.tolist() == [False]


def test_real_faces_are_found_and_aligned(tmp_path: Path, shared_data: Path) -> None:
    source = shared_data / "videos" / "multi_face.jpg"
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.jpg").write_bytes(source.read_bytes())
    detector = str(shared_data / "models" / "yunet_n_dynamic.onnx")
    assert run(tmp_path, "--dataset", "unlabelled", "--root", str(tmp_path / "set"), "--detector", detector) == 0
    (row,) = open_faces(tmp_path / "faces" / "unlabelled.arrow").store.table.to_pylist()
    x1, y1, x2, y2 = row["box_xyxy"]
    assert x2 - x1 > 30 and y2 - y1 > 30
    assert len(row["landmarks_xy"]) == 10
    crop = cv2.imdecode(np.frombuffer(row["jpeg"], np.uint8), cv2.IMREAD_COLOR)
    assert crop.shape == (112, 112, 3) and crop.std() > 20


def ferplus(shared_data: Path, root: Path, num: int) -> list[list[str]]:
    """The first `num` stills of each split of FER+, as they are handed out; returns their lines of the table."""
    (root / "images").mkdir(parents=True)
    with zipfile.ZipFile(shared_data / "ferplus.zip") as archive:
        header, *lines = archive.read("ferplus/votes.csv").decode().splitlines()
        chosen = [line for split in ("train", "valid") for line in [x for x in lines if x.startswith(split)][:num]]
        for line in chosen:
            image = line.split(",")[1]
            (root / "images" / image).write_bytes(archive.read(f"ferplus/images/{image}"))
    (root / "votes.csv").write_text("\n".join([header, *chosen]) + "\n")
    return [line.split(",") for line in chosen]


def test_votes_of_real_stills(tmp_path: Path, shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ferplus(shared_data, tmp_path / "ferplus", 40)
    descriptor = manifests_folder() / "datasets" / "ferplus.yaml"
    text = descriptor.read_text().replace("train: 26804", "train: 40").replace("valid: 3510", "valid: 40")
    (tmp_path / "few.yaml").write_text(text)
    detector = str(shared_data / "models" / "yunet_n_dynamic.onnx")
    words = ["--dataset", str(tmp_path / "few.yaml"), "--root", str(tmp_path / "ferplus")]
    assert run(tmp_path, *words, "--subset", "valid", "--detector", detector) == 0
    assert run(tmp_path, *words, "--subset", "train", "--detector", "none", "--name", "t") == 0
    valid = open_faces(tmp_path / "faces" / "few_valid.arrow")
    assert len(valid) == 40
    assert valid.valid.mean() > 0.9
    assert valid.keys.to_pylist() == sorted(f"images/{row[1]}" for row in rows[40:])
    voted = {f"images/{row[1]}": [int(count) for count in row[2:10]] for row in rows}
    order = [0, 4, 5, 6, 1, 3, 2, 7]
    for key, shares in zip(valid.keys.to_pylist(), valid.votes, strict=True):
        counts = np.array(voted[key])[order]
        assert shares == pytest.approx(counts / counts.sum())
    assert "no label" in capsys.readouterr().out
    assert run(tmp_path, *words, "--subset", "validation", "--detector", "none") == 2
    assert "votes.csv has train, valid. Did you mean 'valid'" in capsys.readouterr().err
    assert run(tmp_path, "--dataset", "ferplus", "--root", str(tmp_path / "ferplus"), "--subset", "train") == 1
    assert "split train: expected 26804 images (ferplus), found 40" in capsys.readouterr().err
    assert run(tmp_path, "--dataset", "ferplus", "--root", str(tmp_path), "--subset", "train") == 1
    assert f"no votes.csv, which lists the images of ferplus; give {tmp_path}/ferplus" in capsys.readouterr().err


def test_unreadable_images_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "set" / "a.jpg")
    (tmp_path / "set" / "b.jpg").write_bytes(b"rubbish")
    assert run(tmp_path, "--dataset", "unlabelled", "--root", str(tmp_path / "set"), "--detector", "none") == 1
    assert "1 images could not be read: b.jpg" in capsys.readouterr().err
    assert len(open_faces(tmp_path / "faces" / "unlabelled.arrow")) == 2


def test_again_changes_nothing_and_other_input_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "set" / "a.jpg")
    words = ["--dataset", "unlabelled", "--root", str(tmp_path / "set"), "--detector", "none"]
    assert run(tmp_path, *words) == 0
    assert run(tmp_path, *words) == 0
    assert "unlabelled: already exists" in capsys.readouterr().err
    save(tmp_path / "set" / "b.jpg")
    assert run(tmp_path, *words) == 1
    assert "was made from another input" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--dataset", "folder_per_clas"], 2, "Did you mean 'folder_per_class'"),
        (["--dataset", "folder_per_class"], 1, "missing class folders Neutral, Anger"),
        (["--dataset", "unlabelled", "--subset", "train"], 2, "a set of layout flat has no splits"),
        (
            ["--dataset", "lfw"],
            1,
            "expected 13233 images (lfw), found 1; download the set again, or import what exists",
        ),
        (["--dataset", "unlabelled", "--name", "a/b"], 2, "expected a plain name"),
        (["--dataset", "unlabelled", "--detector", "bultin"], 2, "no detector 'bultin'"),
        (["--dataset", "unlabelled", "--root", "none"], 1, "none: no such file or folder (root)"),
    ],
)
def test_wrong_words(
    tmp_path: Path, words: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "set" / "a.jpg")
    assert run(tmp_path, "--root", str(tmp_path / "set"), *words) == status
    assert message in capsys.readouterr().err
    assert not (tmp_path / "faces").exists()


def test_an_empty_folder_and_a_file_for_the_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert run(tmp_path, "--dataset", "unlabelled", "--root", str(tmp_path / "empty")) == 1
    assert "contains no image" in capsys.readouterr().err
    save(tmp_path / "set" / "a.jpg")
    (tmp_path / "faces").write_text("")
    assert run(tmp_path, "--dataset", "unlabelled", "--root", str(tmp_path / "set"), "--detector", "none") == 1
    assert "cannot write" in capsys.readouterr().err


def test_several_kinds_of_crop_have_a_folder_each(tmp_path: Path, shared_data: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.jpg").write_bytes((shared_data / "videos" / "multi_face.jpg").read_bytes())
    words = ["--dataset", "unlabelled", "--root", str(tmp_path / "set"), "--crop", "aligned:112", "box:224:0.3"]
    assert run(tmp_path, *words, "--detector", str(shared_data / "models" / "yunet_n_dynamic.onnx")) == 0
    kinds = {path.parent.name: open_faces(path) for path in sorted((tmp_path / "faces").rglob("*.arrow"))}
    assert {name: str(faces.crop) for name, faces in kinds.items()} == {
        "aligned-112": "aligned:112",
        "box-224-0.30": "box:224:0.30",
    }


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--crop", "aligned:112", "box:224:0.3"], 2, "images that are crops already are of one kind; give one --crop"),
        (["--crop", "box:224"], 2, "crop 'box:224': has no margin"),
    ],
)
def test_crops_that_do_not_go_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], status: int, message: str
) -> None:
    save(tmp_path / "set" / "a.jpg")
    rest = ["--dataset", "unlabelled", "--root", str(tmp_path / "set"), "--detector", "none"]
    assert run(tmp_path, *rest, *words) == status
    assert message in capsys.readouterr().err
    assert not (tmp_path / "faces").exists()
