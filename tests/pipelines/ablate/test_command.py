"""`abaw ablate` on made-up features: cells equal to train-temporal's runs, the same whatever happens on the way."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from abaw.core.artifacts import read_json
from abaw.evaluation.metrics import confusion_of, macro_f1_of
from abaw.inference.decode import decode
from abaw.protocol.annotations import read_annotation
from abaw.sequence.smooth import parse_smoothing
from abaw.stores.predictions import read_predictions
from pipelines.cli import main, parse_config
from pipelines.recipe_files import recipe
from tests.pipelines.interrupt import check_interrupt
from tests.pipelines.temporal_data import TINY, data_flags, make_data, make_split

FLAGS = [*TINY, "--holdout", "0.34", "--train.steps", "30", "--train.checkpoint_every", "10", "--hop_fraction", "0.5"]
GRID = ["--vary", "window=20,40", "--seeds", "0", "1"]
TIMES = ("step_seconds", "evaluation_seconds", "total_seconds")


def _words(root: Path, out: Path, *more: str) -> list[str]:
    return ["ablate", *data_flags(root), "--out", str(out), *FLAGS, *GRID, *more]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data and, in `run`, an ablation by two workers. No test may change it."""
    root = tmp_path_factory.mktemp("ablate")
    make_data(root)
    assert main(_words(root, root / "run", "--workers", "2")) == 0
    return root


def _without_times(run: Path) -> dict[str, Any]:
    facts: dict[str, Any] = read_json(run / "ablation.json")
    facts["cells"] = [{name: value for name, value in cell.items() if name not in TIMES} for cell in facts["cells"]]
    return {name: value for name, value in facts.items() if name != "config"}


def test_every_cell_is_trained_scored_and_reported(done: Path) -> None:
    out = done / "run"
    rows = list(csv.DictReader((out / "ablation.csv").open()))
    assert [(row["window"], row["hop"], row["seed"]) for row in rows] == [
        ("20", "10", "0"), ("20", "10", "1"), ("40", "20", "0"), ("40", "20", "1"),
    ]  # fmt: skip
    for row in rows:
        assert 0 <= float(row["macro_f1"]) <= 1
        assert float(row["total_seconds"]) > float(row["step_seconds"]) > 0 and float(row["evaluation_seconds"]) > 0
    assert (out / "ablation.png").read_bytes().startswith(b"\x89PNG")
    text = (out / "ablation.md").read_text()
    assert "| 20 | 10 | 2 |" in text and "best: window" in text and "unbiased estimate: macro F1" in text
    assert "chosen among 2 on the same videos that score it" in text
    facts = read_json(out / "ablation.json")
    assert facts["config"]["vary"] == {"window": ["20", "40"]} and len(facts["cells"]) == 4
    assert all(low <= high for low, high in (setting["interval"] for setting in facts["settings"]))


def test_a_cell_holds_what_a_later_choice_needs(done: Path) -> None:
    folder = done / "run" / "cells" / "window=40,seed=1"
    cell = read_json(folder / "cell.json")
    assert sorted(cell["videos"]) == ["valid0", "valid1", "valid2"]
    assert macro_f1_of(np.array(cell["confusions"]).sum(axis=0)) == pytest.approx(cell["macro_f1"])
    for name in cell["videos"]:
        stored = read_predictions(folder / "predictions" / f"{name}.arrow")
        assert len(stored) == 120 and not any(video.startswith("valid") for video in stored.meta["trained_on"])


def test_several_smoothings_of_each_cell_are_scored_without_training_again(done: Path, tmp_path: Path) -> None:
    shutil.copytree(done / "run", tmp_path / "run")
    weights = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("weights.safetensors")}
    words = ("--smoothing", "none", "box:5", "viterbi:0.3", "--fit_bias")
    assert main(_words(done, tmp_path / "run", *words)) == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("weights.safetensors")} == weights
    rows = list(csv.DictReader((tmp_path / "run" / "ablation.csv").open()))
    names = ["none", "box:5", "viterbi:0.3", "none + class bias", "box:5 + class bias", "viterbi:0.3 + class bias"]
    assert [(row["window"], row["smoothing"], row["seed"]) for row in rows] == [
        (window, name, seed) for window in ("20", "40") for name in names for seed in ("0", "1")
    ]
    before = {
        (row["window"], row["seed"]): row["macro_f1"] for row in csv.DictReader((done / "run/ablation.csv").open())
    }
    assert {(row["window"], row["seed"]): row["macro_f1"] for row in rows if row["smoothing"] == "none"} == before
    counts = np.zeros((8, 8), np.int64)
    for name in ("valid0", "valid1", "valid2"):
        stored = read_predictions(tmp_path / "run/cells/window=40,seed=1/predictions" / f"{name}.arrow")
        known = read_annotation(done / "annotations" / "Validation_Set" / f"{name}.txt").for_frames(len(stored))
        counts += confusion_of(known, decode(stored, parse_smoothing("box:5")).labels, 8)
    found = next(row for row in rows if (row["window"], row["smoothing"], row["seed"]) == ("40", "box:5", "1"))
    assert float(found["macro_f1"]) == pytest.approx(float(macro_f1_of(counts)))
    text = (tmp_path / "run" / "ablation.md").read_text()
    assert "chosen among 12" in text and "no smoothing" not in text


