from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from abaw.protocol.annotations import TRAIN_SET, write_annotation
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.protocol.editions import edition
from abaw.protocol.manifests import load_manifest
from abaw.sequence.hmm import count_transitions
from abaw.sequence.smooth import parse_smoothing
from abaw.sequence.smoothing_file import write_smoothing
from abaw.stores.predictions import Predictions, write_predictions
from pipelines.cli import main

HEADER = edition("abaw6").header


def predict(
    folder: Path, name: str, classes: list[int], predicted: list[bool] | None = None, multitask: bool = False
) -> None:
    num = len(classes)
    probs = np.full((num, 8), 0.05, np.float32)
    probs[np.arange(num), classes] = 0.65
    seen = np.array(predicted or [True] * num)
    frames = np.arange(1, num + 1, dtype=np.int32)
    store = Predictions(name, EXPRESSION_CLASSES, frames, seen, seen, probs, {})
    if multitask:
        pairs = np.linspace(-0.5, 0.5, 2 * num, dtype=np.float32).reshape(num, 2)
        units = np.linspace(0, 1, 12 * num, dtype=np.float32).reshape(num, 12)
        store = replace(store, valence_arousal=pairs, action_units=units)
    write_predictions(folder / f"{name}.arrow", store)


def write_template(path: Path, header: str = HEADER, **lengths: int) -> None:
    rows = [f"{video}/{frame:05d}.jpg,0" for video, length in lengths.items() for frame in range(1, length + 1)]
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


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
    found = capsys.readouterr()
    assert "8 rows, 2 videos), checked" in found.out
    assert "2 rows are after the last decoded frame of their video and repeat its class: a (2)" in found.err
    assert "1 videos with predictions are not in the template" in found.err
    assert main(["check-submission", str(tmp_path / "out" / "s.txt"), "--template", str(tmp_path / "t.txt")]) == 0


def test_smoothing(tmp_path: Path) -> None:
    predict(tmp_path / "p", "a", [1, 1, 5, 1, 1, 2])
    write_template(tmp_path / "t.txt", a=6)
    assert submit(tmp_path, "--smoothing", "box:3") == 0
    assert labels(tmp_path)[:5] == [1] * 5


def test_a_second_run_writes_the_same_bytes(tmp_path: Path) -> None:
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
    assert "no predictions for any video" in capsys.readouterr().err


