"""`abaw train-landmarks` on a few photos: the result is a detector, which `train-detector` also starts from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from abaw.video.detecting.landmarks import LANDMARKS
from abaw.video.detecting.registry import open_detector
from abaw.weights import DETECTOR
from pipelines.cli import main
from tests.pipelines.test_train_detector import photos, teacher
from tests.video.clips import portrait

__all__ = ["photos", "teacher"]
SMALL = [
    *("--train.accelerator", "cpu", "--train.warmup_steps", "1", "--train.steps", "4", "--train.evaluate_every", "2"),
    *("--train.checkpoint_every", "2", "--batch_size", "3", "--holdout", "0.3", "--detector", str(DETECTOR)),
]


def train(photos: Path, teacher: Path, out: Path, *more: str) -> int:
    return main(
        ["train-landmarks", "--photos", str(photos), "--teacher", str(teacher), "--out", str(out), *SMALL, *more]
    )


def test_the_result_is_a_detector(
    photos: Path, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    labels = ["--labels", str(tmp_path / "labels")]
    assert train(photos, teacher, out, *labels) == 0
    said = capsys.readouterr()
    assert "faces to learn from" in said.err and "in distances between the eyes: error 0." in said.out
    assert train(photos, teacher, out, *labels) == 0
    assert capsys.readouterr().out == said.out
    spec = json.loads((out / "last" / "spec.json").read_text())
    assert spec["step"] == 4 and len(spec["detector"]) == 16
    assert (out / "last" / "detector.onnx").read_bytes() == DETECTOR.read_bytes()
    detector = open_detector(str(out / "last" / "detector.onnx"))
    assert LANDMARKS in detector.identity
    assert len(detector.detect(portrait())) == len(open_detector(str(DETECTOR)).detect(portrait()))


def test_the_faces_of_natural_pictures_are_added(
    photos: Path, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = ["--labels", str(tmp_path / "labels"), "--train.steps", "2"]
    counts = []
    for name, more in (("without", []), ("with", ["--scenes_folder", str(photos), "--set_aside", "0"])):
        assert train(photos, teacher, tmp_path / name, *labels, *more) == 0
        counts.append(json.loads((tmp_path / name / "last" / "spec.json").read_text())["num_training"])
    assert counts[1] > 1.5 * counts[0]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--holdout", "1"], "holdout is 1"),
        (["--set_aside", "0.5"], "set_aside is 0.5"),
        (["--batch_size", "0"], "batch_size is 0"),
        (["--holdout", "0.0001"], "give more photos or another holdout"),
    ],
)
def test_bad_settings(
    photos: Path, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], says: str
) -> None:
    assert train(photos, teacher, tmp_path / "run", *more) != 0
    assert says in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
