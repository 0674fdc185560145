"""The official text files in all their variants."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abaw.core.errors import DataError
from abaw.protocol.annotations import (
    TRAIN_SET,
    VALIDATION_SET,
    Annotation,
    class_counts,
    read_annotation,
    read_annotations,
    split_folder,
    text_files,
    write_annotation,
)

HEADER = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(f"{HEADER}\n0\n7\n-1\n", [0, 7, -1], id="official"),
        pytest.param(f"{HEADER}\r\n0\r\n7\r\n-1\r\n", [0, 7, -1], id="CRLF"),
        pytest.param(f"{HEADER}\n0\n7\n-1", [0, 7, -1], id="no last line end"),
        pytest.param(f"{HEADER}\n0 \n 7\n\t-1\n", [0, 7, -1], id="spaces"),
        pytest.param(f"{HEADER}\n0\n7\n-1\n\n\n", [0, 7, -1], id="blank lines at the end"),
        pytest.param(f"{HEADER}\n0\n\n7\n", [0, -1, 7], id="a blank line inside is a frame without a label"),
        pytest.param(f"{HEADER.replace(',', ', ')}\n3\n", [3], id="spaces in the header"),
        pytest.param(f"\ufeff{HEADER}\n3\n", [3], id="byte order mark"),
        pytest.param(f"{HEADER}\n", [], id="header alone"),
    ],
)
def test_read_annotation(tmp_path: Path, content: str, expected: list[int]) -> None:
    path = tmp_path / "video 1 é.txt"
    path.write_bytes(content.encode())
    annotation = read_annotation(path)
    assert annotation.name == "video 1 é"
    assert annotation.labels.dtype == np.int8
    assert annotation.labels.tolist() == expected


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param("", r"x\.txt:1: wrong header", id="empty file"),
        pytest.param("0\n1\n", r"x\.txt:1: wrong header", id="no header"),
        pytest.param(f"{HEADER},Contempt\n0\n", r"x\.txt:1: wrong header", id="a ninth class"),
        pytest.param(
            "Neutral,Disgust,Anger,Fear,Happiness,Sadness,Surprise,Other\n0\n", r"x\.txt:1:", id="class order"
        ),
        pytest.param(f"{HEADER}\n0\n8\n", r"x\.txt:3: .* found '8'", id="label 8"),
        pytest.param(f"{HEADER}\n0\n\na\n", r"x\.txt:4: .* found 'a'", id="label a"),
        pytest.param(f"{HEADER}\n-2\n", r"x\.txt:2: .* found '-2'", id="label -2"),
        pytest.param(f"{HEADER}\n1.0\n", r"x\.txt:2: .* found '1\.0'", id="float"),
    ],
)
def test_faults_name_the_line(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "x.txt").write_text(content, newline="")
    with pytest.raises(DataError, match=words):
        read_annotation(tmp_path / "x.txt")


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.txt: no such file"):
        read_annotation(tmp_path / "none.txt")
    (tmp_path / "x.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"x\.txt: not readable"):
        read_annotation(tmp_path / "x.txt")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-1, 7), max_size=60))
def test_round_trip(labels: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "v.txt"
        write_annotation(path, np.array(labels, dtype=np.int64))
        assert path.read_text() == "\n".join([HEADER, *map(str, labels)]) + "\n"
        assert read_annotation(path).labels.tolist() == labels


@pytest.mark.parametrize("label", [-2, 8])
def test_invalid_labels_are_not_written(tmp_path: Path, label: int) -> None:
    with pytest.raises(DataError, match="labels must be"):
        write_annotation(tmp_path / "v.txt", np.array([0, label]))
    assert not (tmp_path / "v.txt").exists()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-1, 7), max_size=20), st.integers(0, 30))
def test_labels_are_cut_or_padded_to_the_number_of_frames(labels: list[int], num_frames: int) -> None:
    found = Annotation("v", np.array(labels, dtype=np.int8)).for_frames(num_frames).tolist()
    assert found == (labels + [-1] * num_frames)[:num_frames]


def test_class_counts_leave_out_unlabelled() -> None:
    counts = class_counts(
        {name: Annotation(name, np.array(labels, np.int8)) for name, labels in {"a": [0, 0, -1], "b": [7]}.items()}
    )
    assert counts.tolist() == [2, 0, 0, 0, 0, 0, 0, 1]


def test_a_folder_without_annotations(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no annotation file"):
        read_annotations(tmp_path)


@pytest.mark.parametrize(
    "place",
    [
        "Validation_Set",
        "EXPR_Recognition_Challenge/Validation_Set",
        "EXPR_Classification_Challenge/Validation_Set",
        "annotations/EXPR_Recognition_Challenge/Validation_Set",
    ],
)
def test_the_split_is_found_in_every_official_layout(tmp_path: Path, place: str) -> None:
    (tmp_path / place).mkdir(parents=True)
    assert split_folder(tmp_path, VALIDATION_SET) == tmp_path / place


def test_the_split_folder_itself_may_be_given(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no Train_Set found"):
        split_folder(tmp_path, TRAIN_SET)
    write_annotation(tmp_path / "v.txt", np.array([0]))
    assert split_folder(tmp_path, TRAIN_SET) == tmp_path
    assert list(read_annotations(tmp_path)) == ["v"]


def test_text_files_are_found_in_any_case_and_without_what_operating_systems_leave(tmp_path: Path) -> None:
    for name in ("b.txt", "A.TXT", "._b.txt", ".DS_Store", "notes.md"):
        (tmp_path / name).touch()
    assert text_files(tmp_path) == {"A": tmp_path / "A.TXT", "b": tmp_path / "b.txt"}
    assert text_files(tmp_path / "none") == {}
    (tmp_path / "b.TXT").touch()
    with pytest.raises(DataError, match=r"b\.TXT and b\.txt are both for 'b'"):
        text_files(tmp_path)
