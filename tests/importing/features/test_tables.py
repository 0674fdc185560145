"""What OpenFace, py-feat, openSMILE and others write: columns, validity, times and names of videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from abaw.core.artifacts import file_hash, value_hash
from abaw.core.config import to_plain
from abaw.importing.features.matching import MatchRules
from abaw.stores.features import FeatureStore, open_features
from tests.importing.features.test_faults import lines
from tests.importing.features.writers import FPS, make_faces, run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_faces(tmp_path / "faces", "a", "b", num_frames=6)
    (tmp_path / "in").mkdir()
    return tmp_path


def put(root: Path, name: str, *rows: str) -> str:
    (root / "in" / name).write_text("\n".join(rows) + "\n", encoding="utf-8")
    return str(root / "in" / name)


def store(root: Path, name: str = "a") -> FeatureStore:
    return open_features(root / "out" / f"{name}.arrow")


def column(root: Path, name: str = "a") -> list[float | None]:
    """The first number of each frame, None where not valid."""
    return [None if row is None else row[0] for row in store(root, name).store.table.column("feature").to_pylist()]


OPENFACE = (
    "frame, face_id, timestamp, confidence, success, gaze_0_x, AU01_r, AU01_c",
    *(f"{k + 1}, 0, {k / FPS:.3f}, {(0.98, 0.6)[k == 2]}, {int(k != 4)}, 0.5, {k}, 1" for k in range(6)),
)


def test_openface_rows_without_success_have_no_feature(root: Path) -> None:
    assert run(root, put(root, "a.csv", *OPENFACE), "--first_frame", "1", "--columns", "AU*_r") == 0
    assert column(root) == [0, 1, 2, 3, None, 5]
    assert store(root).meta["columns"] == ["AU01_r"] and store(root).feature_dim == 1


def test_a_minimum_of_confidence(root: Path) -> None:
    words = ["--first_frame", "1", "--columns", "AU*_r", "gaze*", "--min_confidence", "0.9"]
    assert run(root, put(root, "a.csv", *OPENFACE), *words) == 0
    assert [each is None for each in column(root)] == [False, False, True, False, True, False]
    assert store(root).meta["columns"] == ["gaze_0_x", "AU01_r"], "in the order of the file"


TWICE = (
    "frame,n,timestamp,t2,confidence,f",
    *(f"{k + 1},{6 - k},{k / FPS},{(k + 1) / FPS},{(0.9, 0.4)[k == 2]},{k}" for k in range(6)),
)
LISTS = pa.table({name: [[float(k + step)] for k in range(6)] for step, name in enumerate(("feature", "other"))})


@pytest.mark.parametrize(
    ("before", "words", "expected"),
    [
        pytest.param([], ["--min_confidence", "0.5"], [0, 1, None, 3, 4, 5], id="min_confidence"),
        pytest.param(["--match_by", "time"], ["--time_column", "t2"], [None, 0, 1, 2, 3, 4], id="time_column"),
        pytest.param([], ["--frame_column", "n"], [5, 4, 3, 2, 1, 0], id="frame_column"),
    ],
)
def test_a_table_that_is_read_otherwise_is_another_store(
    root: Path, before: list[str], words: list[str], expected: list[float | None], capsys: pytest.CaptureFixture[str]
) -> None:
    usual = [put(root, "a.csv", *TWICE), "--first_frame", "1", "--columns", "f", *before]
    assert run(root, *usual) == 0
    assert run(root, *usual, *words) == 1
    assert len(lines(capsys, "a.arrow: was made from another input or with other settings")) == 1
    assert column(root) == [0, 1, 2, 3, 4, 5]
    (root / "out" / "a.arrow").unlink()
    assert run(root, *usual, *words) == 0
    assert column(root) == expected
    capsys.readouterr()
    assert run(root, *usual, *words) == 0
    assert len(lines(capsys, "a: already exists")) == 1


def test_another_column_of_videos_is_another_store(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{name},{other},0,{k}" for k, (name, other) in enumerate((("a", "b"), ("b", "a")))]
    words = [put(root, "all.csv", "video,clip,frame,f", *rows), "--first_frame", "0", "--columns", "f"]
    assert run(root, *words) == 0
    assert (column(root)[0], column(root, "b")[0]) == (0, 1)
    assert run(root, *words, "--video_column", "clip") == 1
    assert len(lines(capsys, "was made from another input or with other settings")) == 2


def test_another_column_of_lists_is_another_store(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pq.write_table(LISTS, root / "in" / "a.parquet")
    assert run(root, str(root / "in"), "--columns", "feature") == 0
    assert run(root, str(root / "in"), "--columns", "other") == 1
    assert len(lines(capsys, "a.arrow: was made from another input or with other settings")) == 1
    assert column(root) == [0, 1, 2, 3, 4, 5]


def test_stores_of_versions_that_did_not_record_how_tables_are_read(root: Path) -> None:
    path = put(root, "a.csv", *OPENFACE)
    assert run(root, path, "--first_frame", "1", "--columns", "AU*_r") == 0
    settings = ["net", "face", [], False, ["AU01_r"], 1, to_plain(MatchRules(1))]
    origin = {"file": file_hash(Path(path)), "video": "a", "faces": "a", "settings": settings}
    assert store(root).meta["fingerprint"] == value_hash(origin)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_column_may_be_a_feature_and_say_which_frame_a_row_is(root: Path, kind: str) -> None:
    if kind == "csv":
        put(root, "a.csv", "frame,f", *(f"{k},{k / 2}" for k in range(6)))
    else:
        pq.write_table(pa.table({"frame": range(6), "f": np.arange(6) / 2}), root / "in" / "a.parquet")
    assert run(root, str(root / "in"), "--first_frame", "0", "--columns", "*") == 0
    assert store(root).features().tolist() == [[k, k / 2] for k in range(6)]


def test_all_numbers_of_openface_without_its_keys(root: Path) -> None:
    assert run(root, put(root, "a.csv", *OPENFACE), "--first_frame", "1") == 0
    assert store(root).meta["columns"] == ["gaze_0_x", "AU01_r", "AU01_c"]


def test_openface_by_its_time_stamps(root: Path) -> None:
    rows = put(root, "a.csv", *OPENFACE)
    assert run(root, rows, "--match_by", "time", "--columns", "AU*_r") == 0
    assert column(root) == [0, 1, 2, 3, None, 5]
    assert (store(root).meta["matched_by"], store(root).meta["resample"]) == ("time", "nearest")


def test_a_second_face_in_a_frame_is_reported(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    again = "3, 1, 0.08, 0.9, 1, 0.1, 9, 0"
    assert run(root, put(root, "a.csv", *OPENFACE, again), "--first_frame", "1") == 1
    assert len(lines(capsys, "line 8: frame 3 occurs twice, first in line 4; keep one row per frame, that of one")) == 1


def test_pyfeat_frames_without_a_face(root: Path) -> None:
    header = "FaceRectX,FaceScore,AU01,happiness,input,frame,approx_time,Identity"
    rows = [
        f"1.0,{'nan' if k == 3 else 0.99},{'nan' if k == 3 else k},0.5,clip.mp4,{k}.0,00:00,Person_0" for k in range(6)
    ]
    words = ["--first_frame", "0", "--columns", "AU*", "happiness"]
    assert run(root, put(root, "a.csv", header, *rows), *words) == 0
    assert column(root) == [0, 1, 2, None, 4, 5]


OPENSMILE_HEADER = "name;frameTime;F0;loudness"


def opensmile(name: str, num: int = 24) -> list[str]:
    """A row every 10 ms; F0 is the number of the row."""
    return [f"'{name}';{k / 100:.6f};{k};0.1" for k in range(num)]


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("nearest", [0, 4, 8, 12, 16, 20]),
        ("linear", [0, 4, 8, 12, 16, 20]),
        # Rows 2, 6, 10, … are in the middle of two frames and belong to the earlier one.
        ("mean", [1, 4.5, 8.5, 12.5, 16.5, 21]),
    ],
)
@pytest.mark.parametrize("name", ["unknown", "a", "a.wav"])
def test_opensmile(root: Path, method: str, expected: list[float], name: str) -> None:
    path = put(root, "a.csv", OPENSMILE_HEADER, *opensmile(name))
    known = [] if name != "a.wav" else ["--video_column", "name"]
    assert run(root, path, "--resample", method, "--modality", "sound", *known) == 0
    assert column(root) == pytest.approx(expected)
    meta = store(root).meta
    assert (meta["modality"], meta["resample"], meta["columns"]) == ("sound", method, ["F0", "loudness"])
    assert store(root).source.modality == "sound"


def test_opensmile_with_all_videos_in_one_file(root: Path) -> None:
    rows = [line for pair in zip(opensmile("b.wav"), opensmile("a.wav"), strict=True) for line in pair]
    assert run(root, put(root, "sound.csv", OPENSMILE_HEADER, *rows), "--modality", "sound") == 0
    assert column(root) == column(root, "b") == [0, 4, 8, 12, 16, 20]


def test_sound_of_a_video_goes_to_all_its_people(tmp_path: Path) -> None:
    make_faces(tmp_path / "faces", "v", "v_left", "v_right", "w", num_frames=6)
    (tmp_path / "in").mkdir()
    put(tmp_path, "v.csv", OPENSMILE_HEADER, *opensmile("unknown"))
    put(tmp_path, "v_right.csv", OPENSMILE_HEADER, *opensmile("unknown")[4:])
    assert run(tmp_path, str(tmp_path / "in"), "--modality", "sound") == 0
    assert sorted(path.stem for path in (tmp_path / "out").glob("*.arrow")) == ["v", "v_left", "v_right"]
    assert column(tmp_path, "v_left") == column(tmp_path, "v") and column(tmp_path, "v_right")[0] is None


def test_sound_of_a_video_goes_to_the_people_that_extract_numbered(tmp_path: Path) -> None:
    make_faces(tmp_path / "faces", "v_person1", "v_person2", "v_track3", "w_person1", num_frames=6)
    (tmp_path / "in").mkdir()
    put(tmp_path, "v.csv", OPENSMILE_HEADER, *opensmile("unknown"))
    put(tmp_path, "v_person2.csv", OPENSMILE_HEADER, *opensmile("unknown")[4:])
    assert run(tmp_path, str(tmp_path / "in"), "--modality", "sound") == 0
    assert sorted(path.stem for path in (tmp_path / "out").glob("*.arrow")) == ["v_person1", "v_person2", "v_track3"]
    assert column(tmp_path, "v_person1") == column(tmp_path, "v_track3") == [0, 4, 8, 12, 16, 20]
    assert column(tmp_path, "v_person2")[0] is None


def test_features_of_a_face_stay_with_one_person(tmp_path: Path) -> None:
    make_faces(tmp_path / "faces", "v", "v_left", num_frames=6)
    (tmp_path / "in").mkdir()
    assert run(tmp_path, put(tmp_path, "v.csv", *OPENFACE), "--first_frame", "1") == 0
    assert [path.stem for path in (tmp_path / "out").glob("*.arrow")] == ["v"]


def test_times_that_are_no_seconds(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{k * 40};{k}" for k in range(6)]
    assert run(root, put(root, "a.csv", "time;x", *rows)) == 1
    (found,) = lines(capsys, "its rows end at 200.000 s, the frames at 0.200 s: ")
    assert "more than 16; times are in seconds" in found


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["0,1", "0,2"], "line 3: the time 0 s occurs twice, first in line 2"),
        (["0,1", ",2"], "line 3: has no time"),
        (["0,1", "0.04,x"], "not readable as a table"),
        (["0,1", "0.04"], "not readable as a table"),
        ([], "contains no row"),
    ],
)
def test_faults_of_times(root: Path, rows: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(root, put(root, "a.csv", "timestamp,f", *rows)) == 1
    assert len(lines(capsys, message)) == 1


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("frame,frame,f", "has two columns named 'frame'"),
        ("frame,time_s", "has no columns of features, only frame, time_s"),
    ],
)
def test_faults_of_headers(root: Path, header: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(root, put(root, "a.csv", header, "1,2,3"[: 2 * header.count(",") + 1])) == 1
    assert len(lines(capsys, message)) == 1


@pytest.mark.parametrize("number", ["1.5", "nan", "", "inf"])
def test_a_frame_that_is_no_number(root: Path, number: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(root, put(root, "a.csv", "frame,f", "1,0.5", f"{number},0.5"), "--first_frame", "1") == 1
    assert len(lines(capsys, "line 3: expected the number of a frame")) == 1


def test_stores_without_times_are_matched_by_number_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_faces(tmp_path / "faces", "a", num_frames=6, times=False)
    (tmp_path / "in").mkdir()
    path = put(tmp_path, "a.csv", *OPENFACE)
    assert run(tmp_path, path, "--match_by", "time") == 1
    assert len(lines(capsys, "its faces store has no times, as after import-crops; match by frame number")) == 1
    assert run(tmp_path, path, "--first_frame", "1") == 0


def test_a_table_of_parquet_in_a_column_each(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wide = pa.table(
        {"frame": range(6), "f0": np.arange(6), "f1": np.arange(6) / 2, "ok": [True] * 6, "note": ["x"] * 6}
    )
    pq.write_table(wide, root / "in" / "a.parquet")
    words = [str(root / "in/a.parquet"), "--first_frame", "0"]
    assert run(root, *words) == 1
    assert len(lines(capsys, "column 'note' holds string, not numbers; choose with --columns")) == 1
    assert run(root, *words, "--columns", "f[0-9]") == 0
    assert np.array_equal(store(root).features()[:, 1], np.arange(6) / 2)


def test_the_index_of_pandas_is_no_feature(root: Path) -> None:
    rows = [f"{k},{k},0.5" for k in range(6)]
    assert run(root, put(root, "a.csv", ",frame,f", *rows), "--first_frame", "0") == 0
    assert store(root).meta["columns"] == ["f"]


def test_lists_that_are_null_are_frames_without_a_feature(root: Path) -> None:
    lists = [[float(k), 0.0] if k != 2 else None for k in range(6)]
    pq.write_table(pa.table({"frame": range(6), "embedding": lists, "score": np.ones(6)}), root / "in" / "a.parquet")
    assert run(root, str(root / "in/a.parquet"), "--first_frame", "0") == 0
    assert column(root) == [0, 1, None, 3, 4, 5]


def test_columns_in_another_order_are_other_features(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(root, "a.csv", "frame,f,g", *(f"{k},1,2" for k in range(6)))
    put(root, "b.csv", "frame,g,f", *(f"{k},2,1" for k in range(6)))
    assert run(root, str(root / "in"), "--first_frame", "0") == 1
    assert len(lines(capsys, "b.csv: has its columns in another order")) == 1
    put(root, "b.csv", "frame,f,h", *(f"{k},2,1" for k in range(6)))
    assert run(root, str(root / "in"), "--first_frame", "0") == 1
    assert len(lines(capsys, "b.csv: has columns that the first video lacks (h)")) == 1


def test_a_row_that_names_no_video(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(root, put(root, "all.csv", "video,frame,f", "a,0,1", ",1,1"), "--first_frame", "0") == 1
    assert len(lines(capsys, "line 3: its column 'video' names no video")) == 1
