"""Synthetic data sets in the official layouts: an intact one passes, and each fault is reported with its remedy."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from abaw.check_data import published
from abaw.importing.import_crops import find_crop_folders, list_crops
from abaw.protocol.annotations import TRAIN_SET, VALIDATION_SET, write_annotation
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.protocol.layout import find_videos
from abaw.protocol.manifests import load_manifest
from abaw.protocol.official import scan_tree
from abaw.stores.faces import VIDEO_SCHEMA, write_video_faces
from abaw.video.people.subject_names import read_names
from pipelines.cli import main
from pipelines.predict_video.results import find_annotations
from tests.pipelines.affwild2 import FACTS, LABELS, NUM_FRAMES, SUBJECTS, make_crops, make_tree, write_template
from tests.video.clips import noise, write_clip

LABEL_FOLDER = Path("annotations/EXPR_Recognition_Challenge")
TRAIN_FILES = LABEL_FOLDER / TRAIN_SET


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(tmp_path_factory.mktemp("original") / "tree")


@pytest.fixture
def tree(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy, whose published numbers are its own."""
    counts = {
        "train": dict.fromkeys(EXPRESSION_CLASSES, 6) | {"Fear": 6},
        "validation": dict.fromkeys(EXPRESSION_CLASSES, 2),
    }
    for split, files in (("train", 3), ("validation", 1)):
        seen = LABELS[[frame for frame in range(NUM_FRAMES) if frame != 2]]
        for index, name in enumerate(EXPRESSION_CLASSES):
            counts[split][name] = files * int((seen == index).sum())
    monkeypatch.setattr(published, "load_manifest", lambda name: {**FACTS, "class_counts": counts})
    return Path(shutil.copytree(original, tmp_path / "tree"))


def check(root: Path, *words: str, template: bool = True) -> int:
    chosen = ["--template", str(write_template(root.parent / "template.txt"))] if template else []
    return main(["check-data", "--root", str(root), "--out", str(root.parent / "r.csv"), *chosen, *words])


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    """The output, which fits into 80 columns, with wrapped lines joined."""
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if len(line) > 80] == []
    return re.sub(r"\n  (?=\S)", " ", out)


