"""`abaw train-detector` on a few photos: the result opens, and a resumed run ends like an unbroken one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from safetensors.torch import load_file

from abaw.video.detecting.registry import open_detector
from abaw.weights import DETECTOR
from pipelines.cli import main
from tests.video.clips import noise, portrait

SMALL = [
    *("--train.accelerator", "cpu", "--train.warmup_steps", "1", "--train.evaluate_every", "2"),
    *("--train.checkpoint_every", "2", "--batch_size", "2", "--scored_scenes", "4", "--holdout", "0.3"),
    *("--scenes.sides", "64"),
]


@pytest.fixture(scope="module")
def teacher(shared_data: Path) -> Path:
    return shared_data / "models" / "yunet_n_dynamic.onnx"


@pytest.fixture(scope="module")
def photos(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty people."""
    folder = tmp_path_factory.mktemp("photos")
    with zipfile.ZipFile(shared_data / "lfw_unlabelled.zip") as packed:
        names = [name for name in packed.namelist() if name.endswith(".jpg")]
        for name in names[:: len(names) // 20]:
            (folder / Path(name).name).write_bytes(packed.read(name))
    return folder


def train(photos: Path, teacher: Path, out: Path, *more: str) -> int:
    return main(arguments(photos, teacher, out, *more))


def arguments(photos: Path, teacher: Path, out: Path, *more: str) -> list[str]:
    return ["train-detector", "--photos", str(photos), "--teacher", str(teacher), "--out", str(out), *SMALL, *more]


def weights(path: Path) -> list[np.ndarray]:
    return [numpy_helper.to_array(one) for one in onnx.load(str(path)).graph.initializer]


def test_a_detector_that_extract_takes(
    photos: Path, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert train(photos, teacher, out, "--train.steps", "4") == 0
    said = capsys.readouterr()
    assert "of other people held out" in said.err and "last/detector.onnx: step 4, recall" in said.out
    spec = json.loads((out / "last" / "spec.json").read_text())
    assert spec["step"] == 4 and spec["settings"]["loss"]["landmarks"] == 12
    for name in ("last", "best"):
        detector = open_detector(str(out / name / "detector.onnx"))
        detector.detect(portrait())


def test_natural_scenes_are_labelled_mined_and_learned(
    photos: Path, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    for number in range(6):
        picture = noise(1)[0] if number % 2 else portrait()
        assert cv2.imwrite(str(scenes / f"{number}.png"), np.roll(picture, number, axis=0)[..., ::-1])
    more = ["--scenes_folder", str(scenes), "--set_aside", "0.2", "--labels", str(tmp_path / "labels")]
    out, start = tmp_path / "run", str(DETECTOR)
    more += ["--init", start, "--scenes.sides", "64", "96", "--loss.teacher", "2"]
    assert train(photos, teacher, out, *more, "--train.steps", "2") == 0
    steps = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert any(step.get("loss/teacher", 0) > 0 for step in steps)
    assert "4 natural pictures to learn from" in capsys.readouterr().err
    assert {file.name.split("_")[0] for file in (tmp_path / "labels").iterdir()} == {"photos", "scenes"}
    spec = json.loads((out / "last" / "spec.json").read_text())
    assert spec["num_natural"] == 4 and "false_scenes" in spec["scores"]


@pytest.mark.slow
def test_a_second_stage_starts_from_the_first(photos: Path, teacher: Path, tmp_path: Path) -> None:
    first = tmp_path / "first" / "last"
    assert train(photos, teacher, first.parent, "--train.steps", "3") == 0
    still = ["--train.steps", "2", "--train.lr", "1e-9", "--train.seed", "1"]
    assert train(photos, teacher, tmp_path / "second", "--init", str(first), *still) == 0
    assert train(photos, teacher, tmp_path / "fresh", *still) == 0
    before, after, other = (
        load_file(folder / "weights.safetensors")["heads.0.weight"]
        for folder in (first, tmp_path / "second" / "last", tmp_path / "fresh" / "last")
    )
    torch.testing.assert_close(before, after, atol=1e-6, rtol=0)
    assert not torch.allclose(before, other, atol=1e-4)
    (first / "weights.safetensors").write_bytes(b"nothing")
    assert train(photos, teacher, tmp_path / "third", "--init", str(first), *still) != 0
    assert not (tmp_path / "third").exists()


def test_a_killed_run_gives_the_weights_of_an_unbroken_one(photos: Path, teacher: Path, tmp_path: Path) -> None:
    plan = ["--train.steps", "12"]
    assert train(photos, teacher, tmp_path / "whole", *plan) == 0
    state = tmp_path / "killed" / "last" / "state.pt"
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli", *arguments(photos, teacher, tmp_path / "killed", *plan)],
        cwd=Path(__file__).parents[2],
        stderr=subprocess.DEVNULL,
    )
    while not state.exists() and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert train(photos, teacher, tmp_path / "killed", *plan) == 0
    before, again = (weights(tmp_path / name / "last" / "detector.onnx") for name in ("whole", "killed"))
    assert all(np.array_equal(one, other) for one, other in zip(before, again, strict=True))


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--holdout", "1"], "holdout is 1"),
        (["--scenes.sides", "100"], "multiples of 32"),
        (["--set_aside", "0.5"], "set_aside is 0.5"),
        (["--scored_scenes", "0"], "scored_scenes is 0"),
        (["--holdout", "0.0001"], "give more photos or another holdout"),
        (["--teacher", str(DETECTOR), "--loss.teacher", "1"], "a YuNet .onnx file"),
        (["--init", "nowhere/last"], "nowhere/last: no such file or folder (init)"),
    ],
)
def test_bad_settings(
    photos: Path, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], says: str
) -> None:
    assert train(photos, teacher, tmp_path / "run", *more) != 0
    assert says in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
