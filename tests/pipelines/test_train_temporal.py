"""`abaw train-temporal` on made-up features: what it writes, that it learns, that a kill does no harm."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from abaw.core.artifacts import read_json, write_json
from abaw.evaluation.metrics import macro_f1
from abaw.inference.predict import predict_clips
from abaw.models.temporal import load_temporal, on_windows
from abaw.sequence.windows import Windows
from abaw.training.temporal import train_temporal
from abaw.training.temporal_recipe import recipe_of
from pipelines.cli import main, parse_config
from pipelines.recipe_files import recipe
from pipelines.train_temporal import read_split
from tests.pipelines.temporal_data import BACKBONE, TINY, D, data_flags, make_data, make_split


def _words(root: Path, out: Path, *more: str) -> list[str]:
    words = ["train-temporal", *data_flags(root), "--out", str(out), "--window", "40", "--hop", "20", *TINY]
    return [*words, "--holdout", "0.34", "--train.steps", "12", "--train.evaluate_every", "4", *more]


def test_a_run_leaves_checkpoints_that_record_their_origin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_data(tmp_path)
    assert main(_words(tmp_path, tmp_path / "run")) == 0
    printed = capsys.readouterr()
    for name in ("last", "best"):
        _, spec = load_temporal(tmp_path / "run" / name)
        source = {"name": "features", "backbone": BACKBONE, "dim": D, "modality": "face"}
        assert spec.input == {"window": 40, "hop": 20, "backbone": BACKBONE, "sources": [source]}
        assert spec.feature_dim == D
        assert set(spec.training["videos"]) | set(spec.training["scored_on"]) == {f"train{index}" for index in range(6)}
        assert not set(spec.training["videos"]) & set(spec.training["scored_on"])
        assert f"{tmp_path / 'run' / name}: step" in printed.out
    assert not {"features", "annotations", "out"} & set(spec.training["recipe"]), "paths do not travel"
    assert spec.training["scores"]["macro_f1"] >= 0
    assert spec.class_shares is not None and sum(spec.class_shares) == pytest.approx(1)
    assert "balances the classes twice" not in printed.err
    assert "held out" in printed.err
    assert "have no annotations" not in printed.err, "the other stores belong to the validation split"
    assert read_json(tmp_path / "run" / "config.json")["config"]["backbone"] == BACKBONE


def test_features_left_in_their_stores_give_the_weights_and_predictions_of_features_in_memory(tmp_path: Path) -> None:
    make_data(tmp_path, num_validation=0)
    stored = read_split([tmp_path / "features"], tmp_path / "annotations", "Train_Set")
    in_memory = stored.subset([replace(clip, features=clip.features[:]) for clip in stored.clips])
    recipe = recipe_of(parse_config("train-temporal", _words(tmp_path, tmp_path)[1:]))
    for name, clips in (("stored", stored), ("in_memory", in_memory)):
        train_temporal(clips, Windows(40, 20), recipe, tmp_path / name)
    for checkpoint in ("last", "best"):
        weights = [tmp_path / name / checkpoint / "weights.safetensors" for name in ("stored", "in_memory")]
        assert weights[0].read_bytes() == weights[1].read_bytes()
    model, spec = load_temporal(tmp_path / "stored" / "last")
    run = on_windows(model)
    pairs = zip(predict_clips(run, spec, stored.clips), predict_clips(run, spec, in_memory.clips), strict=True)
    assert all(np.array_equal(one.probs, other.probs) for one, other in pairs)


def test_it_beats_the_best_class_of_each_frame(tmp_path: Path) -> None:
    """Noise hides the class of a single frame; neighbours of the same run show it."""
    make_split(tmp_path, "Train_Set", [f"t{index}" for index in range(16)], num_frames=200, noise=3.0)
    make_split(tmp_path, "Validation_Set", [f"v{index}" for index in range(6)], num_frames=200, noise=3.0, seed=1)
    words = ["--window", "50", "--hop", "30", "--model.width", "32", "--learn.feature_noise", "0.5"]
    words += ["--train.steps", "150", "--train.lr", "5e-3", "--train.ema_decay", "0.95", "--train.warmup_steps", "20"]
    assert main([*_words(tmp_path, tmp_path / "run"), *words, "--learn.batch_size", "16"]) == 0
    from abaw.evaluation.clips import score_clips

    validation = read_split([tmp_path / "features"], tmp_path / "annotations", "Validation_Set")
    model, spec = load_temporal(tmp_path / "run" / "last")
    temporal = score_clips(model, spec, validation).all_frames.macro_f1
    means = np.random.default_rng(99).normal(size=(8, D))
    labels = np.concatenate([clip.labels for clip in validation.clips])
    features = np.concatenate([clip.features[:] for clip in validation.clips]).astype(np.float32)
    nearest = (features @ means.T - (means**2).sum(1) / 2).argmax(1)
    per_frame = macro_f1(labels, nearest)
    assert temporal > per_frame + 0.1, f"temporal {temporal:.3f}, the best a single frame can give {per_frame:.3f}"


def test_the_same_seed_gives_the_same_model_and_another_one_another(tmp_path: Path) -> None:
    make_data(tmp_path, num_validation=0)
    weights = []
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert main(_words(tmp_path, tmp_path / name, "--train.seed", seed)) == 0
        weights.append(load_file(tmp_path / name / "last" / "weights.safetensors"))
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert not torch.equal(weights[0]["head.weight"], weights[2]["head.weight"])


def test_a_model_expects_the_classes_as_often_as_its_windows_show_them(tmp_path: Path) -> None:
    make_data(tmp_path, num_validation=0)
    shares = {}
    for sampling in ("frame", "class"):
        words = ["--learn.sampling", sampling, "--window", "4", "--hop", "4", "--holdout", "0"]
        assert main(_words(tmp_path, tmp_path / sampling, *words)) == 0
        shares[sampling] = np.array(load_temporal(tmp_path / sampling / "last")[1].class_shares)
    counts = read_split([tmp_path / "features"], tmp_path / "annotations", "Train_Set").class_counts()
    np.testing.assert_allclose(shares["frame"], counts / counts.sum(), atol=0.05)
    assert shares["class"].std() < shares["frame"].std()


def test_balancing_the_classes_twice_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_data(tmp_path, num_validation=0)
    assert main(_words(tmp_path, tmp_path / "run", "--learn.balance", "logit_adjustment", "--holdout", "0")) == 0
    assert "balances the classes twice" in capsys.readouterr().err


def test_without_a_holdout_it_says_what_it_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_data(tmp_path, num_validation=0)
    assert main(_words(tmp_path, tmp_path / "run", "--holdout", "0")) == 0
    assert "the 6 training videos themselves (nothing held out)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "status", "message"),
    [
        (["--hop", "41"], 2, "hop 41 > window 40"),
        (["--holdout", "1.5"], 2, "holdout 1.5"),
        (["--model.width", "18", "--model.heads", "4"], 2, "multiple of 2 x heads"),
    ],
)
def test_settings_that_do_not_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], status: int, message: str
) -> None:
    make_data(tmp_path)
    assert main(_words(tmp_path, tmp_path / "run", *flags)) == status
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    assert not (tmp_path / "run" / "last").exists()


def test_no_matching_annotation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_data(tmp_path)
    for file in (tmp_path / "annotations" / "Train_Set").iterdir():
        file.rename(file.with_name(f"other_{file.name}"))
    assert main(_words(tmp_path, tmp_path / "run")) == 1
    assert "no annotation matches a feature store" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_damaged_store_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_data(tmp_path)
    store = tmp_path / "features" / "train3.arrow"
    store.write_bytes(store.read_bytes()[:1000])
    assert main(_words(tmp_path, tmp_path / "run")) == 1
    assert "train3.arrow: not a readable store" in capsys.readouterr().err


def test_other_settings_or_labels_are_not_taken_for_the_same_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_data(tmp_path, num_validation=0)
    assert main(_words(tmp_path, tmp_path / "run")) == 0
    assert main(_words(tmp_path, tmp_path / "run", "--learn.label_smoothing", "0.2")) == 2
    assert "holds a run with other settings (learn.label_smoothing: 0.1 -> 0.2)" in capsys.readouterr().err
    make_split(tmp_path, "Train_Set", ["train1"], seed=7)
    assert main(_words(tmp_path, tmp_path / "run")) == 2
    error = capsys.readouterr().err
    assert "holds a run with other settings (" in error and "; labels: " in error


def test_a_run_on_other_features_is_refused_and_one_of_an_earlier_version_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The labels, the frames with a face and the backbone stay, as after a corrected import."""
    make_data(tmp_path, num_validation=0)
    words = _words(tmp_path, tmp_path / "run")
    assert main(words) == 0
    make_split(tmp_path, "Train_Set", [f"train{index}" for index in range(6)], noise=2.5)
    assert main(words) == 2
    assert "holds a run with other settings (features: " in capsys.readouterr().err
    file = tmp_path / "run" / "config.json"
    older = read_json(file)
    del older["config"]["features"]
    write_json(file, older)
    assert main(words) == 0


