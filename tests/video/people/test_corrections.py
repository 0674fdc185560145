"""The correction file."""

from __future__ import annotations

from pathlib import Path

import pytest

from abaw.core.errors import DataError
from abaw.protocol.layout import Subject
from abaw.video.people.corrections import Correction, assign, read_corrections

SUBJECTS = {
    "a": [Subject("a", "a", None)],
    "b": [Subject("b_left", "b", "left"), Subject("b_right", "b", "right")],
}


def written(folder: Path, text: str) -> Path:
    path = folder / "corrections.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_rows(tmp_path: Path) -> None:
    path = written(tmp_path, '\ufeffvideo, track,subject\na,3,\n\n"b, too", 12 ,b_left\n')
    assert read_corrections(path) == [
        Correction("a", 3, None, f"{path}, line 2"),
        Correction("b, too", 12, "b_left", f"{path}, line 4"),
    ]
    assert read_corrections(written(tmp_path, "video,track\n")) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected the header 'video,track'"),
        ("a,3\n", "expected the header .* found 'a,3'"),
        ("video,track,weight\na,1,2\n", "found 'video,track,weight'"),
        ("video,track\na\n", "line 2: expected a track number .* found ''"),
        ("video,track\n\na,two\n", "line 3: expected a track number .* found 'two'"),
        ("video,track\na,0\n", "found '0'"),
        ("video,track\n,1\n", "line 2: expected a video and a track"),
        ("video,track\na,1,b\n", "line 2: expected a video and a track"),
    ],
)
def test_rows_that_do_not_fit(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_corrections(written(tmp_path, text))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gone.csv: no such file"):
        read_corrections(tmp_path / "gone.csv")


def test_by_video_and_subject() -> None:
    rows = [Correction("a", 5, None, "x"), Correction("b", 2, "b_right", "x"), Correction("a", 3, "a", "x")]
    assert assign(rows, SUBJECTS) == {"a": {"a": (rows[0], rows[2])}, "b": {"b_right": (rows[1],)}}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (Correction("c", 1, None, "f.csv, line 2"), "f.csv, line 2: no video 'c' among those given"),
        (Correction("b", 1, None, "f.csv, line 2"), "b has b_left, b_right; name one of them in the column 'subject'"),
        (Correction("b", 1, "b", "f.csv, line 2"), "no subject 'b' of b; expected b_left or b_right"),
    ],
)
def test_what_is_not_there(row: Correction, message: str) -> None:
    with pytest.raises(DataError, match=message):
        assign([row], SUBJECTS)
