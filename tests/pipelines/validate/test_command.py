"""`abaw validate`: what is scored, reported and refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from abaw.protocol.classes import EXPRESSION_CLASSES
from tests.pipelines.validate_data import CLASSES, annotate, metrics, predict, validate


def test_scores_in_both_conventions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong_without_face = [*CLASSES[:-8], *[0] * 8]
    faces = [True] * 16 + [False] * 8
    for name in ("video 1 é", "b_left"):
        predict(tmp_path / "predictions", name, wrong_without_face, faces)
        annotate(tmp_path / "labels", name, CLASSES)
    assert validate(tmp_path) == 0
    (entry,) = metrics(tmp_path)
    assert entry["macro_f1_with_face"] == 1.0
    assert 0.5 < float(str(entry["macro_f1"])) < 1.0
    assert (entry["num_frames"], entry["num_frames_with_face"], entry["num_videos"]) == (48, 32, 2)
    assert entry["facts"] == {"checkpoints": ["cafe0123"]}
    out = capsys.readouterr().out
    low, high = entry["macro_f1_interval"]
    assert f"macro F1 {entry['macro_f1']:.4f} [{low:.4f}, {high:.4f}] over all 48 annotated frames, 1.0000" in out
    assert "over the 32 with a face" in out
    assert "index.html" in out


def test_gaps_are_filled_as_in_a_submission(tmp_path: Path) -> None:
    classes = [c for c in range(8) for _ in range(3)]
    stored = [0 if index % 3 == 1 else c for index, c in enumerate(classes)]
    predict(tmp_path / "predictions", "v", stored, predicted=[index % 3 != 1 for index in range(24)])
    annotate(tmp_path / "labels", "v", classes)
    assert validate(tmp_path) == 0
    assert metrics(tmp_path)[0]["macro_f1"] == 1.0


def test_smoothing_is_applied_and_reported(tmp_path: Path) -> None:
    clean = [c for c in range(8) for _ in range(9)]
    noisy = [(c + 1) % 8 if index % 9 == 4 else c for index, c in enumerate(clean)]
    predict(tmp_path / "predictions", "v", noisy)
    annotate(tmp_path / "labels", "v", clean)
    assert validate(tmp_path) == 0
    raw = metrics(tmp_path)[0]
    assert validate(tmp_path, str(tmp_path / "predictions"), "--smoothing", "box:3") == 0
    smooth = metrics(tmp_path)[0]
    assert float(str(raw["macro_f1"])) < float(str(smooth["macro_f1"])) == 1.0
    assert (raw["smoothing"], smooth["smoothing"]) == ("none", "box:3")


@pytest.mark.parametrize("lines", [20, 27])
def test_label_files_longer_and_shorter_than_the_video(tmp_path: Path, lines: int) -> None:
    predict(tmp_path / "predictions", "v", CLASSES)
    annotate(tmp_path / "labels", "v", (CLASSES + CLASSES)[:lines])
    assert validate(tmp_path) == 0
    (entry,) = metrics(tmp_path)
    assert entry["macro_f1"] == 1.0
    assert entry["num_frames"] == min(lines, 24)
    (difference,) = entry["length_differences"]
    assert difference == (
        "v: 3 label lines after its 24 predicted frames are not scored (3 of them annotated)"
        if lines == 27
        else "v: its last 4 frames have no label line"
    )


def test_labels_for_a_video_that_is_not_there_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "unlabelled"):
        predict(tmp_path / "predictions", name, CLASSES)
    for name in ("a", "gone"):
        annotate(tmp_path / "labels", name, CLASSES)
    assert validate(tmp_path) == 0
    assert "1 annotated videos (gone)" in (err := capsys.readouterr().err)
    assert "1 videos (unlabelled)" in err
    assert any("(gone)" in note for note in metrics(tmp_path)[0]["notes"])


def test_nothing_matches(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict(tmp_path / "predictions", "a", CLASSES)
    annotate(tmp_path / "labels", "b", CLASSES)
    assert validate(tmp_path) == 1
    assert "none of its 1 videos (a) has annotations; annotated are b" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize("bad", ["8", "a", "0_4", "\u0664", "\u22121", "99999999999999999999", '"4"'])
def test_a_bad_label_file_is_reported_and_the_rest_scored(
    tmp_path: Path, bad: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        predict(tmp_path / "predictions", name, CLASSES)
        annotate(tmp_path / "labels", name, CLASSES)
    (tmp_path / "labels" / "Validation_Set" / "a.txt").write_text(f"{','.join(EXPRESSION_CLASSES)}\n0\n{bad}\n")
    assert validate(tmp_path) == 1
    error = capsys.readouterr().err
    assert f"a.txt:3: expected an integer from -1 to 7, found '{bad}'" in error
    assert "not annotated" not in error
    assert metrics(tmp_path)[0]["num_videos"] == 1


def test_a_damaged_store_is_reported_and_the_rest_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        predict(tmp_path / "predictions", name, CLASSES)
        annotate(tmp_path / "labels", name, CLASSES)
    (tmp_path / "predictions" / "a.arrow").write_bytes(b"rubbish")
    assert validate(tmp_path) == 1
    assert "a.arrow: not a readable store" in capsys.readouterr().err
    assert metrics(tmp_path)[0]["num_videos"] == 1


def test_several_predictions_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    annotate(tmp_path / "labels", "v", CLASSES)
    predict(tmp_path / "p" / "static", "v", [0] * 24)
    predict(tmp_path / "p" / "temporal", "v", CLASSES)
    assert validate(tmp_path, str(tmp_path / "p" / "static"), str(tmp_path / "p" / "temporal")) == 0
    assert [entry["name"] for entry in metrics(tmp_path)] == ["static", "temporal"]
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        "static",
        "temporal",
        "temporal compared with static",
        "taking the best of all",
        "report",
    ]


def test_folders_of_one_name_are_distinguished(tmp_path: Path) -> None:
    annotate(tmp_path / "labels", "v", CLASSES)
    for run in ("one", "two"):
        predict(tmp_path / run / "predictions", "v", CLASSES)
    assert validate(tmp_path, str(tmp_path / "one" / "predictions"), str(tmp_path / "two" / "predictions")) == 0
    first, second = (str(entry["name"]) for entry in metrics(tmp_path))
    assert first.endswith("one_predictions") and second.endswith("two_predictions")
    assert (tmp_path / "report" / first / "confusion.png").exists()


def test_empty_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    annotate(tmp_path / "labels", "v", CLASSES)
    (tmp_path / "predictions").mkdir()
    assert validate(tmp_path) == 1
    assert "contains no store (*.arrow)" in capsys.readouterr().err
    (tmp_path / "labels" / "Validation_Set" / "v.txt").unlink()
    predict(tmp_path / "predictions", "v", CLASSES)
    assert validate(tmp_path) == 1
    assert "no annotation file (*.txt) found" in capsys.readouterr().err


def test_a_file_where_the_report_should_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict(tmp_path / "predictions", "v", CLASSES)
    annotate(tmp_path / "labels", "v", CLASSES)
    (tmp_path / "report").write_text("")
    assert validate(tmp_path) == 1
    assert "cannot write" in capsys.readouterr().err


@pytest.mark.parametrize("smoothing", ["box", "box:4", "gaussian:0", "bx:5"])
def test_wrong_smoothing_is_wrong_usage(tmp_path: Path, smoothing: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("labels", "predictions"):
        (tmp_path / name).mkdir()
    assert validate(tmp_path, str(tmp_path / "predictions"), "--smoothing", smoothing) == 2
    assert "smoothing" in capsys.readouterr().err


HEADER = ",".join(EXPRESSION_CLASSES)
OTHER_ORDER = HEADER.replace("Anger,Disgust", "Disgust,Anger")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (f"{OTHER_ORDER}\n0\n", f":1: wrong header: expected '{HEADER}', found '{OTHER_ORDER}'"),
        (f"{HEADER}\n0\n8\n", ":3: expected an integer from -1 to 7, found '8'"),
        ("", f":1: wrong header: expected '{HEADER}', found ''"),
    ],
)
def test_files_that_are_all_wrong_are_named_like_a_single_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, fault: str
) -> None:
    for name in "abcde":
        predict(tmp_path / "predictions", name, CLASSES)
        annotate(tmp_path / "labels", name, CLASSES)
        (tmp_path / "labels" / "Validation_Set" / f"{name}.txt").write_text(content)
    folder = tmp_path / "labels" / "Validation_Set"
    assert validate(tmp_path) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"abaw validate: error: no annotation file could be read: {folder / 'a.txt'}{fault}")
    assert line.endswith("and 2 more")


def test_wrong_files_of_all_predicted_videos_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict(tmp_path / "predictions", "a", CLASSES)
    for name in ("a", "b"):
        annotate(tmp_path / "labels", name, CLASSES)
    wrong = tmp_path / "labels" / "Validation_Set" / "a.txt"
    wrong.write_text(f"{OTHER_ORDER}\n0\n")
    assert validate(tmp_path) == 1
    error = capsys.readouterr().err
    assert f"none of its 1 videos (a) has annotations that could be read; at fault are {wrong}:1: wrong header" in error


def test_videos_of_the_other_split_are_no_reason_for_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, split in (("v", "Validation_Set"), ("t", "Train_Set"), ("u", "Train_Set")):
        predict(tmp_path / "predictions", name, CLASSES)
        annotate(tmp_path / "labels", name, CLASSES, split)
    assert validate(tmp_path) == 0
    assert "not annotated" not in capsys.readouterr().err
    predict(tmp_path / "predictions", "stranger", CLASSES)
    assert validate(tmp_path) == 0
    assert "not scored, because they are not annotated: 1 videos (stranger)" in capsys.readouterr().err


@pytest.mark.parametrize("ends", [("_left", "_right"), ("_person1", "_person2"), ("_person1", "")])
def test_a_model_that_learned_from_the_other_person_of_a_video_is_reported(
    tmp_path: Path, ends: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        for own, other in (ends, ends[::-1]):
            trained = {"trained_on": [f"v{number}{other}", "elsewhere"], "selected_on": []}
            predict(tmp_path / "predictions", f"v{number}{own}", CLASSES, meta=trained)
            annotate(tmp_path / "labels", f"v{number}{own}", CLASSES)
    assert validate(tmp_path) == 0
    captured = capsys.readouterr()
    assert "TRAINED ON SCORED VIDEOS: 6 of 6 scored videos (v0" in captured.err + captured.out
    assert "out-of-fold" not in captured.err + captured.out
    origin = metrics(tmp_path)[0]["origin"]
    assert len(origin["trained_on"]) == 6


def test_intervals_draw_the_people_of_a_video_together(tmp_path: Path) -> None:
    """Names of people give the same interval whether they name a side or a number."""
    found = []
    for case, ends in enumerate([("_left", "_right"), ("_person1", "_person2"), ("_1", "_2")]):
        root, rng = tmp_path / str(case), np.random.default_rng(0)
        for number in range(6):
            wrong = rng.integers(0, 24)
            for end in ends:
                predict(root / "predictions", f"v{number}{end}", [*CLASSES[:wrong], *[0] * (24 - wrong)])
                annotate(root / "labels", f"v{number}{end}", CLASSES)
        assert validate(root) == 0
        found.append(metrics(root)[0]["macro_f1_interval"])
    sides, people, videos = found
    assert people == sides
    assert people[1] - people[0] > 1.2 * (videos[1] - videos[0]), "as many videos of their own are more certain"


def test_what_operating_systems_leave_among_annotations_and_predictions_is_ignored(tmp_path: Path) -> None:
    for name in ("a", "b"):
        predict(tmp_path / "predictions", name, CLASSES)
        annotate(tmp_path / "labels", name, CLASSES)
    for folder, name in (("labels/Validation_Set", "._a.txt"), ("predictions", "._a.arrow")):
        (tmp_path / folder / name).write_bytes(b"\0\5\x16\7\0")
        (tmp_path / folder / ".DS_Store").write_bytes(b"\0")
    assert validate(tmp_path) == 0
    assert metrics(tmp_path)[0]["num_videos"] == 2