def kill_when(words: list[str], ready: Path) -> None:
    """Run the command in a separate process and kill it as soon as `ready` exists."""
    process = subprocess.Popen([sys.executable, "-m", "pipelines.cli", *words], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not ready.exists():
        assert process.poll() is None and time.monotonic() < deadline, "ended before it could be killed"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors.decode()


def test_a_killed_run_goes_on_to_the_same_result(tmp_path: Path) -> None:
    make_data(tmp_path, num_validation=0)
    flags = ["--train.steps", "60", "--train.checkpoint_every", "10", "--train.evaluate_every", "10"]
    assert main(_words(tmp_path, tmp_path / "whole", *flags)) == 0
    words = _words(tmp_path, tmp_path / "killed", *flags)
    kill_when(words, tmp_path / "killed" / "last" / "state.pt")
    state = torch.load(tmp_path / "killed" / "last" / "state.pt", weights_only=True)
    assert state["done"] < 60, "killed midway"
    assert main(words) == 0
    for name in ("last", "best"):
        whole, killed = (load_file(tmp_path / run / name / "weights.safetensors") for run in ("whole", "killed"))
        assert all(torch.equal(whole[key], killed[key]) for key in whole)
    steps = [
        [
            (line["step"], sorted(line))
            for line in map(json.loads, (tmp_path / run / "metrics.jsonl").read_text().split("\n")[:-1])
        ]
        for run in ("whole", "killed")
    ]
    assert steps[0] == steps[1]


@pytest.mark.parametrize("name", ["temporal_demo", "temporal_affwild2"])
def test_recipes_are_understood(name: str) -> None:
    from pipelines.cli import parse_config

    config = parse_config(
        "train-temporal", ["--config", str(recipe(name)), "--features", "f", "--annotations", "a", "--out", "o"]
    )
    assert config.hop <= config.window
