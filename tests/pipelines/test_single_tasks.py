"""Valence-arousal alone and action units alone, from training to a checked submission."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import f1_score

from abaw.evaluation.multitask import ccc
from abaw.models.tasks import spec_tasks
from abaw.models.temporal import load_temporal
from abaw.protocol.annotations import write_annotation
from abaw.protocol.classes import ACTION_UNITS, EXPRESSION_CLASSES, TASKS, VALENCE_AROUSAL
from abaw.protocol.editions import edition
from abaw.protocol.labels import write_action_units, write_valence_arousal
from abaw.stores.features import feature_batch, write_features
from abaw.stores.predictions import Predictions, read_predictions, write_predictions
from pipelines.cli import main
from tests.pipelines.temporal_data import BACKBONE, TINY, D

FOLDERS = {"valence_arousal": "VA_Estimation_Challenge", "action_units": "AU_Detection_Challenge"}
OTHERS = ("valence_arousal", "action_units")


def make_videos(root: Path, split: str, num_videos: int, num_frames: int = 100) -> None:
    """Features 0 and 1 are valence and arousal, feature k + 2 is action unit k; all with noise."""
    rng = np.random.default_rng([*split.encode()])
    for index in range(num_videos):
        name = f"{split.split('_')[0].lower()}{index}"
        slow = np.cumsum(rng.normal(size=(num_frames, 2)), axis=0)
        va = np.clip(slow / np.abs(slow).max(), -1, 1)
        units = np.repeat(rng.integers(0, 2, (num_frames // 10, 12)), 10, axis=0)
        features = np.concatenate([va, units, np.zeros((num_frames, 2))], axis=1)
        features += 0.15 * rng.normal(size=features.shape)
        batch = feature_batch(
            np.arange(1, num_frames + 1, dtype=np.int32), np.ones(num_frames, bool), features.astype(np.float16)
        )
        write_features(root / "features" / f"{name}.arrow", D, [batch], {"backbone": BACKBONE, "fps": 25.0})
        write_valence_arousal(root / "annotations" / FOLDERS["valence_arousal"] / split / f"{name}.txt", va)
        write_action_units(root / "annotations" / FOLDERS["action_units"] / split / f"{name}.txt", units)


def train(root: Path, *words: str, command: str = "train-temporal") -> int:
    places = ["--features", str(root / "features"), "--annotations", str(root / "annotations")]
    settings = ["--window", "40", "--hop", "20", "--learn.feature_noise", "0", *words]
    return main([command, *places, "--out", str(root / "run"), *TINY, *settings])


@pytest.mark.parametrize(
    ("tasks", "measure"),
    [(OTHERS[:1], "mean_ccc"), (OTHERS[1:], "mean_unit_f1"), (OTHERS, "sum")],
    ids=["valence and arousal", "action units", "both"],
)
def test_a_model_without_expression(
    tmp_path: Path, tasks: tuple[str, ...], measure: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make_videos(tmp_path, "Train_Set", 5)
    make_videos(tmp_path, "Validation_Set", 3)
    steps = ["--train.steps", "150", "--train.lr", "5e-3", "--train.ema_decay", "0.9", "--train.evaluate_every", "50"]
    assert train(tmp_path, "--tasks", *tasks, *steps, "--holdout", "0.3") == 0
    assert f"{measure} " in capsys.readouterr().out
    spec = load_temporal(tmp_path / "run" / "best")[1]
    assert (spec_tasks(spec), spec.classes) == (tasks, ())
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    scored = {row["step"]: row[f"eval/{measure}"] for row in rows if f"eval/{measure}" in row}
    assert len(scored) == 3 and scored[spec.training["step"]] == max(scored.values())

    places = ["--features", str(tmp_path / "features"), "--checkpoint", str(tmp_path / "run" / "last")]
    assert main(["predict", *places, "--out", str(tmp_path / "predictions"), "--accelerator", "cpu"]) == 0
    columns = {"valence_arousal": VALENCE_AROUSAL, "action_units": ACTION_UNITS}
    with pa.ipc.open_file(str(tmp_path / "predictions" / "validation0.arrow")) as reader:
        assert reader.schema.names == ["frame", "valid", *(name for task in tasks for name in columns[task])]

    validate = ["validate", "--predictions", str(tmp_path / "predictions"), "--draws", "100"]
    validate += ["--annotations", str(tmp_path / "annotations"), "--out", str(tmp_path / "report")]
    fit = ["--fit_thresholds"] if "action_units" in tasks else []
    assert main([*validate, "--smoothing", "none", "box:5", *fit]) == 0
    (found,) = json.loads((tmp_path / "report" / "metrics.json").read_text())["results"]
    assert found["num_videos"] == 3 and found["choice"]["best"] in ("none", "box:5") and found["optimistic"]
    page = (tmp_path / "report" / "index.html").read_text()
    assert "<h1>Validation</h1>" in page and "macro F1" not in page
    if "valence_arousal" in tasks:
        assert found["tasks"]["ccc"]["mean"]["value"] > 0.5 and "valence, CCC" in page
    if "action_units" in tasks:
        assert found["tasks"]["mean_action_units_f1"]["value"] > 0.7 and "AU26, F1" in page
        thresholds = json.loads((tmp_path / "report" / "thresholds.json").read_text())
        assert thresholds == found["tasks"]["thresholds"]["values"] and list(thresholds) == list(ACTION_UNITS)
        assert "Thresholds of the action units" in page
    else:
        assert not (tmp_path / "report" / "thresholds.json").exists()


def write_store(folder: Path, name: str, **tasks: Any) -> None:
    num = len(next(iter(tasks.values())))
    every = np.ones(num, bool)
    frames, none = np.arange(1, num + 1, dtype=np.int32), np.zeros((num, 0), np.float32)
    write_predictions(folder / f"{name}.arrow", Predictions(name, (), frames, every, every, none, {}, **tasks))


def test_scores_of_valence_and_arousal_equal_their_definition(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    labels, predicted = {}, {}
    for index in range(4):
        labels[index] = rng.uniform(-1, 1, (60, 2)).round(3)
        predicted[index] = np.clip(labels[index] + 0.3 * rng.normal(size=(60, 2)), -1, 1).astype(np.float32)
        write_valence_arousal(tmp_path / "labels" / f"v{index}.txt", labels[index])
        write_store(tmp_path / "p", f"v{index}", valence_arousal=predicted[index])
    words = ["validate", "--predictions", str(tmp_path / "p"), "--annotations", str(tmp_path / "labels")]
    assert main([*words, "--out", str(tmp_path / "report")]) == 0
    (found,) = json.loads((tmp_path / "report" / "metrics.json").read_text())["results"]
    for column, name in enumerate(VALENCE_AROUSAL):
        expected = ccc(*(np.concatenate([*each.values()])[:, column] for each in (labels, predicted)))
        low, high = found["tasks"]["ccc"][name]["interval"]
        assert found["tasks"]["ccc"][name]["value"] == pytest.approx(expected, abs=1e-6) and low < expected < high
    assert (found["choice"], found["optimistic"], found["tasks"]["action_units_f1"]) == (None, False, None)
    assert "CCC" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fit_thresholds"], "--fit_thresholds is for action units"),
        (["--fit_bias"], "--fit_bias is for expression"),
        (["--smoothing", "viterbi"], "viterbi"),
    ],
)
def test_settings_of_tasks_that_are_not_predicted(
    tmp_path: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_valence_arousal(tmp_path / "labels" / "v.txt", np.zeros((3, 2)))
    write_store(tmp_path / "p", "v", valence_arousal=np.zeros((3, 2), np.float32))
    places = ["--predictions", str(tmp_path / "p"), "--annotations", str(tmp_path / "labels")]
    assert main(["validate", *places, "--out", str(tmp_path / "report"), *words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def test_predictions_with_and_without_expression_are_scored_separately(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_valence_arousal(tmp_path / "labels" / "v.txt", np.zeros((3, 2)))
    write_store(tmp_path / "p", "v", valence_arousal=np.zeros((3, 2), np.float32))
    one, every = np.ones((3, 8), np.float32) / 8, np.ones(3, bool)
    frames = np.arange(1, 4, dtype=np.int32)
    write_predictions(tmp_path / "q" / "v.arrow", Predictions("v", EXPRESSION_CLASSES, frames, every, every, one, {}))
    both = ["--predictions", str(tmp_path / "q"), str(tmp_path / "p")]
    assert main(["validate", *both, "--annotations", str(tmp_path / "labels"), "--out", str(tmp_path / "r")]) == 2
    assert "these predictions have no expression" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "words", "second"),
    [
        ("abaw10_va", [], "0.2500,-0.5000"),
        ("abaw8_au", [], ",".join("000000111111")),
        ("abaw8_au", ["--thresholds", *(["0.2"] * 6 + ["0.9"] * 6)], ",".join("000111000011")),
        ("abaw8_au", ["--thresholds", "FILE"], ",".join("111111111110")),
    ],
)
def test_a_submission_without_expression(
    tmp_path: Path, name: str, words: list[str], second: str, capsys: pytest.CaptureFixture[str]
) -> None:
    va = np.array([[0.5, 0.5], [0.25, -0.5]], np.float32)
    units = np.tile(np.linspace(0, 1, 12, dtype=np.float32), (2, 1))
    write_store(tmp_path / "p", "a", valence_arousal=va, action_units=units)
    (tmp_path / "t.txt").write_text(f"{edition(name).header}\na/00001.jpg,\na/00002.jpg,\n")
    values = dict.fromkeys(ACTION_UNITS, 0.0) | {"AU26": 1}
    (tmp_path / "thresholds.json").write_text(json.dumps(values))
    words = [str(tmp_path / "thresholds.json") if word == "FILE" else word for word in words]
    units[:, 11] = 0.99
    write_store(tmp_path / "p", "a", valence_arousal=va, action_units=units)
    places = ["--predictions", str(tmp_path / "p"), "--template", str(tmp_path / "t.txt"), "--edition", name]
    assert main(["submit", *places, "--out", str(tmp_path / "s.txt"), *words]) == 0
    assert (tmp_path / "s.txt").read_text().splitlines()[2] == f"a/00002.jpg,{second}"
    capsys.readouterr()
    (tmp_path / "t.txt").write_text(f"{edition('abaw6').header}\na/00001.jpg,\n")
    assert main(["submit", *places[:4], "--out", str(tmp_path / "e.txt")]) == 1
    assert "the predictions have no expression, which abaw6 needs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "words", "status", "message"),
    [
        ("abaw8_au", ["0.5", "0.5"], 2, "expected 12 numbers from 0 to 1 (AU1, AU2,"),
        ("abaw8_au", ["0.5"] * 11 + ["1.5"], 2, "expected 12 numbers from 0 to 1"),
        ("abaw8_au", ["0.5"] * 11 + ["nan"], 2, "expected 12 numbers from 0 to 1"),
        ("abaw8_va", ["0.5"] * 12, 2, "--thresholds: abaw8_va has no action units"),
        ("abaw8_au", ["none.json"], 1, "none.json: no such file"),
        ("abaw8_au", ['{"AU1": 0.5}'], 1, "expected one threshold for each of AU1, AU2"),
        ("abaw8_au", [json.dumps(dict.fromkeys(ACTION_UNITS, 2))], 1, "AU1: expected a number from 0 to 1, found 2"),
        ("abaw8_au", [json.dumps(dict.fromkeys(ACTION_UNITS, True))], 1, "AU1: expected a number from 0 to 1"),
    ],
)
def test_thresholds_that_are_refused(
    tmp_path: Path, name: str, words: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    units = np.zeros((1, 12), np.float32)
    write_store(tmp_path / "p", "a", valence_arousal=units[:, :2], action_units=units)
    (tmp_path / "t.txt").write_text(f"{edition(name).header}\na/00001.jpg,\n")
    if words[0].startswith("{"):
        (tmp_path / "t.json").write_text(words[0])
        words = [str(tmp_path / "t.json")]
    places = ["--predictions", str(tmp_path / "p"), "--template", str(tmp_path / "t.txt"), "--edition", name]
    assert main(["submit", *places, "--out", str(tmp_path / "s.txt"), "--thresholds", *words]) == status
    assert message in capsys.readouterr().err
    assert not (tmp_path / "s.txt").exists()


KEYS = {"valence_arousal": ("mean CCC", "mean_ccc"), "action_units": ("mean F1 of the action units", "mean_unit_f1")}


@pytest.mark.parametrize("task", OTHERS)
def test_cross_validation_of_one_task(tmp_path: Path, task: str, capsys: pytest.CaptureFixture[str]) -> None:
    name, key = KEYS[task]
    make_videos(tmp_path, "Train_Set", 4)
    make_videos(tmp_path, "Validation_Set", 2)
    steps = ["--train.steps", "60", "--train.lr", "5e-3", "--train.ema_decay", "0.9"]
    words = ["--tasks", task, *steps, "--holdout", "0", "--folds", "2"]
    assert train(tmp_path, *words, command="cross-validate") == 0
    facts = json.loads((tmp_path / "run" / "cross_validation.json").read_text())
    low, high = facts["interval"]
    assert low < facts[key] < high and facts[key] > 0.3
    assert f"out of fold: {name} {facts[key]:.4f}" in capsys.readouterr().out
    for fold in facts["folds"]:
        assert fold["accuracy"] is None and fold["num_frames"] == 300 and fold[f"{key}_with_face"] == fold[key]
    validate = ["validate", "--predictions", str(tmp_path / "run" / "predictions"), "--split", "both"]
    validate += ["--annotations", str(tmp_path / "annotations"), "--out", str(tmp_path / "report"), "--draws", "100"]
    assert main(validate) == 0
    (found,) = json.loads((tmp_path / "report" / "metrics.json").read_text())["results"]
    scores = found["tasks"]["ccc"]["mean"] if task == "valence_arousal" else found["tasks"]["mean_action_units_f1"]
    assert scores["value"] == pytest.approx(facts[key], abs=1e-5) and found["origin"]["out_of_fold"]
    cell = (tmp_path / "run" / "folds" / "0" / "cell.json").read_bytes()
    assert train(tmp_path, *words, command="cross-validate") == 0, "finished folds are read again"
    assert (tmp_path / "run" / "folds" / "0" / "cell.json").read_bytes() == cell


def test_ablation_of_one_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_videos(tmp_path, "Train_Set", 3)
    make_videos(tmp_path, "Validation_Set", 3)
    words = ["--tasks", "valence_arousal", "--train.steps", "20", "--holdout", "0"]
    words += ["--vary", "learn.batch_size=4,8", "--seeds", "0", "1"]
    for wrong in (["--fit_bias"], ["--smoothing", "viterbi"]):
        assert train(tmp_path, *words, *wrong, command="ablate") == 2
        assert "--tasks does not name" in capsys.readouterr().err
    assert train(tmp_path, *words, command="ablate") == 0
    table = json.loads((tmp_path / "run" / "ablation.json").read_text())
    assert "mean_ccc" in table["best"] and "mean_ccc" in table["honest"] and len(table["cells"]) == 4
    assert {"mean_ccc", "mean_ccc_with_face", "accuracy"} <= table["cells"][0].keys()
    out = capsys.readouterr().out
    assert "| mean CCC | 95 % interval |" in out and "unbiased estimate: mean CCC" in out
    assert (tmp_path / "run" / "ablation.png").exists()
    assert train(tmp_path, *words, "--smoothing", "none", "box:5", command="ablate") == 0
    smoothed = json.loads((tmp_path / "run" / "ablation.json").read_text())["cells"]
    assert [cell["smoothing"] for cell in smoothed] == ["none"] * 2 + ["box:5"] * 2 + ["none"] * 2 + ["box:5"] * 2
    plain = [cell["mean_ccc"] for cell in smoothed if cell["smoothing"] == "none"]
    assert plain == [cell["mean_ccc"] for cell in table["cells"]]
    assert plain != [cell["mean_ccc"] for cell in smoothed if cell["smoothing"] == "box:5"]


def test_predictions_without_expression_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    for index in range(12):
        labels = np.clip(np.cumsum(0.2 * rng.normal(size=(80, 2)), axis=0), -1, 1)
        write_valence_arousal(tmp_path / "labels" / f"v{index:02d}.txt", labels)
        for name, noise in (("weak", 0.8), ("good", 0.2)):
            noisy = np.clip(labels + noise * rng.normal(size=labels.shape), -1, 1).astype(np.float32)
            write_store(tmp_path / name, f"v{index:02d}", valence_arousal=noisy)
    words = ["validate", "--predictions", str(tmp_path / "weak"), str(tmp_path / "good"), "--draws", "200"]
    words += ["--annotations", str(tmp_path / "labels"), "--out", str(tmp_path / "report")]
    assert main([*words, "--smoothing", "none", "box:5"]) == 0
    report = json.loads((tmp_path / "report" / "metrics.json").read_text())
    rows, best = report["comparison"]["rows"], report["comparison"]["best_of_all"]
    ours = [each["tasks"]["ccc"]["mean"]["value"] for each in report["results"]]
    assert [each["mean_ccc"] for each in rows["options"]] == pytest.approx(ours) and rows["measure"] == "mean CCC"
    against = rows["options"][1]["against_first"]
    assert against["difference"] == pytest.approx(ours[1] - ours[0]) and against["interval"][0] > 0
    assert len(best["options"]) == 4 and best["best"].startswith("good, ") and best["honest_score"] is not None
    out = capsys.readouterr().out
    assert "good compared with weak: +" in out and "mean CCC" in out and "taking the best of all" in out
    page = (tmp_path / "report" / "index.html").read_text()
    assert "<h2>Comparison</h2>" in page and "paired" in page and "<h3>By video</h3>" in page


def test_scores_by_video_equal_their_definition(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    va, units = rng.uniform(-1, 1, (2, 60, 2)).round(3), rng.integers(0, 2, (2, 60, 12))
    units[:, :, 3] = 0
    va[0, :10], units[0, 5:9] = np.nan, -1
    for index in range(2):
        for task, write, each in ((OTHERS[0], write_valence_arousal, va), (OTHERS[1], write_action_units, units)):
            write(tmp_path / "labels" / FOLDERS[task] / "Validation_Set" / f"v{index}.txt", each[index])
    write_store(tmp_path / "p", "v0", valence_arousal=np.float32(0.5 * va[1]), action_units=np.float32(units[1]))
    write_store(tmp_path / "p", "v1", valence_arousal=np.float32(0.5 * va[1]), action_units=np.float32(units[1]))
    words = ["validate", "--predictions", str(tmp_path / "p"), "--annotations", str(tmp_path / "labels")]
    assert main([*words, "--out", str(tmp_path / "report"), "--draws", "100"]) == 0
    first, second = csv.DictReader((tmp_path / "report" / "per_video.csv").open())
    assert (first["video"], first["frames_valence_arousal"], first["frames_action_units"]) == ("v0", "50", "56")
    for column, name in enumerate(VALENCE_AROUSAL):
        expected = ccc(va[0, :, column], np.float32(0.5 * va[1])[:, column])
        assert float(first[f"ccc_{name}"]) == pytest.approx(expected, abs=1e-6)
    known = units[0] >= 0
    scores = [
        f1_score(units[0, known[:, unit], unit], units[1, known[:, unit], unit]) for unit in range(12) if unit != 3
    ]
    assert float(first["mean_action_units_f1"]) == pytest.approx(np.mean(scores), abs=1e-6)
    assert (second["mean_action_units_f1"], second["units_on"]) == ("1.000000", "11")


def test_a_store_without_classes_needs_another_task(tmp_path: Path) -> None:
    assert TASKS[1:] == OTHERS
    write_store(tmp_path, "v", action_units=np.full((2, 12), 0.25, np.float32))
    read = read_predictions(tmp_path / "v.arrow")
    assert (read.classes, read.probs.shape, read.valence_arousal) == ((), (2, 0), None)
    assert read.action_units is not None and (read.action_units == 0.25).all() and read.predicted.all()


@pytest.mark.parametrize("words", [[], ["--fit_bias", "--smoothing", "none", "box:5"]], ids=["plain", "with a choice"])
def test_thresholds_are_fitted_next_to_expression(tmp_path: Path, words: list[str]) -> None:
    """Probabilities of annotated units are low: the best threshold is far below .5. Other figures do not change."""
    rng = np.random.default_rng(0)
    frames, every = np.arange(1, 81, dtype=np.int32), np.ones(80, bool)
    for index in range(6):
        classes, units = np.repeat(rng.integers(0, 8, 8), 10), rng.integers(0, 2, (80, 12))
        file = f"Validation_Set/v{index}.txt"
        write_annotation(tmp_path / "labels" / "EXPR_Recognition_Challenge" / file, classes)
        write_action_units(tmp_path / "labels" / FOLDERS["action_units"] / file, units)
        probs = (np.eye(8)[classes] * 0.2 + 0.1).astype(np.float32)
        on = (0.2 * units + 0.1 * rng.random(units.shape)).astype(np.float32)
        store = Predictions(f"v{index}", EXPRESSION_CLASSES, frames, every, every, probs, {}, action_units=on)
        write_predictions(tmp_path / "p" / f"v{index}.arrow", store)
    validate = ["validate", "--predictions", str(tmp_path / "p"), "--annotations", str(tmp_path / "labels")]
    validate += ["--draws", "100", *words]
    found = []
    for name, more in (("plain", []), ("fitted", ["--fit_thresholds"])):
        assert main([*validate, *more, "--out", str(tmp_path / name)]) == 0
        found += json.loads((tmp_path / name / "metrics.json").read_text())["results"]
    thresholds = found[1]["tasks"].pop("thresholds")
    assert found[0] == found[1] and found[0]["tasks"]["mean_action_units_f1"]["value"] == 0
    assert all(0.1 <= value <= 0.2 for value in thresholds["values"].values()) and thresholds["optimistic"]
    assert thresholds["mean_action_units_f1"]["value"] == 1 and thresholds["nested_mean_action_units_f1"]["value"] == 1
