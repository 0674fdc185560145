from __future__ import annotations

import csv
import io
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abaw.core.errors import ConfigError, DataError
from abaw.importing.descriptor import Descriptor, TableLayout, load_descriptor
from abaw.importing.find_stills import find_stills
from abaw.importing.still import Still
from abaw.importing.still_table import majority, shares
from abaw.protocol.classes import EXPRESSION_CLASSES, NUM_EXPRESSIONS

CLASSES = {"happy": "Happiness", "sad": "Sadness", "contempt": "Other", "bored": "Other", "unknown": None, "NF": None}
VOTES = Descriptor(
    "votes",
    "labelled",
    "csv",
    table=TableLayout("votes.csv", "image", "images", split_column="split", vote_columns=CLASSES),
)
HEADER = "split,image,happy,sad,contempt,bored,unknown,NF"
LABELS = Descriptor(
    "lists",
    "labelled",
    "csv",
    labels={"0": "Neutral", "1": "Happiness", "": None},
    table=TableLayout("*.csv", "image", label_column="expression"),
)


def write(root: Path, name: str, *lines: str, images: str = "") -> Path:
    """A table, and the images named, empty, below the root."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for image in images.split():
        (root / image).parent.mkdir(parents=True, exist_ok=True)
        (root / image).touch()
    return root


def labels_by_key(stills: list[Still]) -> list[tuple[str, int]]:
    return [(still.key, still.label) for still in stills]


def some_votes(root: Path) -> Path:
    lines = [
        "train,b.png,6,1,0,0,3,0",
        "valid,c.png,1,0,2,0,7,0",
        "train,a é.png,2,2,0,0,0,0",
        "train,n.png,0,0,0,0,0,10",
    ]
    (root / "images").mkdir(parents=True)
    (root / "images" / "a é.png").touch()
    return write(root, "votes.csv", HEADER, *lines, images="images/b.png images/c.png images/n.png")


def test_votes_give_labels_and_shares_by_split(tmp_path: Path) -> None:
    root = some_votes(tmp_path)
    train = find_stills(VOTES, root, "train")
    assert labels_by_key(train) == [("images/a é.png", -1), ("images/b.png", 4), ("images/n.png", -1)]
    assert train[0].votes == (0, 0, 0, 0, 0.5, 0.5, 0, 0)
    assert train[1].votes == pytest.approx((0, 0, 0, 0, 6 / 7, 1 / 7, 0, 0))
    assert train[2].votes is None
    (valid,) = find_stills(VOTES, root, "valid")
    assert valid.label == -1
    assert valid.votes == pytest.approx((0, 0, 0, 0, 1 / 3, 0, 0, 2 / 3))
    assert len(find_stills(VOTES, root)) == 4


@pytest.mark.parametrize(
    ("counts", "label"),
    [
        pytest.param({"happy": 5, "sad": 4}, 4, id="most"),
        pytest.param({"happy": 5, "sad": 5}, -1, id="tie"),
        pytest.param({"happy": 4, "contempt": 3, "bored": 3}, 7, id="two columns of one class are one"),
        pytest.param({"happy": 4, "unknown": 5}, -1, id="no class has most"),
        pytest.param({"happy": 4, "unknown": 3, "NF": 3}, 4, id="what is no class is not summed"),
        pytest.param({"happy": 4, "unknown": 4}, -1, id="tie with no class"),
        pytest.param({"happy": 0, "sad": 0}, -1, id="no votes"),
    ],
)
def test_majority(counts: dict[str, float], label: int) -> None:
    assert majority(counts, CLASSES) == label


@given(st.fixed_dictionaries({name: st.integers(0, 10).map(float) for name in CLASSES}))
def test_shares_sum_to_one_and_their_top_is_the_label(counts: dict[str, float]) -> None:
    votes, label = shares(counts, CLASSES), majority(counts, CLASSES)
    if votes is None:
        assert label == -1
        assert all(counts[name] == 0 for name, known in CLASSES.items() if known)
        return
    assert len(votes) == NUM_EXPRESSIONS
    assert sum(votes) == pytest.approx(1)
    assert label == -1 or votes[label] == max(votes)


def test_several_tables_are_a_split_each(tmp_path: Path) -> None:
    write(tmp_path, "training.csv", "image,expression", "x/a.jpg,1", "x/b.jpg,", images="x/a.jpg x/b.jpg")
    write(tmp_path, "validation.csv", "\ufeffimage,expression", "", "c.jpg , 0", images="c.jpg")
    assert labels_by_key(find_stills(LABELS, tmp_path, "training")) == [("x/a.jpg", 4), ("x/b.jpg", -1)]
    assert labels_by_key(find_stills(LABELS, tmp_path, "validation")) == [("c.jpg", 0)]
    assert all(still.votes is None for still in find_stills(LABELS, tmp_path))
    with pytest.raises(ConfigError, match=r"subset 'train': \*.csv has training, validation. Did you mean 'training'"):
        find_stills(LABELS, tmp_path, "train")


def test_raf_db_as_handed_out(tmp_path: Path) -> None:
    images = "Image/aligned/train_00001_aligned.jpg Image/aligned/test_0001_aligned.jpg"
    write(tmp_path, "EmoLabel/list_patition_label.txt", "train_00001.jpg 5", "test_0001.jpg 7", images=images)
    raf = replace(load_descriptor("raf_db"), expected={"train": 1, "test": 1})
    assert labels_by_key(find_stills(raf, tmp_path, "train")) == [("Image/aligned/train_00001_aligned.jpg", 5)]
    assert labels_by_key(find_stills(raf, tmp_path, "test")) == [("Image/aligned/test_0001_aligned.jpg", 0)]
    write(tmp_path, "EmoLabel/list_patition_label.txt", "other_1.jpg 5")
    with pytest.raises(
        DataError, match=r"txt:1: image is 'other_1.jpg', which belongs to no split; .* test \(test_\*\)"
    ):
        find_stills(raf, tmp_path)


def test_several_faces_of_a_picture(tmp_path: Path) -> None:
    lines = ["a.jpg 0 20 10 60 70 41.5 3", "b.jpg 0 1 2 3 4 9 0", "a.jpg 1  5 80 99 30 12 6"]
    write(tmp_path, "label.lst", *lines, images="origin/a.jpg origin/b.jpg")
    expw = replace(load_descriptor("expw"), expected={".": 3})
    stills = find_stills(expw, tmp_path)
    assert labels_by_key(stills) == [("origin/a.jpg#1", 4), ("origin/a.jpg#2", 0), ("origin/b.jpg#1", 1)]
    assert [still.box_xyxy for still in stills] == [(10, 20, 60, 70), (80, 5, 99, 30), (2, 1, 3, 4)]
    write(tmp_path, "label.lst", "a.jpg 0 20 60 10 70 41.5 3")
    with pytest.raises(DataError, match=r"label.lst:1: the box ends before it begins: 60 to 10, 20 to 70"):
        find_stills(expw, tmp_path)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([HEADER.replace("sad", "sadd")], "no column 'sad'; it has split, .*Did you mean 'sadd'"),
        ([], "no column 'image'"),
        ([HEADER], "votes.csv lists no image"),
        ([HEADER, "train,a.png,1,0"], r"votes.csv:2: expected 8 fields \(split, .*\), found 4"),
        ([HEADER, "train,a.png,1,0,x,0,0,0"], "votes.csv:2: contempt: expected a number, found 'x'"),
        ([HEADER, "train,a.png,1,0,-2,0,0,0"], "votes.csv:2: expected counts of votes, found -2"),
        ([HEADER, "train,a.png,1,0,nan,0,0,0"], "votes.csv:2: contempt: expected a number, found 'nan'"),
        (
            [HEADER, "train,a.png,1,0,0,0,0,0", "train,b.png,1,0,0,0,0,0", "valid,c.png,1,0,0,0,0,0"],
            r"images: 2 of the 3 images listed in votes.csv are missing, the first is .*b.png \(.*votes.csv:3\)",
        ),
        ([HEADER, *["train,a.png,1,0,0,0,0,0"] * 2], "votes.csv:3: images/a.png is in the table more than once"),
    ],
)
def test_faults_of_a_table(tmp_path: Path, lines: list[str], words: str) -> None:
    write(tmp_path, "votes.csv", *lines, images="images/a.png")
    with pytest.raises(DataError, match=words):
        find_stills(VOTES, tmp_path)


def test_a_label_that_the_map_does_not_know(tmp_path: Path) -> None:
    write(tmp_path, "training.csv", "image,expression", "a.jpg,11", images="a.jpg")
    with pytest.raises(DataError, match=r"csv:2: expression is '11', which is not in the label map of lists"):
        find_stills(LABELS, tmp_path)


def test_a_missing_table_names_the_folder_that_has_it(tmp_path: Path) -> None:
    write(tmp_path, "notes.txt")
    with pytest.raises(DataError, match=r"no votes.csv, which lists the images of votes; found notes.txt"):
        find_stills(VOTES, tmp_path)
    some_votes(tmp_path / "unpacked" / "ferplus")
    with pytest.raises(DataError, match=r"no votes.csv.*; give .*unpacked/ferplus$"):
        find_stills(VOTES, tmp_path)


def test_a_missing_image_folder_and_a_table_that_is_no_text(tmp_path: Path) -> None:
    write(tmp_path, "votes.csv", HEADER, "train,a.png,1,0,0,0,0,0")
    with pytest.raises(DataError, match="images: no such folder, though votes has its images in it"):
        find_stills(VOTES, tmp_path)
    (tmp_path / "votes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"votes.csv: not readable as text"):
        find_stills(VOTES, tmp_path)


def test_expected_counts_by_split(tmp_path: Path) -> None:
    root = some_votes(tmp_path)
    right = replace(VOTES, expected={"train": 3, "valid": 1, ".": 4})
    assert len(find_stills(right, root)) == 4
    wrong = replace(VOTES, expected={"train": 3, "valid": 2, ".": 5})
    assert len(find_stills(wrong, root, "train")) == 3
    with pytest.raises(DataError, match=r"split valid: expected 2 images \(votes\), found 1; download the set again"):
        find_stills(wrong, root, "valid")
    with pytest.raises(DataError, match=r"expected 5 images \(votes\), found 4"):
        find_stills(replace(VOTES, expected={".": 5}), root)


def test_a_subset_of_a_table_without_splits(tmp_path: Path) -> None:
    table = TableLayout("votes.csv", "image", "images", vote_columns=CLASSES)
    with pytest.raises(ConfigError, match="subset 'train': votes.csv has no splits"):
        find_stills(replace(VOTES, table=table), some_votes(tmp_path), "train")


def test_the_real_votes(shared_data: Path) -> None:
    """The majority of the ten annotators, counted from the table on its own."""
    table = load_descriptor("ferplus").table
    assert table is not None
    counts: Counter[str] = Counter()
    with zipfile.ZipFile(shared_data / "ferplus.zip") as archive:
        for row in csv.DictReader(io.TextIOWrapper(archive.open("ferplus/votes.csv"), encoding="utf-8")):
            label = majority({name: float(row[name]) for name in table.vote_columns}, table.vote_columns)
            if row["split"] == "valid":
                counts["none" if label < 0 else EXPRESSION_CLASSES[label]] += 1
    assert counts["none"] == 181
    assert [counts[name] for name in EXPRESSION_CLASSES] == [1229, 307, 29, 70, 871, 389, 410, 24]


@pytest.mark.parametrize("image", ["", "/etc/passwd", "../secret.png", "a/../../secret.png", "..", "a\0b.png", "/"])
def test_images_outside_their_folder_are_refused_with_file_and_line(tmp_path: Path, image: str) -> None:
    write(tmp_path / "set", "train.csv", "image,expression", "a.png,0", f"{image},0", images="a.png")
    (tmp_path / "secret.png").touch()
    with pytest.raises(DataError, match=r"train\.csv:3: image: expected the path of an image below .*set, found "):
        find_stills(LABELS, tmp_path / "set")


@pytest.mark.parametrize("line", ["x" * 300 + ".png,0", "a.png," + "9" * 5000, '"' + "x" * 200_000 + ".png" + '",0'])
def test_fields_of_any_length_are_refused_in_one_line(tmp_path: Path, line: str) -> None:
    root = write(tmp_path, "train.csv", "image,expression", line, images="a.png")
    with pytest.raises(DataError, match=r"train\.csv:2"):
        find_stills(LABELS, root)