def test_a_video_without_any_predicted_frame_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict(tmp_path / "p", "a", [5, 5], predicted=[False, False])
    predict(tmp_path / "p", "b", [5])
    write_template(tmp_path / "t.txt", a=2, b=1)
    assert submit(tmp_path) == 0
    assert labels(tmp_path) == [0, 0, 5]
    assert "a: no frame was predicted; all its rows get the first class" in capsys.readouterr().err
    assert submit(tmp_path, "--class_bias", "0", "0", "0", "0", "9", "0", "0", "0") == 0
    assert labels(tmp_path) == [0, 0, 4]


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--edition", "abaw66"], 2, "Did you mean 'abaw6'"),
        (["--smoothing", "box"], 2, "smoothing"),
        (["--predictions", "none"], 1, "none: no such file or folder (predictions)"),
        (["--template", "none.txt"], 1, "none.txt: no such file or folder (template)"),
    ],
)
def test_invalid_settings(
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


def test_multi_task_rows(tmp_path: Path) -> None:
    predict(tmp_path / "p", "a", [1, 2, 3], predicted=[True, False, True], multitask=True)
    write_template(tmp_path / "t.txt", edition("abaw7_mtl").header, a=4)
    assert submit(tmp_path, "--edition", "abaw7_mtl") == 0
    assert (tmp_path / "out" / "s.txt").read_text().splitlines() == [
        edition("abaw7_mtl").header,
        "a/00001.jpg,-0.5000,-0.3000,1,0,0,0,0,0,0,0,0,0,0,0,0",
        "a/00002.jpg,-0.1000,0.1000,1,0,0,0,0,0,0,1,1,1,1,1,1",
        "a/00003.jpg,0.3000,0.5000,3,1,1,1,1,1,1,1,1,1,1,1,1",
        "a/00004.jpg,0.3000,0.5000,3,1,1,1,1,1,1,1,1,1,1,1,1",
    ]


@pytest.mark.parametrize(("name", "second"), [("abaw8_va", "-0.1000,0.1000"), ("abaw10_au", "0,0,0,0,0,0,1,1,1,1,1,1")])
def test_rows_of_one_task(tmp_path: Path, name: str, second: str, capsys: pytest.CaptureFixture[str]) -> None:
    predict(tmp_path / "p", "a", [1, 2, 3], predicted=[True, False, True], multitask=True)
    write_template(tmp_path / "t.txt", edition(name).header, a=4)
    assert submit(tmp_path, "--edition", name) == 0
    lines = (tmp_path / "out" / "s.txt").read_text().splitlines()
    assert (lines[0], lines[2]) == (edition(name).header, f"a/00002.jpg,{second}")
    assert "and repeat its values: a (1)" in capsys.readouterr().err


def test_multi_task_rows_need_all_tasks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict(tmp_path / "p", "a", [1])
    write_template(tmp_path / "t.txt", "image", a=1)
    assert submit(tmp_path, "--edition", "abaw4_mtl") == 1
    assert "--tasks expression valence_arousal action_units" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_compound_expressions(tmp_path: Path) -> None:
    predict(tmp_path / "p", "a", [5, 5, 1, 1, 6, 6])
    write_template(tmp_path / "t.txt", edition("abaw7_ce").header, a=6)
    assert submit(tmp_path, "--edition", "abaw7_ce", "--smoothing", "box:3") == 0
    lines = (tmp_path / "out" / "s.txt").read_text().splitlines()
    assert lines[0] == edition("abaw7_ce").header
    assert [line[-1] for line in lines[2:6]] == ["6", "6", "4", "4"]


def test_a_folder_of_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict(tmp_path / "p", "b é", [1, 2, 3])
    predict(tmp_path / "p", "a", [4, 0])
    (tmp_path / "t.txt").write_text("b é\na\n", encoding="utf-8")
    places = ["--predictions", str(tmp_path / "p"), "--template", str(tmp_path / "t.txt"), "--out", str(tmp_path / "s")]
    assert main(["submit", *places, "--edition", "abaw3"]) == 0
    header = edition("abaw3").header
    assert (tmp_path / "s" / "b é.txt").read_text(encoding="utf-8") == f"{header}\n1\n2\n3\n"
    assert (tmp_path / "s" / "a.txt").read_text() == f"{header}\n4\n0\n"
    out = capsys.readouterr().out
    assert "(5 rows, 2 videos), checked" in out
    assert main(["submit", *places, "--edition", "abaw3"]) == 1
    assert "already contains files" in capsys.readouterr().err


@pytest.mark.parametrize("name", load_manifest("editions"))
def test_what_is_written_for_an_edition_has_no_faults(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for video, num_frames in {"b é": 9, "a": 7}.items():
        predict(tmp_path / "p", video, [index % 8 for index in range(num_frames)], multitask=True)
    chosen = edition(name)
    write_template(tmp_path / "t.txt", chosen.header if chosen.layout == "rows" else HEADER, **{"b é": 9, "a": 8})
    assert submit(tmp_path, "--edition", name) == 0
    written = [str(tmp_path / "out" / "s.txt"), "--template", str(tmp_path / "t.txt")]
    assert main(["check-submission", *written, "--edition", name]) == 0
    assert ": error: " not in capsys.readouterr().out


def test_assumptions_about_a_format_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict(tmp_path / "p", "a", [1, 2])
    write_template(tmp_path / "t.txt", a=2)
    assert submit(tmp_path, "--edition", "abaw8") == 0
    assert "abaw8: the format of this edition was not available" in capsys.readouterr().err


def test_a_class_bias(tmp_path: Path) -> None:
    predict(tmp_path / "p", "a", [1, 2, 7])
    write_template(tmp_path / "t.txt", a=3)
    assert submit(tmp_path, "--class_bias", "0", "0", "0", "9", "0", "0", "0", "0") == 0
    assert labels(tmp_path) == [3, 3, 3]


def test_a_smoothing_file_brings_its_bias_and_transitions(tmp_path: Path) -> None:
    chain = count_transitions([np.repeat([1, 5, 1], 400)], 8)
    smoothing = parse_smoothing("viterbi:0.5", chain)
    predict(tmp_path / "p", "a", [1, 1, 5, 1, 1, 1])
    write_template(tmp_path / "t.txt", a=6)
    for bias, expected in ((None, 1), ([0, 0, 0, 0, 0, 30, 0, 0], 5)):
        write_smoothing(tmp_path / "s.json", smoothing.biased(bias) if bias else smoothing, EXPRESSION_CLASSES)
        assert submit(tmp_path, "--smoothing", str(tmp_path / "s.json")) == 0
        assert labels(tmp_path) == [expected] * 6
    plain = json.loads((tmp_path / "s.json").read_text())
    plain["facts"] = {"tool": "abaw 0.1.0", "predictions": "p", "chosen_on": "labels"}  # of an earlier version
    (tmp_path / "s.json").write_text(json.dumps(plain))
    assert submit(tmp_path, "--smoothing", str(tmp_path / "s.json")) == 0
    assert labels(tmp_path) == [5] * 6


@pytest.mark.parametrize("smoothing", ["viterbi", "forward_backward"])
def test_transitions_are_counted_on_the_training_labels(tmp_path: Path, smoothing: str) -> None:
    write_annotation(tmp_path / "ann" / TRAIN_SET / "x.txt", np.repeat([1, 5, 1], 400))
    predict(tmp_path / "p", "a", [1, 1, 5, 1, 1, 1])
    write_template(tmp_path / "t.txt", a=6)
    assert submit(tmp_path, "--smoothing", smoothing, "--transitions", str(tmp_path / "ann")) == 0
    assert labels(tmp_path) == [1] * 6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--smoothing", "viterbi"], "--transitions DIR"),
        (["--transitions", "."], "--smoothing names neither"),
        (["--class_bias", "1", "2"], "class bias: expected 8 finite numbers"),
        (["--edition", "abaw6_ce"], "this is the template of edition abaw5"),
        (["--edition", "abaw8_va", "--class_bias", *"12345678"], "--class_bias: abaw8_va has no classes"),
        (["--edition", "abaw10_au", "--smoothing", "viterbi"], "is a path through classes, and abaw10_au has none"),
        (["--edition", "abaw11_mtl"], "edition 'abaw11_mtl' is not supported: the row format"),
    ],
)
def test_settings_that_do_not_fit_together(
    tmp_path: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    predict(tmp_path / "p", "a", [1])
    write_template(tmp_path / "t.txt", a=1)
    assert submit(tmp_path, *words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_compound_expressions_cannot_be_read_from_a_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_annotation(tmp_path / "ann" / TRAIN_SET / "x.txt", np.repeat([1, 5], 40))
    predict(tmp_path / "p", "a", [1])
    write_template(tmp_path / "t.txt", edition("abaw6_ce").header, a=1)
    words = ["--edition", "abaw6_ce", "--smoothing", "viterbi", "--transitions", str(tmp_path / "ann")]
    assert submit(tmp_path, *words) == 2
    assert "use 'forward_backward'" in capsys.readouterr().err
