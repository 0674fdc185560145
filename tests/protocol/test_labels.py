"""The official files of every task in all their variants."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abaw.core.errors import ConfigError, DataError
from abaw.protocol.annotations import TRAIN_SET, VALIDATION_SET, write_annotation
from abaw.protocol.classes import ACTION_UNITS, TASKS, VALENCE_AROUSAL
from abaw.protocol.labels import (
    FOLDERS,
    FrameLabels,
    names_elsewhere,
    read_action_units,
    read_labels,
    read_valence_arousal,
    write_action_units,
    write_valence_arousal,
)
from abaw.protocol.multitask import read_multitask

VA = "valence,arousal"
AU = ",".join(ACTION_UNITS)
MTL = "image,valence,arousal,expression,aus"
ON = ",".join(["1"] * 12)
OFF = ",".join(["0"] * 12)
NONE = ",".join(["-1"] * 12)
NAN = float("nan")


def file(folder: Path, name: str, content: str | bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def same(found: np.ndarray, expected: object) -> bool:
    return np.array_equal(
        found, np.array(expected, found.dtype).reshape(found.shape), equal_nan=found.dtype.kind == "f"
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(f"{VA}\n0.5,-0.25\n-1,1\n", [[0.5, -0.25], [-1, 1]], id="official"),
        pytest.param(f"{VA}\r\n0.5,-0.25\r\n-5,-5\r\n", [[0.5, -0.25], [NAN, NAN]], id="CRLF"),
        pytest.param(f"\ufeff{VA}\n.5,-2.5e-1", [[0.5, -0.25]], id="byte order mark, exponent, no last line end"),
        pytest.param(f"{VA} \n 0.5 , -0.25 \n", [[0.5, -0.25]], id="spaces"),
        pytest.param(f"{VA}\n-5.0,-5.000\n0,0\n\n\n", [[NAN, NAN], [0, 0]], id="blank lines at the end"),
        pytest.param(f"{VA}\n\n0,0\n", [[NAN, NAN], [0, 0]], id="a blank line inside is a frame without values"),
        pytest.param(f"{VA}\n0.1,-5\n", [[NAN, NAN]], id="only one of the two"),
        pytest.param(f"{VA}\n", [], id="header alone"),
    ],
)
def test_reads_valence_and_arousal(tmp_path: Path, content: str, expected: list[list[float]]) -> None:
    found = read_valence_arousal(file(tmp_path, "v.txt", content))
    assert found.dtype == np.float32 and found.shape == (len(expected), 2)
    assert same(found, expected)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param("", r"v\.txt:1: wrong header", id="empty file"),
        pytest.param("arousal,valence\n0,0\n", r"v\.txt:1: wrong header", id="another order"),
        pytest.param(f"{VA}\n0,0\n1.01,0\n", r"v\.txt:3: expected two numbers in \[-1, 1\].* found '1\.01'", id="1.01"),
        pytest.param(f"{VA}\n0,0\n0,-1.5\n", r"v\.txt:3: .* found '-1\.5'", id="-1.5"),
        pytest.param(f"{VA}\n0,-4.999\n", r"v\.txt:2: .* found '-4\.999'", id="almost -5"),
        pytest.param(f"{VA}\n0,0\n\nnan,0\n", r"v\.txt:4: .* found 'nan'", id="nan"),
        pytest.param(f"{VA}\n0,inf\n", r"v\.txt:2: .* found 'inf'", id="inf"),
        pytest.param(f"{VA}\n0,a\n", r"v\.txt:2: .* found 'a'", id="not a number"),
        pytest.param(f"{VA}\n0,\n", r"v\.txt:2: .* found ''", id="nothing"),
        pytest.param(f"{VA}\n0.1\n", r"v\.txt:2: .* found 1 fields: '0\.1'", id="one field"),
        pytest.param(f"{VA}\n0,0,0\n", r"v\.txt:2: .* found 3 fields", id="three fields"),
        pytest.param(f"{VA}\n0,0,0\n0\n", r"v\.txt:2: .* found 3 fields", id="three fields and one"),
        pytest.param(f"{VA}\n0,0 \xff\n".encode("latin-1"), r"v\.txt: not readable", id="not UTF-8"),
    ],
)
def test_faults_of_valence_and_arousal_name_the_line(tmp_path: Path, content: str | bytes, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_valence_arousal(file(tmp_path, "v.txt", content))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(f"{AU}\n{ON}\n{OFF}\n{NONE}\n", [[1] * 12, [0] * 12, [-1] * 12], id="official"),
        pytest.param(
            f"{AU.replace(',', ', ')} \r\n\r\n{ON.replace(',', ', ')}", [[-1] * 12, [1] * 12], id="spaces, CRLF, blank"
        ),
    ],
)
def test_reads_action_units(tmp_path: Path, content: str, expected: list[list[int]]) -> None:
    found = read_action_units(file(tmp_path, "v.txt", content))
    assert found.dtype == np.int8
    assert found.tolist() == expected


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f"{AU}\n{OFF}\n2{OFF[1:]}\n", r"v\.txt:3: expected 12 times -1, 0 or 1, found '2'"),
        (f"{AU}\n0.5{OFF[1:]}\n", r"v\.txt:2: .* found '0\.5'"),
        (f"{AU}\n{OFF},0\n", r"v\.txt:2: .* found 13 fields"),
        (f"{AU},AU27\n", r"v\.txt:1: wrong header"),
    ],
)
def test_faults_of_action_units(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_action_units(file(tmp_path, "v.txt", content))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(-1000, 1000), st.integers(-1000, 1000)) | st.none(), max_size=30))
def test_valence_and_arousal_round_trip(values: list[tuple[int, int] | None]) -> None:
    table = np.array([(NAN, NAN) if pair is None else pair for pair in values], np.float32).reshape(-1, 2) / 1000
    with tempfile.TemporaryDirectory() as folder:
        write_valence_arousal(Path(folder) / "v.txt", table)
        assert np.allclose(read_valence_arousal(Path(folder) / "v.txt"), table, atol=1e-6, equal_nan=True)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.sampled_from([-1, 0, 1]), min_size=12, max_size=12), max_size=20))
def test_action_units_round_trip(values: list[list[int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_action_units(Path(folder) / "v.txt", np.array(values, np.int64).reshape(-1, 12))
        assert read_action_units(Path(folder) / "v.txt").tolist() == values


@pytest.mark.parametrize("above", ["", "annotations"])
def test_the_union_of_the_files_of_all_tasks(tmp_path: Path, above: str) -> None:
    root = tmp_path / above
    write_annotation(root / "EXPR_Recognition_Challenge" / TRAIN_SET / "a.txt", np.array([3, -1]))
    file(root / "VA_Estimation_Challenge" / TRAIN_SET, "a.txt", f"{VA}\n0.5,0.25\n-5,-5\n1,1\n")
    file(root / "VA_Estimation_Challenge" / TRAIN_SET, "b_left.txt", f"{VA}\n0,0\n")
    file(root / "AU_Detection_Challenge" / TRAIN_SET, "c.txt", f"{AU}\n{ON}\n")
    found = read_labels(tmp_path, TRAIN_SET, TASKS)
    assert list(found) == ["a", "b_left", "c"]
    assert found["a"].expression.tolist() == [3, -1, -1]
    assert same(found["a"].valence_arousal, [[0.5, 0.25], [NAN, NAN], [1, 1]])
    assert found["a"].action_units.tolist() == [[-1] * 12] * 3
    assert (found["b_left"].expression.tolist(), len(found["b_left"])) == ([-1], 1)
    assert found["c"].action_units.tolist() == [[1] * 12]
    assert list(read_labels(tmp_path, TRAIN_SET, ["expression"])) == ["a"]
    assert list(read_labels(tmp_path, TRAIN_SET, ["valence_arousal", "expression"])) == ["a", "b_left"]


def rows(*texts: str) -> str:
    return "\n".join([MTL, *texts]) + "\n"


@pytest.mark.parametrize(
    "place",
    ["training_set_annotations.txt", "MTL_Challenge/train_set.txt", "annotations/training_set_annotations_22.txt"],
)
def test_multi_task_files(tmp_path: Path, place: str) -> None:
    content = rows(f"b é/00003.jpg,0.5,-0.5,-1,{ON}", f"a/00001.jpg,-5.0,-5.0,7,{NONE}", f"b é/00001.jpg,-1,1,0,{OFF}")
    path = file((tmp_path / place).parent, Path(place).name, content)
    for root in (tmp_path, path):
        found = read_labels(root, TRAIN_SET, TASKS)
        assert list(found) == ["a", "b é"]
        assert found["b é"].expression.tolist() == [0, -1, -1]
        assert same(found["b é"].valence_arousal, [[-1, 1], [NAN, NAN], [0.5, -0.5]])
        assert found["b é"].action_units.tolist() == [[0] * 12, [-1] * 12, [1] * 12]
        assert found["a"].expression.tolist() == [7]
    alone = read_labels(tmp_path, TRAIN_SET, ["valence_arousal"])["b é"]
    assert (alone.expression.tolist(), alone.action_units.max()) == ([-1] * 3, -1)
    with pytest.raises(DataError, match="no Validation_Set of expression"):
        read_labels(tmp_path, VALIDATION_SET, TASKS)


def test_a_multi_task_file_with_spaces_is_read(tmp_path: Path) -> None:
    path = file(tmp_path, "x.txt", rows(f" a/00002.jpg , 0.5, 0 ,1,{ON} ").replace("\n", "\r\n"))
    assert read_labels(path, TRAIN_SET, TASKS)["a"].expression.tolist() == [-1, 1]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (f"a/00002.jpg,0,2,0,{ON}", r"found '2'"),
        (f"a/00002.jpg,0,0,8,{ON}", r"found '8'"),
        (f"a/00002.jpg,0,0,0.5,{ON}", r"found '0\.5'"),
        (f"a/00002.jpg,0,0,0,2{ON[1:]}", r"found '2'"),
        (f"a/00002.jpg,0,0,0,{ON},1", r"found 16 fields"),
        (f"a/00000.jpg,0,0,0,{ON}", r"expected '<video>/00001\.jpg' before the first comma"),
        (f"00002.png,0,0,0,{ON}", r"found '00002\.png'"),
        (f"a/00001.jpg,0,0,0,{ON}", r"frame 1 of a already has a row"),
        ("", r"blank line"),
    ],
)
def test_faults_of_multi_task_files_name_the_line(tmp_path: Path, row: str, words: str) -> None:
    path = file(tmp_path, "x.txt", rows(f"a/00001.jpg,0,0,0,{ON}", row, f"b/00001.jpg,0,0,0,{ON}"))
    with pytest.raises(DataError, match=rf"x\.txt:3: .*{words}"):
        read_labels(path, TRAIN_SET, TASKS)


def test_the_file_of_the_other_split_is_refused(tmp_path: Path) -> None:
    path = file(tmp_path, "training_set_annotations.txt", rows(f"a/00001.jpg,0,0,0,{ON}"))
    with pytest.raises(DataError, match="not the file of Validation_Set"):
        read_labels(path, VALIDATION_SET, TASKS)


@pytest.mark.parametrize("place", ["", TRAIN_SET, f"EXPR_Classification_Challenge/{TRAIN_SET}"])
def test_one_task_may_be_given_by_a_folder_of_its_files(tmp_path: Path, place: str) -> None:
    write_annotation(tmp_path / place / "v.txt", np.array([4, 4]))
    assert read_labels(tmp_path, TRAIN_SET, ("expression",))["v"].expression.tolist() == [4, 4]
    with pytest.raises(DataError, match=r"v\.txt:1: wrong header|no Train_Set of valence_arousal"):
        read_labels(tmp_path, TRAIN_SET, ("valence_arousal",))
    with pytest.raises(DataError, match="no Train_Set of .*action_units found"):
        read_labels(tmp_path, TRAIN_SET, ("expression", "action_units"))


def test_an_empty_folder_and_an_unknown_task(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no Train_Set of expression found"):
        read_labels(tmp_path, TRAIN_SET, ("expression",))
    (tmp_path / FOLDERS["expression"][0] / TRAIN_SET).mkdir(parents=True)
    with pytest.raises(DataError, match="no annotation file"):
        read_labels(tmp_path, TRAIN_SET, ("expression",))
    with pytest.raises(ConfigError, match="Did you mean 'expression'"):
        read_labels(tmp_path, TRAIN_SET, ("expresion",))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 12), st.integers(0, 20))
def test_labels_for_another_number_of_frames(length: int, num_frames: int) -> None:
    whole = FrameLabels(
        "v",
        (np.arange(length) % 8).astype(np.int8),
        np.full((length, 2), 0.5, np.float32),
        np.ones((length, 12), np.int8),
    )
    cut = whole.for_frames(num_frames)
    kept = min(length, num_frames)
    assert len(cut) == len(cut.valence_arousal) == len(cut.action_units) == num_frames
    assert cut.expression.tolist() == [*whole.expression[:kept], *[-1] * (num_frames - kept)]
    assert np.isnan(cut.valence_arousal[kept:]).all() and (cut.valence_arousal[:kept] == 0.5).all()
    assert (cut.action_units[kept:] == -1).all() and (cut.action_units[:kept] == 1).all()


def test_clean_files_are_parsed_in_one_call(tmp_path: Path) -> None:
    """A tenth of Aff-Wild2 with all tasks; reading it line by line would take more than 5 s."""
    rng = np.random.default_rng(0)
    num = 65_000
    for video in range(4):
        name = f"{video}.txt"
        write_annotation(tmp_path / FOLDERS["expression"][0] / TRAIN_SET / name, rng.integers(-1, 8, num))
        write_valence_arousal(tmp_path / FOLDERS["valence_arousal"][0] / TRAIN_SET / name, rng.uniform(-1, 1, (num, 2)))
        write_action_units(tmp_path / FOLDERS["action_units"][0] / TRAIN_SET / name, rng.integers(-1, 2, (num, 12)))
    start = time.process_time()
    found = read_labels(tmp_path, TRAIN_SET, TASKS)
    assert time.process_time() - start < 3
    assert sum(map(len, found.values())) == 4 * num


def test_names_of_the_other_split_come_from_all_its_tasks(tmp_path: Path) -> None:
    root = tmp_path / "annotations"
    for place in ("EXPR_Recognition_Challenge/Train_Set/a", "AU_Detection_Challenge/Train_Set/b", "Train_Set/c"):
        file = root / f"{place}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (root / "Train_Set" / "._c.txt").touch()
    (root / "train_set.txt").write_text("image,valence,arousal,expression,aus\nd/00001.jpg,0\nd/00002.jpg,0\n")
    assert names_elsewhere(root, ("Validation_Set",)) == {"a", "b", "c", "d"}
    assert names_elsewhere(root, ("Train_Set",)) == names_elsewhere(root, ("Train_Set", "Validation_Set")) == set()
    assert names_elsewhere(root / "Validation_Set", ("Validation_Set",)) == {"a", "b", "c", "d"}
    assert names_elsewhere(tmp_path / "none", ("Validation_Set",)) == set()


@pytest.mark.parametrize("number", ["9" * 400, "9" * 5000, "1e999", "1e300", "-1e39", "nan"])
@pytest.mark.parametrize(
    ("read", "names"), [(read_valence_arousal, VALENCE_AROUSAL), (read_action_units, ACTION_UNITS)]
)
def test_numbers_of_any_size_are_refused_with_their_line(
    tmp_path: Path, read: Callable[[Path], object], names: tuple[str, ...], number: str
) -> None:
    path = tmp_path / "v.txt"
    path.write_text(f"{','.join(names)}\n{','.join(['0'] * len(names))}\n{','.join([number] * len(names))}\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match=r"v\.txt:3: expected .*, found '") as caught:
            read(path)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("frame", ["99999999", "9" * 12, "9" * 5000, "9999999"])
def test_a_frame_number_that_no_video_has_is_refused(tmp_path: Path, frame: str) -> None:
    path = tmp_path / "train_set.txt"
    row = ",".join(["0"] * 15)
    path.write_text(f"image,valence,arousal,expression,aus\nv/00001.jpg,{row}\nv/{frame}.jpg,{row}\n")
    with pytest.raises(DataError, match=r"train_set\.txt:3: ") as caught:
        read_multitask(path)
    assert len(str(caught.value)) < 500
