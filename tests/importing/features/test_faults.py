"""Every format with every fault: one line that names the file, what is wrong and, as far as possible, the row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from abaw.importing.features.registry import SUFFIXES
from abaw.stores.features import open_features
from tests.importing.features.writers import WRITERS, D, Rows, T, make_faces, run, whole, write

KINDS = tuple(WRITERS)
NUMBERED = tuple(kind for kind in KINDS if kind != "npy")
FIRST = ("--first_frame", "1")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_faces(tmp_path / "faces", "a", "b_left")
    return tmp_path


def good() -> dict[str, Rows]:
    return {"a": whole(0), "b_left": whole(1)}


def features(root: Path, name: str = "a") -> np.ndarray:
    return open_features(root / "out" / f"{name}.arrow").features()


def lines(capsys: pytest.CaptureFixture[str], text: str) -> list[str]:
    """The lines of an error that contain the text; each failure is also in the summary at the end."""
    error = capsys.readouterr().err
    assert "Traceback" not in error and "unexpected" not in error, error
    return [line for line in error.splitlines() if text in line and not line.startswith("  ")]


@pytest.mark.parametrize("kind", KINDS)
def test_all_rows_arrive_in_their_frames(root: Path, kind: str) -> None:
    path = write(kind, root, good())
    assert run(root, path, *FIRST) == 0
    for name, rows in good().items():
        store = open_features(root / "out" / f"{name}.arrow")
        assert store.valid.all() and np.array_equal(store.features(), np.stack(rows.vectors).astype(np.float16))
    assert open_features(root / "out/a.arrow").backbone == open_features(root / "out/b_left.arrow").backbone


@pytest.mark.parametrize("kind", KINDS)
def test_videos_in_another_order_are_matched_by_name(root: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    videos = good()
    path = write(kind, root, dict(reversed(videos.items())))
    assert run(root, path, *FIRST) == 0
    assert np.array_equal(features(root, "b_left"), np.stack(videos["b_left"].vectors).astype(np.float16))
    if Path(path).is_file() and kind != "hdf5":  # h5py lists names in order
        assert lines(capsys, "its videos are in another order than the faces stores; they are matched by name")


@pytest.mark.parametrize("kind", KINDS)
def test_another_width(root: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    videos = good()
    wide = whole(1, width=D + 1)
    if kind in ("csv", "openface", "pyfeat"):  # the lines of a table have one width
        rows = videos["a"]
        videos["a"] = replace(rows, vectors=[*rows.vectors[:5], wide.vectors[5], *rows.vectors[6:]])
    else:
        videos["b_left"] = wide
    assert run(root, write(kind, root, videos), *FIRST) == 1
    expected = f"has {D + 1} numbers per row, expected {D}" if videos["b_left"] is wide else "not readable as a table"
    found = lines(capsys, expected)
    assert len(found) == 1 and str(root / "in") in found[0]


@pytest.mark.parametrize("kind", ["pkl", "pt", "parquet", "arrow"])
def test_another_width_in_one_row(root: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = whole(0)
    videos = {**good(), "a": replace(rows, vectors=[*rows.vectors[:5], np.ones(7, np.float32), *rows.vectors[6:]])}
    assert run(root, write(kind, root, videos), *FIRST) == 1
    (found,) = lines(capsys, f"expected {D} numbers, as in")
    assert "00006.jpg" in found or "row 6" in found
    assert found.endswith("found 7")


@pytest.mark.parametrize("kind", NUMBERED)
def test_missing_frames_are_frames_without_a_feature(root: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = whole(0)
    kept = [row for row in range(T - 1) if row not in (0, 7, 8)]
    some = Rows([rows.frames[row] for row in kept], [rows.vectors[row] for row in kept])
    assert run(root, write(kind, root, {**good(), "a": some}), *FIRST) == 0
    store = open_features(root / "out/a.arrow")
    assert np.flatnonzero(~store.valid).tolist() == [0, 7, 8, T - 1]
    assert store.store.table.column("feature").null_count == 4
    assert lines(capsys, f"a: {T} frames, 4 of them without a feature; {T - 1} frames in the file, {T} frames: -1")


@pytest.mark.parametrize(("num_rows", "status"), [(T - 3, 0), (T + 3, 0), (T - 20, 1), (T + 20, 1)])
def test_rows_without_numbers_may_differ_a_little_in_length(
    root: Path, num_rows: int, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = {**good(), "a": whole(0, num_rows=num_rows)}
    assert run(root, write("npy", root, videos)) == status
    (found,) = lines(capsys, f"{num_rows} rows, {T} frames: {num_rows - T:+d}")
    if status:
        assert "more than 16; they may belong to another version of the video" in found
        assert not (root / "out/a.arrow").exists() and (root / "out/b_left.arrow").exists()
    else:
        assert np.flatnonzero(~open_features(root / "out/a.arrow").valid).tolist() == list(range(num_rows, T))


@pytest.mark.parametrize("kind", NUMBERED)
def test_frames_after_the_end(root: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    videos = {"a": whole(0, num_rows=T + 2), "b_left": whole(1, num_rows=T + 17)}
    assert run(root, write(kind, root, videos), *FIRST) == 1
    assert len(features(root)) == T
    error = capsys.readouterr().err
    assert f"a: {T} frames, 0 of them without a feature; {T + 2} frames in the file, {T} frames: +2\n" in error
    assert f"{T + 17} frames in the file, {T} frames: +17, more than 16; they may belong" in error


@pytest.mark.parametrize("kind", NUMBERED)
def test_a_frame_that_occurs_twice(root: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = whole(0)
    videos = {**good(), "a": replace(rows, frames=[*rows.frames[:9], 9, *rows.frames[10:]])}
    assert run(root, write(kind, root, videos), *FIRST) == 1
    (found,) = lines(capsys, "frame 9 occurs twice, first in ")
    assert found.startswith("a: failed: ") and str(root / "in") in found
    assert (root / "out/b_left.arrow").exists() and not (root / "out/a.arrow").exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [(np.nan, "is nan, not a finite number"), (np.inf, "is inf"), (7e4, "is 70000, which does not fit 16 bits")],
)
@pytest.mark.parametrize("kind", KINDS)
def test_values_that_are_no_16_bit_numbers(
    root: Path, kind: str, value: float, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = whole(0)
    rows.vectors[11][2] = value
    assert run(root, write(kind, root, {**good(), "a": rows}), *FIRST) == 1
    (found,) = lines(capsys, message)
    assert found.startswith("a: failed: ") and ("number 3" in found or "column '" in found)
    assert any(place in found for place in ("row 12", "line 13", "00012.jpg"))
    assert not (root / "out/a.arrow").exists()


@pytest.mark.parametrize("kind", ["npy", "npz", "pkl"])
@pytest.mark.parametrize(("missing", "value"), [("nan", np.nan), ("zero", 0)])
def test_rows_that_stand_for_nothing_are_left_out_on_request(root: Path, kind: str, missing: str, value: float) -> None:
    rows = whole(0)
    rows.vectors[4][:] = value
    rows.vectors[5][1] = 0
    assert run(root, write(kind, root, {**good(), "a": rows}), *FIRST, "--missing", missing) == 0
    assert np.flatnonzero(~open_features(root / "out/a.arrow").valid).tolist() == [4]


@pytest.mark.parametrize(
    ("words", "without", "note"),
    [
        ([], [], "; 2 frames with a feature have no face in the faces store"),
        (["--faces_only"], [3, 4], ""),
        (["--modality", "sound"], [], ""),
    ],
)
def test_features_where_there_is_no_face(
    tmp_path: Path, words: list[str], without: list[int], note: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make_faces(tmp_path / "faces", "a", faceless=(3, 4))
    assert run(tmp_path, write("npy", tmp_path, {"a": whole(0)}), *words) == 0
    assert capsys.readouterr().err == f"a: {T} frames, {len(without)} of them without a feature{note}\n"
    assert np.flatnonzero(~open_features(tmp_path / "out/a.arrow").valid).tolist() == without


@pytest.mark.parametrize("kind", NUMBERED)
def test_which_number_the_first_frame_has_is_never_guessed(
    root: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(kind, root, good())
    if kind in ("pkl", "pt"):  # the names of images count from 1
        assert run(root, path) == 0
        return
    assert run(root, path) == 2
    assert len(lines(capsys, f"its frames are numbered 1 to {T}; say with --first_frame 0 or --first_frame 1")) == 1
    assert not (root / "out").exists()


@pytest.mark.parametrize("kind", ["csv", "npz"])
def test_numbers_from_0(root: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = replace(whole(0), frames=range(T))
    path = write(kind, root, {"a": rows, "b_left": rows})
    assert run(root, path, *FIRST) == 1
    assert len(lines(capsys, "is frame 0, but frames count from 1; give --first_frame 0")) == 2
    assert run(root, path, "--first_frame", "0") == 0
    assert np.array_equal(features(root), np.stack(rows.vectors).astype(np.float16))


def test_numbers_that_look_like_those_from_1_are_questioned(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(root, write("npz", root, good()), "--first_frame", "0") == 0
    assert len(lines(capsys, "and none for the first frame: does the file count from 1 (--first_frame 1)?")) == 2


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("content", [b"", b"\x00\x01rubbish\xff" * 40], ids=["empty", "rubbish"])
def test_a_damaged_file(root: Path, suffix: str, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "in").mkdir()
    (root / f"in/a{suffix}").write_bytes(content)
    assert run(root, str(root / "in"), *FIRST) == 1
    (found,) = lines(capsys, f"a{suffix}: ")
    assert found.startswith("a: failed: ")
    assert not (root / "out/a.arrow").exists()


def test_an_unknown_kind_of_file(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "in").mkdir()
    (root / "in/a.mat").touch()
    assert run(root, str(root / "in/a.mat")) == 1
    assert len(lines(capsys, "a.mat: unknown kind of file; expected one of .npy, .npz, .parquet")) == 1
    assert run(root, str(root / "in")) == 1
    assert len(lines(capsys, "contains no file of features (.npy, ")) == 1
    path = write("npy", root, good())
    assert run(root, path) == 0
    assert len(lines(capsys, "warning: 1 files are of an unknown kind and left out: a.mat")) == 1


def test_names_that_do_not_match(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write("npz", root, {"a": whole(0), "elsewhere": whole(1)})
    assert run(root, path, *FIRST) == 0
    error = capsys.readouterr().err
    assert "warning: 1 videos have no faces store and are left out: elsewhere\n" in error
    assert "warning: 1 faces stores have no features: b_left\n" in error
    other = write("npz", root / "other", {"elsewhere": whole(1)})
    assert run(root, other, *FIRST) == 1
    assert len(lines(capsys, "no name in the files is that of a faces store: there are features of elsewhere, ")) == 1


def test_a_damaged_file_of_several_videos_does_not_stop_the_others(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write("npy", root, good())
    (root / "in" / "others.npz").write_bytes(b"rubbish")
    assert run(root, path) == 1
    assert len(lines(capsys, "failed: " + str(root / "in" / "others.npz"))) == 1
    assert len(list((root / "out").glob("*.arrow"))) == 2


def test_one_video_in_two_files(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write("npy", root, good())
    assert run(root, write("npz", root, good()), *FIRST) == 1
    assert len(lines(capsys, "two files hold the video 'a'")) == 1


def test_two_faces_stores_of_one_name(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_faces(root / "more", "a")
    assert run(root, write("npy", root, good()), "--faces", str(root / "faces"), str(root / "more")) == 1
    assert len(lines(capsys, "two stores are named 'a': ")) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--name", "a b"], "--name 'a b': expected one word"),
        (["--name", "a+b"], "--name 'a+b': expected one word"),
        (["--width", "0"], "--width 0: expected at least 1"),
        (["--tolerance", "-1"], "--tolerance -1"),
        (["--columns", "AU*"], "--columns AU*: "),
        (["--time_column", "seconds"], "--time_column seconds: "),
        (["--workers", "0"], "--workers 0"),
    ],
)
def test_settings_that_do_not_fit(
    root: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(root, write("csv", root, good()), *FIRST, *words) == 2
    assert len(lines(capsys, message)) == 1


def test_a_given_width_is_required_of_all(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(root, write("npy", root, good()), "--width", "8") == 1
    assert len(lines(capsys, f"has {D} numbers per row, expected 8")) == 2