def test_smoothings_that_cannot_be_read_are_refused_before_training(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(_words(done, tmp_path / "run", "--smoothing", "bax:5")) == 2
    assert "Did you mean 'box'" in capsys.readouterr().err
    assert main(_words(done, tmp_path / "run", "--smoothing", "box:5", "box:5")) == 2
    assert "expected different ones" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_cell_is_the_run_of_train_temporal(done: Path, tmp_path: Path) -> None:
    words = ["train-temporal", *data_flags(done), "--out", str(tmp_path), *FLAGS[:-2]]
    assert main([*words, "--window", "40", "--hop", "20", "--train.seed", "1"]) == 0
    cell = load_file(done / "run" / "cells" / "window=40,seed=1" / "last" / "weights.safetensors")
    one = load_file(tmp_path / "last" / "weights.safetensors")
    assert all(torch.equal(cell[key], one[key]) for key in one)


@pytest.mark.slow
def test_killed_with_two_workers_it_goes_on_with_one_to_the_same_result(done: Path, tmp_path: Path) -> None:
    words = _words(done, tmp_path / "run", "--vary", "window=20,40")
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli", *words, "--workers", "2"],
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    cells = tmp_path / "run" / "cells"
    _wait(lambda: len(list(cells.glob("*/last/state.pt"))) > len(list(cells.glob("*/cell.json"))) > 0, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    finished = {path: path.stat().st_mtime_ns for path in cells.glob("*/cell.json")}
    assert 0 < len(finished) < 4 and not (tmp_path / "run" / "ablation.csv").exists()
    assert main([*words, "--workers", "1"]) == 0
    assert _without_times(tmp_path / "run") == _without_times(done / "run")
    for path, written in finished.items():
        assert path.stat().st_mtime_ns == written, "what is finished is kept"
    stores = sorted((done / "run").rglob("*.arrow"))
    assert len(stores) == 12
    for store in stores:
        other = read_predictions(tmp_path / "run" / store.relative_to(done / "run"))
        assert np.array_equal(read_predictions(store).probs, other.probs)


def _wait(ready: Any, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 90
    while not ready():
        assert process.poll() is None and time.monotonic() < deadline, "ended before it could be killed"
        time.sleep(0.002)


def test_an_interrupt_of_the_command_alone_ends_its_workers(done: Path, tmp_path: Path) -> None:
    words = _words(done, tmp_path / "run", "--workers", "2", "--train.steps", "1000000")
    check_interrupt(words, lambda: any(tmp_path.glob("run/cells/*/last/state.pt")), tmp_path / "log")


def test_values_and_seeds_can_be_added_and_a_cell_that_fails_is_named(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A batch of 10^7 windows does not fit into memory; one with a rate of 10^30 leaves the numbers."""
    first = ["ablate", *data_flags(done), "--out", str(tmp_path / "run"), *FLAGS, "--window", "20", "--workers", "1"]
    assert main([*first, "--vary", "train.lr=1e-3", "--seeds", "0"]) == 0
    weights = tmp_path / "run" / "cells" / "train.lr=0.001,seed=0" / "last" / "weights.safetensors"
    before = weights.stat().st_mtime_ns
    assert main([*first, "--vary", "train.lr=1e30,1e-3", "--seeds", "0"]) == 1
    assert weights.stat().st_mtime_ns == before
    printed = capsys.readouterr()
    assert "1 done, 1 failed:\n  train.lr=1e+30,seed=0: step " in printed.err and "not finite" in printed.err
    assert [row["train.lr"] for row in csv.DictReader((tmp_path / "run" / "ablation.csv").open())] == ["0.001"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--vary", "window=20,40", "--hop", "30"], "window=20: hop 30 > window 20"),
        (["--vary", "widow=20"], "no setting 'widow' that can be varied. Did you mean 'window'?"),
        (["--seeds", "1", "1"], "seeds [1, 1]"),
        (["--workers", "0"], "--workers 0"),
        (["--train.devices", "2"], "on one device"),
        (["--train.nodes", "2"], "on one device"),
        (["--train.accelerator", "cuda"], "torch finds no GPU"),
    ],
)
def test_settings_that_do_not_fit_are_reported_before_anything_is_done(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
    message: str,
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for folder in ("features", "annotations"):
        (tmp_path / folder).mkdir()
    assert main(_words(tmp_path, tmp_path / "run", *flags)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--train.lr", "0.5"], "(train.lr: "),
        (["--vary", "model.layers=1,2"], "(model.layers: 1 -> None"),
    ],
)
def test_a_run_of_other_settings_is_refused(
    done: Path, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    assert main(_words(done, done / "run", *flags)) == 2
    error = capsys.readouterr().err
    assert "holds a run with other settings" in error and message in error


def test_a_run_on_other_labels_is_refused(done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(done, tmp_path / "other")
    make_split(tmp_path / "other", "Validation_Set", ["late"])
    assert main(_words(tmp_path / "other", tmp_path / "other" / "run")) == 2
    error = capsys.readouterr().err
    assert "holds a run with other settings (" in error and "; labels.validation: " in error


def test_a_run_on_other_features_is_refused(done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(done, tmp_path / "other")
    make_split(tmp_path / "other", "Train_Set", [f"train{index}" for index in range(6)], noise=2.5)
    assert main(_words(tmp_path / "other", tmp_path / "other" / "run")) == 2
    error = capsys.readouterr().err
    assert "holds a run with other settings (features.training: " in error and "labels" not in error


def test_a_video_in_both_splits_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_data(tmp_path)
    source = tmp_path / "annotations" / "Train_Set" / "train0.txt"
    (tmp_path / "annotations" / "Validation_Set" / "train0.txt").write_bytes(source.read_bytes())
    assert main(_words(tmp_path, tmp_path / "run")) == 1
    assert "in Train_Set and in Validation_Set: train0" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["ablate_demo", "ablate_affwild2"])
def test_recipes_are_understood(name: str) -> None:
    from pipelines.ablate.grid import points

    config = parse_config(
        "ablate", ["--config", str(recipe(name)), "--features", "f", "--annotations", "a", "--out", "o"]
    )
    assert len(points(config, config.vary)) >= 3 and len(config.seeds) >= 2