def rows_of(root: Path) -> dict[str, dict[str, str]]:
    with (root.parent / "r.csv").open(encoding="utf-8", newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def test_a_sound_data_set_fits(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tree) == 0
    out = printed(capsys)
    assert "no faults, 0 notes" in out
    assert "5 names (4 with labels, 5 with a video, 5 with aligned crops, 5 with other crops, 1 in the template)" in out
    rows = rows_of(tree)
    assert list(rows) == sorted(SUBJECTS) + ["(data set)"]
    assert not any(row["errors"] or row["notes"] or row["remedies"] for row in rows.values())
    left = rows["two people_left"]
    assert (left["video"], left["split"], left["expression_lines"]) == ("two people", "train", "20")
    assert (left["header_frames"], left["decoded_frames"], left["aligned_images"]) == ("20", "", "19")
    assert (left["labels_minus_frames"], left["images_minus_labels"], left["template_rows"]) == ("0", "-1", "")
    assert [int(left[name]) for name in EXPRESSION_CLASSES] == np.bincount(LABELS[LABELS >= 0], minlength=8).tolist()
    assert (rows["film é"]["valence_arousal_lines"], rows["film é"]["action_unit_lines"]) == ("20", "20")
    assert (rows["testing"]["split"], rows["testing"]["template_minus_frames"]) == ("test", "0")


@pytest.mark.parametrize("task_folder", ["EXPR_Recognition_Challenge", "EXPR_Classification_Challenge"])
@pytest.mark.parametrize("above", ["annotations", ""])
def test_layouts_of_the_editions(tree: Path, task_folder: str, above: str) -> None:
    shutil.rmtree(tree)
    assert check(make_tree(tree, task_folder, above)) == 0


def test_batches_of_cropped_in_folders_of_their_own(tree: Path) -> None:
    for name in ("cropped_batch1", "cropped_batch2"):
        (tree / name).mkdir()
    for index, folder in enumerate(sorted((tree / "cropped" / "batch1").iterdir())):
        folder.rename(tree / f"cropped_batch{index % 2 + 1}" / folder.name)
    shutil.rmtree(tree / "cropped")
    assert check(tree) == 0


def litter(root: Path) -> None:
    """What operating systems leave, in the root and in every folder below it."""
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        files = [file for file in folder.iterdir() if file.is_file()]
        for name in (".DS_Store", "Thumbs.db", "desktop.ini", *(f"._{file.name}" for file in files)):
            (folder / name).write_bytes(b"\0\5\x16\7\0")
        copy = folder / "__MACOSX" / "film é"
        copy.mkdir(parents=True)
        for file in files:
            shutil.copy(file, copy)


def test_what_operating_systems_leave_changes_nothing(tree: Path) -> None:
    assert check(tree) == 0
    before = scan_tree(tree)
    litter(tree)
    assert check(tree) == 0
    after = scan_tree(tree)
    assert (after.videos, after.annotations) == (before.videos, before.annotations)
    assert [(each.path, each.num_wrong) for found in after.aligned.values() for each in found] == [
        (each.path, each.num_wrong) for found in before.aligned.values() for each in found
    ]
    videos = [file for files in before.videos.values() for file in files]
    assert set(find_videos([tree])) == set(videos)
    crops = find_crop_folders(before.aligned_roots)
    assert {folder.name for folder in crops} == set(before.aligned)
    assert not any(list_crops(folder).ignored for folder in crops)
    names = {name for files in before.annotations.values() for name in files}
    assert set(read_names(tree / "annotations")) == names
    assert set(find_annotations(tree / "annotations")) == names


def label(name: str, text: str) -> Callable[[Path], object]:
    return lambda root: (root / TRAIN_FILES / f"{name}.txt").write_text(text)


def longer(name: str, lines: int) -> Callable[[Path], object]:
    return lambda root: write_annotation(root / TRAIN_FILES / f"{name}.txt", np.zeros(lines, int))


def both_splits(root: Path) -> None:
    shutil.copy(root / TRAIN_FILES / "film é.txt", root / LABEL_FOLDER / VALIDATION_SET)


def moved_annotations(root: Path) -> None:
    shutil.copytree(root / LABEL_FOLDER, root / "annotations" / "EXPR_Classification_Challenge")


def no_labels(root: Path) -> None:
    shutil.rmtree(root / LABEL_FOLDER)


HEADER = ",".join(EXPRESSION_CLASSES)
ALIGNED = Path("cropped_aligned/film é")

FAULTS = {
    "missing video": (lambda r: (r / "batch2/film é.mp4").unlink(), "missing video: film é", "download the batch"),
    "video twice": (
        lambda r: shutil.copy(r / "batch2/film é.mp4", r / "batch1"),
        "video twice: film é",
        "keep one of them",
    ),
    "broken video": (
        lambda r: (r / "batch2/film é.mp4").write_bytes(b""),
        "unreadable video: film é",
        "download film é.mp4 again",
    ),
    "empty label file": (label("film é", ""), "empty label file: film é", "download the annotations again"),
    "header alone": (label("film é", HEADER + "\r\n"), "no line after the header", "download the annotations again"),
    "wrong header": (label("film é", "valence,arousal\n0,0\n"), "wrong header: film é", "download the annotations"),
    "label of 8": (
        label("film é", f"{HEADER}\n0\n8\n"),
        "film é.txt:3: expected an integer",
        "download the annotations",
    ),
    "labels too long": (longer("film é", 60), "labels and frames: film é: 60 expression label lines", "--decode"),
    "both splits": (both_splits, "in both splits: film é", "remove the file"),
    "two editions": (moved_annotations, "two annotation folders", "keep those of one edition"),
    "no annotations": (no_labels, "no annotations", "unpack them there"),
    "crops of nobody": (
        lambda r: make_crops(r / "cropped_aligned" / "nobody"),
        "crops without labels: nobody",
        "remove the folder",
    ),
    "crops twice": (
        lambda r: make_crops(r / "cropped_aligned_new_50_vids" / "film é"),
        "crops twice: film é",
        "keep one of them",
    ),
    "missing crops": (lambda r: shutil.rmtree(r / ALIGNED), "missing crops: film é", "download cropped_aligned"),
    "four digits": (lambda r: (r / ALIGNED / "0003.jpg").touch(), "wrong crop name: film é", "official names"),
    "frame 0": (lambda r: (r / ALIGNED / "00000.jpg").touch(), "wrong crop name: film é", "official names"),
    "a png": (lambda r: (r / ALIGNED / "00003.png").touch(), "00003.png", "official names"),
    "crops beyond": (lambda r: (r / ALIGNED / "00090.jpg").touch(), "crops beyond the end: film é", "download them"),
    "one image less": (
        lambda r: (r / ALIGNED / "00005.jpg").unlink(),
        "train: with an aligned image: 47 found, 48 published",
        "--subset",
    ),
}


@pytest.mark.parametrize(("fault", "finding", "remedy"), FAULTS.values(), ids=FAULTS)
def test_each_fault_is_reported_with_its_remedy(
    tree: Path, fault: Callable[[Path], object], finding: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fault(tree)
    assert check(tree) == 1
    lines = [line for line in printed(capsys).splitlines() if line.startswith("error") and finding in line]
    assert lines and remedy in lines[0].split(" -> ")[1]
    fields = [row["errors"] for row in rows_of(tree).values()]
    assert any(finding.split(": ")[0] in field or finding in field for field in fields)


@pytest.mark.parametrize(
    ("rows", "name", "finding"),
    [
        pytest.param(50, "testing", "template and frames: testing", id="longer template"),
        pytest.param(20, "stranger", "unknown video in template: stranger", id="unknown video"),
    ],
)
def test_faults_of_the_template(
    tree: Path, rows: int, name: str, finding: str, capsys: pytest.CaptureFixture[str]
) -> None:
    template = write_template(tree.parent / "other.txt", rows, name)
    assert check(tree, "--template", str(template), template=False) == 1
    assert f"error: {finding}" in printed(capsys)


@pytest.mark.parametrize(("words", "status"), [([], 0), (["--tolerance", "3"], 1)])
def test_a_few_frames_are_a_note_within_the_tolerance(
    tree: Path, words: list[str], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tree / TRAIN_FILES / "film é.txt"
    file.write_text(file.read_text() + "-1\n" * 4)
    assert check(tree, *words) == status
    expected = f"{'error' if status else 'note'}: labels and frames: film é: 24 expression label lines, 20 frames"
    assert expected in printed(capsys)
    assert rows_of(tree)["film é"]["labels_minus_frames"] == "4"


def test_decoded_frames_take_the_place_of_the_header(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_clip(tree / "batch2" / "film é.mp4", noise(NUM_FRAMES - 2, 32))
    assert check(tree, "--decode", "--tolerance", "1") == 1
    assert "20 expression label lines, 18 decoded frames: +2" in printed(capsys)
    row = rows_of(tree)["film é"]
    assert (row["decoded_frames"], row["labels_minus_frames"]) == ("18", "2")
    assert rows_of(tree)["two people_right"]["decoded_frames"] == "20"


@pytest.mark.parametrize(("source", "decoded"), [("video", "17"), ("crops", "")])
def test_rows_of_faces_stores_are_decoded_frames_unless_made_from_crops(
    tree: Path, source: str, decoded: str, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = [pa.nulls(17, column.type) for column in VIDEO_SCHEMA]
    batch = pa.record_batch([pa.array(range(1, 18), pa.int32()), *columns[1:]], schema=VIDEO_SCHEMA)
    write_video_faces(tree.parent / "faces" / "film é.arrow", [batch], {"source": source})
    assert check(tree, "--faces", str(tree.parent / "faces")) == 0
    assert rows_of(tree)["film é"]["decoded_frames"] == decoded
    out = printed(capsys)
    assert "note: no faces store: testing" in out
    assert ("note: wrong header count: film é: the header states 20 frames, 17 were decoded" in out) is bool(decoded)


def test_long_names_fit_into_80_columns(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "a video with quite a long name " + "x" * 130
    (tree / "new_vids/testing.mp4").rename(tree / f"new_vids/{name}.mp4")
    assert check(tree, "--all") == 1
    out = printed(capsys)
    assert name.replace(" ", "") in out.replace(" ", "")
    assert "film é (train): labels 20, VA 20, AU 20, header 20, aligned 19, last aligned 20, cropped 19" in out


def test_a_part_of_the_data_set(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "batch2" / "film é.mp4").unlink()
    shutil.rmtree(tree / ALIGNED)
    shutil.rmtree(tree / "cropped")
    (tree / "new_vids" / "testing.mp4").unlink()
    assert check(tree) == 1
    capsys.readouterr()
    assert check(tree, "--subset") == 0
    out = printed(capsys)
    assert "note: missing video: film é" in out
    assert "note: published number: videos: 2 found, 4 published" in out
    assert "3 with a video, 4 with aligned crops" in out
    label("two people_left", "")(tree)
    assert check(tree, "--subset") == 1, "a fault stays one in a part of the data set"


def test_without_a_template_test_videos_are_no_fault(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tree, template=False) == 0
    assert "note: crops without labels: testing: not in the annotations -> give --template" in printed(capsys)


@pytest.mark.parametrize(
    ("words", "status", "expected"),
    [
        (["--tolerance", "-1"], 2, "--tolerance -1"),
        (["--decode", "--faces", "."], 2, "--faces and --decode"),
        (["--root", "nowhere"], 1, "nowhere: no such file or folder (root)"),
    ],
)
def test_wrong_usage(
    tree: Path, words: list[str], status: int, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(tree, *words) == status
    assert expected in capsys.readouterr().err


def test_a_folder_of_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x").mkdir()
    assert check(tmp_path / "x", template=False) == 1
    assert "nothing of Aff-Wild2" in capsys.readouterr().err
    assert not (tmp_path / "r.csv").exists()


def test_the_published_numbers_ship() -> None:
    facts = load_manifest("expression")
    assert (facts["videos_in_all"], facts["videos"]["test"], facts["test_frames"]) == (548, 228, 1_022_655)
    assert facts["annotated_frames"] == {"train": 597_361, "validation": 284_230}
    assert facts["annotated_frames_with_aligned_image"] == {"train": 586_959, "validation": 279_749}
