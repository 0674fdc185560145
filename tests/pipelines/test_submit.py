from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.protocol.editions import edition
from abaw.stores.predictions import Predictions, write_predictions
from pipelines.cli import main

HEADER = edition("abaw6").header


def predict(folder: Path, name: str, classes: list[int], predicted: list[bool] | None = None) -> None:
    num = len(classes)
    probs = np.full((num, 8), 0.05, np.float32)
    probs[np.arange(num), classes] = 0.65
    seen = np.array(predicted or [True] * num)
    frames = np.arange(1, num + 1, dtype=np.int32)
    write_predictions(folder / f"{name}.arrow", Predictions(name, EXPRESSION_CLASSES, frames, seen, seen, probs, {}))


def write_template(path: Path, **lengths: int) -> None:
    rows = [f"{video}/{frame:05d}.jpg,0" for video, length in lengths.items() for frame in range(1, length + 1)]
    path.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")


def submit(root: Path, *words: str) -> int:
    places = ["--predictions", str(root / "p"), "--template", str(root / "t.txt"), "--out", str(root / "out" / "s.txt")]
    return main(["submit", *places, *words])


def labels(root: Path) -> list[int]:
    lines = (root / "out" / "s.txt").read_text(encoding="utf-8").splitlines()
    assert lines[0] == HEADER
    return [int(line.rpartition(",")[2]) for line in lines[1:]]


def test_a_checked_submission(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict(tmp_path / "p", "b é", [1, 2, 3])
    predict(tmp_path / "p", "a", [4, 0, 6], predicted=[True, False, True])
    predict(tmp_path / "p", "unused", [7])
    write_template(tmp_path / "t.txt", **{"b é": 3, "a": 5})
    assert submit(tmp_path) == 0
    assert labels(tmp_path) == [1, 2, 3, 4, 4, 6, 6, 6]
    told = capsys.readouterr()
    assert "8 rows, 2 videos), checked" in told.out
    assert "2 rows lie behind the last decoded frame of their video and repeat its class: a (2)" in told.err
    assert "1 videos with predictions are not in the template" in told.err
    assert main(["check-submission", str(tmp_path / "out" / "s.txt"), "--template", str(tmp_path / "t.txt")]) == 0


def test_smoothing(tmp_path: Path) -> None:
    predict(tmp_path / "p", "a", [1, 1, 5, 1, 1, 2])
    write_template(tmp_path / "t.txt", a=6)
    assert submit(tmp_path, "--smoothing", "box:3") == 0
    assert labels(tmp_path)[:5] == [1] * 5


def test_again_gives_the_same_bytes(tmp_path: Path) -> None:
    predict(tmp_path / "p", "a", [1, 2])
    write_template(tmp_path / "t.txt", a=2)
    assert submit(tmp_path) == 0
    first = (tmp_path / "out" / "s.txt").read_bytes()
    assert submit(tmp_path) == 0
    assert (tmp_path / "out" / "s.txt").read_bytes() == first
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["s.txt"]


def test_a_template_row_for_a_video_without_predictions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict(tmp_path / "p", "a", [1])
    write_template(tmp_path / "t.txt", a=1, b=1, **{"c é": 2})
    assert submit(tmp_path) == 1
    assert "no predictions for 2 of its 3 videos: b, c é;" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_predictions_of_other_videos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict(tmp_path / "p", "x", [1])
    write_template(tmp_path / "t.txt", a=1)
    assert submit(tmp_path) == 1
    assert "has no predictions of any video" in capsys.readouterr().err


def test_a_video_that_was_never_predicted_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict(tmp_path / "p", "a", [5, 5], predicted=[False, False])
    predict(tmp_path / "p", "b", [5])
    write_template(tmp_path / "t.txt", a=2, b=1)
    assert submit(tmp_path) == 0
    assert labels(tmp_path) == [0, 0, 5]
    assert "a: no frame was predicted" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--edition", "abaw66"], 2, "Did you mean 'abaw6'"),
        (["--smoothing", "box"], 2, "smoothing"),
        (["--predictions", "none"], 1, "no store"),
        (["--template", "none.txt"], 1, "not readable as a template"),
    ],
)
def test_wrong_words(
    tmp_path: Path, words: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    predict(tmp_path / "p", "a", [1])
    write_template(tmp_path / "t.txt", a=1)
    assert submit(tmp_path, *words) == status
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_template_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict(tmp_path / "p", "a", [1])
    write_template(tmp_path / "t.txt", a=1)
    before = (tmp_path / "t.txt").read_bytes()
    assert submit(tmp_path, "--out", str(tmp_path / "t.txt")) == 2
    assert "is the template itself" in capsys.readouterr().err
    assert (tmp_path / "t.txt").read_bytes() == before


def test_a_file_where_the_folder_should_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict(tmp_path / "p", "a", [1])
    write_template(tmp_path / "t.txt", a=1)
    (tmp_path / "out").write_text("")
    assert submit(tmp_path) == 1
    assert "cannot write" in capsys.readouterr().err
