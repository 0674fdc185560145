"""Expression, valence-arousal and action units trained together, from files of each task and from one file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from abaw.models.tasks import spec_tasks
from abaw.models.temporal import load_temporal
from abaw.protocol.annotations import write_annotation
from abaw.protocol.classes import TASKS
from abaw.protocol.labels import read_labels, write_action_units, write_valence_arousal
from abaw.stores.features import feature_batch, write_features
from abaw.stores.predictions import read_predictions
from pipelines.cli import main
from tests.pipelines.temporal_data import BACKBONE, TINY, D, make_data

Labels = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]
FOLDERS = ("EXPR_Recognition_Challenge", "VA_Estimation_Challenge", "AU_Detection_Challenge")


def _make_videos(root: Path, split: str, names: list[str], *, num_frames: int = 150) -> dict[str, Labels]:
    """Feature 0 and 1 are valence and arousal, feature k + 2 is action unit k, feature 14 the class (0 or 1)."""
    generator = np.random.default_rng([*split.encode()])
    made = {}
    for name in names:
        slow = np.cumsum(generator.normal(size=(num_frames, 2)), axis=0)
        va = np.clip(slow / np.abs(slow).max(), -1, 1)
        units = np.repeat(generator.integers(0, 2, (num_frames // 10, 12)), 10, axis=0)
        classes = np.repeat(generator.integers(0, 2, num_frames // 15), 15)
        features = np.concatenate([va, units, classes[:, None], np.zeros((num_frames, 1))], axis=1)
        features += 0.15 * generator.normal(size=features.shape)
        frames = np.arange(1, num_frames + 1, dtype=np.int32)
        batch = feature_batch(frames, np.ones(num_frames, dtype=bool), features.astype(np.float16))
        write_features(root / "features" / f"{name}.arrow", D, [batch], {"backbone": BACKBONE, "fps": 25.0})
        made[name] = (classes, va, units)
    return made


def _write_official(root: Path, split: str, made: dict[str, Labels]) -> None:
    """Every third video lacks one of the tasks."""
    for index, (name, (classes, va, units)) in enumerate(made.items()):
        folders = [root / "annotations" / folder / split / f"{name}.txt" for folder in FOLDERS]
        if index % 3 != 0:
            write_annotation(folders[0], classes)
        if index % 3 != 1:
            write_valence_arousal(folders[1], va)
        if index % 3 != 2:
            write_action_units(folders[2], units)


def _write_multitask(path: Path, made: dict[str, Labels]) -> None:
    """Every second frame has a row; some lack valence and arousal, some the expression, some the action units."""
    rows = ["image,valence,arousal,expression,aus"]
    for name, (classes, va, units) in made.items():
        for frame in range(0, len(classes), 2):
            missing = frame % 7
            values = ["-5", "-5"] if missing == 0 else [f"{value:.4f}" for value in va[frame]]
            values.append("-1" if missing == 2 else str(classes[frame]))
            values += ["-1"] * 12 if missing == 4 else [str(unit) for unit in units[frame]]
            rows.append(f"{name}/{frame + 1:05d}.jpg,{','.join(values)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n")


def _train_and_predict(root: Path, annotations: Path) -> None:
    words = ["train-temporal", "--features", str(root / "features"), "--annotations", str(annotations), *TINY]
    words += ["--out", str(root / "run"), "--window", "50", "--hop", "30", "--holdout", "0", "--tasks", *TASKS]
    words += [
        "--model.width",
        "48",
        "--train.steps",
        "250",
        "--train.lr",
        "5e-3",
        "--train.ema_decay",
        "0.9",
        "--learn.feature_noise",
        "0",
    ]
    assert main(words) == 0
    words = ["predict", "--features", str(root / "features"), "--checkpoint", str(root / "run" / "last")]
    assert main([*words, "--out", str(root / "predictions"), "--accelerator", "cpu"]) == 0


@pytest.mark.parametrize("layout", ["a file a task and video", "one file for all"])
def test_all_heads_learn_from_what_each_video_is_annotated_for(tmp_path: Path, layout: str) -> None:
    made = _make_videos(tmp_path, "Train_Set", [f"train{index}" for index in range(9)])
    unseen = _make_videos(tmp_path, "Validation_Set", ["unseen"])["unseen"]
    if layout == "one file for all":
        annotations = tmp_path / "annotations" / "MTL_Challenge" / "train_set.txt"
        _write_multitask(annotations, made)
    else:
        annotations = tmp_path / "annotations"
        _write_official(tmp_path, "Train_Set", made)
    assert set(read_labels(annotations, "Train_Set", TASKS)) == set(made)
    _train_and_predict(tmp_path, annotations)
    assert spec_tasks(load_temporal(tmp_path / "run" / "last")[1]) == TASKS
    predictions = read_predictions(tmp_path / "predictions" / "unseen.arrow")
    classes, va, units = unseen
    assert predictions.valence_arousal is not None and predictions.action_units is not None
    assert np.mean(predictions.probs.argmax(1) == classes) > 0.8
    for index in range(2):
        assert np.corrcoef(predictions.valence_arousal[:, index], va[:, index])[0, 1] > 0.7
    assert np.mean((predictions.action_units > 0.5) == units) > 0.8


def test_two_sources_are_used_together_and_in_their_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_data(tmp_path, num_validation=0)
    for path in (tmp_path / "features").glob("*.arrow"):
        frames = np.arange(1, 121, dtype=np.int32)
        noise = np.random.default_rng(0).normal(size=(120, 3)).astype(np.float16)
        batch = feature_batch(frames, np.ones(120, dtype=bool), noise)
        write_features(tmp_path / "other" / path.name, 3, [batch], {"backbone": "c" * 16})
    both = [str(tmp_path / "features"), str(tmp_path / "other")]
    words = ["train-temporal", "--annotations", str(tmp_path / "annotations"), "--out", str(tmp_path / "run"), *TINY]
    words += ["--window", "40", "--hop", "20", "--train.steps", "4", "--model.delta", "2", "--model.tcn", "1"]
    assert main([*words, "--features", *both]) == 0
    spec = load_temporal(tmp_path / "run" / "last")[1]
    assert spec.feature_dim == D + 3 and spec.input["backbone"] == f"{BACKBONE}+{'c' * 16}"
    predict = ["predict", "--checkpoint", str(tmp_path / "run" / "last"), "--out", str(tmp_path / "out")]
    assert main([*predict, "--features", *both]) == 0
    assert len(read_predictions(tmp_path / "out" / "train0.arrow")) == 120
    assert main([*predict, "--features", *reversed(both), "--out", str(tmp_path / "turned")]) == 1
    assert "in the order of training" in capsys.readouterr().err
    (tmp_path / "other" / "train0.arrow").unlink()
    assert main([*predict, "--features", *both, "--out", str(tmp_path / "lacking")]) == 1
    assert "has no features of this video" in capsys.readouterr().err
