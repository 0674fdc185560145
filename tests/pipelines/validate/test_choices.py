"""`abaw validate`: sweeps, class bias, comparisons, other tasks, and what models had seen."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from abaw.evaluation.selection import biased_confusion, log_probs
from abaw.inference.decode import decode
from abaw.protocol.annotations import write_annotation
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.protocol.labels import write_action_units, write_valence_arousal
from abaw.sequence.smooth import parse_smoothing
from abaw.sequence.smoothing_file import read_smoothing, write_smoothing
from abaw.stores.predictions import read_predictions
from tests.pipelines.validate_data import CLASSES, annotate, metrics, noisy, predict, runs, store, validate


def test_a_sweep_is_marked_and_has_an_unbiased_estimate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    for number in range(10):
        labels = runs(rng)
        annotate(tmp_path / "labels", f"v{number}", labels)
        store(tmp_path / "predictions", f"v{number}", noisy(rng, labels))
    words = ("--smoothing", "none", "box:11", "gaussian:4", "box:201")
    assert validate(tmp_path, str(tmp_path / "predictions"), *words, "--draws", "200") == 0
    (entry,) = metrics(tmp_path)
    choice = entry["choice"]
    assert entry["optimistic"] is True
    assert [option["name"] for option in choice["options"]] == ["none", "box:11", "gaussian:4", "box:201"]
    scores = [option["macro_f1"] for option in choice["options"]]
    assert choice["best"] == entry["smoothing"] == choice["options"][int(np.argmax(scores))]["name"]
    assert entry["macro_f1"] == choice["optimistic_f1"] == max(scores)
    assert choice["honest_f1"] <= choice["optimistic_f1"]
    assert len(choice["chosen_by_fold"]) == 5
    for text, score in zip(("none", "box:11"), scores, strict=False):
        assert validate(tmp_path, str(tmp_path / "predictions"), "--smoothing", text) == 0
        assert metrics(tmp_path)[0]["macro_f1"] == score
        assert metrics(tmp_path)[0]["choice"] is None
    out = capsys.readouterr().out
    assert f"OPTIMISTIC: '{choice['best']}' is the best of 4" in out
    assert f"{choice['honest_f1']:.4f}" in out


def test_a_class_bias_is_fitted_marked_and_decoded_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On frames of which most are Neutral, for a model that has learned so."""
    rng = np.random.default_rng(1)
    prior = [0.79, *[0.03] * 7]
    labels = {}
    for number in range(10):
        labels[f"v{number}"] = [int(label) for label in np.repeat(rng.choice(8, 60, p=prior), 10)]
        annotate(tmp_path / "labels", f"v{number}", labels[f"v{number}"])
        store(tmp_path / "predictions", f"v{number}", noisy(rng, labels[f"v{number}"], prior=prior))
    words = ("--fit_bias", "--smoothing", "box:3", "--draws", "100")
    assert validate(tmp_path, str(tmp_path / "predictions"), *words) == 0
    (entry,) = metrics(tmp_path)
    choice = entry["choice"]
    assert [option["name"] for option in choice["options"]] == ["box:3", "box:3 + class bias"]
    assert choice["best"] == "box:3 + class bias" and entry["optimistic"] is True
    without = choice["options"][0]["macro_f1"]
    assert without < choice["honest_f1"] <= choice["optimistic_f1"]
    bias = np.array(entry["class_bias"])
    words = " ".join(f"{value:g}" for value in bias)
    assert f"--class_bias {words}" in capsys.readouterr().out
    assert f"--class_bias {words}" in (tmp_path / "report" / "index.html").read_text()
    total = np.zeros((8, 8), np.int64)
    for name, known in labels.items():
        predictions = read_predictions(tmp_path / "predictions" / f"{name}.arrow")
        smooth = decode(predictions, parse_smoothing("box:3"))
        decoded = decode(predictions, parse_smoothing("box:3"), bias)
        matrix = biased_confusion(log_probs(smooth.probs), np.array(known), bias)
        assert np.array_equal(matrix, biased_confusion(log_probs(decoded.probs), np.array(known), np.zeros(8)))
        total += matrix
    rows = (tmp_path / "report" / "confusion.csv").read_text().splitlines()[1:]
    assert np.array_equal(np.array([[int(cell) for cell in row.split(",")[1:]] for row in rows]), total)


def test_a_class_bias_fitted_on_noise_is_worth_little(tmp_path: Path) -> None:
    """It gains where it was fitted; the unbiased estimate does not use those videos."""
    rng = np.random.default_rng(7)
    for number in range(10):
        annotate(tmp_path / "labels", f"v{number}", runs(rng, 200))
        store(tmp_path / "predictions", f"v{number}", noisy(rng, runs(rng, 200)))
    assert validate(tmp_path, str(tmp_path / "predictions"), "--fit_bias", "--draws", "100") == 0
    choice = metrics(tmp_path)[0]["choice"]
    without, biased = (option["macro_f1"] for option in choice["options"])
    assert biased > without + 0.01
    assert choice["honest_f1"] - without < (biased - without) / 2


def test_viterbi_and_forward_backward_take_transitions_of_the_training_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(2)
    for number in range(4):
        labels = runs(rng, 200)
        annotate(tmp_path / "labels", f"v{number}", labels)
        annotate(tmp_path / "labels", f"t{number}", runs(rng, 200), "Train_Set")
        store(tmp_path / "predictions", f"v{number}", noisy(rng, labels))
    predictions, transitions = str(tmp_path / "predictions"), ("--transitions", str(tmp_path / "labels"))
    sweep = ("--smoothing", "none", "viterbi", "forward_backward")
    assert validate(tmp_path, predictions, *sweep, *transitions, "--fit_bias", "--draws", "100") == 0
    (entry,) = metrics(tmp_path)
    none, viterbi, *_ = entry["choice"]["options"]
    assert viterbi["macro_f1"] > none["macro_f1"]
    names = [option["name"].partition(" + ") for option in entry["choice"]["options"]]
    assert [name for name, _, bias in names if bias][0] == "none"
    assert [name.split(":")[0] for name, _, bias in names if bias] == ["none", "viterbi", "forward_backward"]
    assert validate(tmp_path, predictions, "--smoothing", "viterbi", *transitions) == 0
    assert metrics(tmp_path)[0]["calibration"] is None
    capsys.readouterr()
    assert validate(tmp_path, predictions, "--smoothing", "viterbi") == 2
    assert "--transitions DIR" in capsys.readouterr().err
    assert validate(tmp_path, predictions, "--smoothing", "box:5", *transitions) == 2
    assert "--smoothing names neither" in capsys.readouterr().err


def test_a_pass_is_fitted_with_its_weight_and_its_file_gives_the_same_labels(tmp_path: Path) -> None:
    """For a model that has learned that most frames are Neutral, on frames where all classes are equally frequent."""
    rng = np.random.default_rng(3)
    prior = [0.65, *[0.05] * 7]
    labels = {}
    for number in range(10):
        labels[f"v{number}"] = [int(label) for label in np.repeat(rng.integers(0, 8, 20), 10)]
        annotate(tmp_path / "labels", f"v{number}", labels[f"v{number}"])
        annotate(tmp_path / "labels", f"t{number}", np.repeat(rng.integers(0, 8, 20), 10).tolist(), "Train_Set")
        store(tmp_path / "predictions", f"v{number}", noisy(rng, labels[f"v{number}"], prior=prior))
    words = ("--smoothing", "viterbi:0.5", "--transitions", str(tmp_path / "labels"), "--transitions_fps", "25")
    assert validate(tmp_path, str(tmp_path / "predictions"), *words, "--fit_bias", "--draws", "100") == 0
    (entry,) = metrics(tmp_path)
    plain, fitted = entry["choice"]["options"]
    assert entry["choice"]["best"] == fitted["name"]
    assert plain["macro_f1"] < entry["choice"]["honest_f1"] <= fitted["macro_f1"]
    smoothing = read_smoothing(tmp_path / "report" / "smoothing.json", EXPRESSION_CLASSES)
    assert fitted["name"] == f"{smoothing} + class bias"
    assert smoothing.transitions is not None and smoothing.transitions.fps == 25
    assert list(smoothing.class_bias or ()) == entry["class_bias"]
    file = str((tmp_path / "report" / "smoothing.json").rename(tmp_path / "kept.json"))
    assert validate(tmp_path, str(tmp_path / "predictions"), "--smoothing", "none", file) == 0
    again = metrics(tmp_path)[0]["choice"]["options"]
    assert (again[1]["name"], again[1]["macro_f1"]) == (fitted["name"], fitted["macro_f1"])


def test_a_pass_is_fitted_on_a_single_video_without_an_estimate(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    labels = runs(rng, 200)
    annotate(tmp_path / "labels", "v", labels)
    annotate(tmp_path / "labels", "t", runs(rng, 200), "Train_Set")
    store(tmp_path / "predictions", "v", noisy(rng, labels))
    words = ("--smoothing", "forward_backward:0.3", "--transitions", str(tmp_path / "labels"), "--fit_bias")
    assert validate(tmp_path, str(tmp_path / "predictions"), *words, "--draws", "100") == 0
    choice = metrics(tmp_path)[0]["choice"]
    assert len(choice["options"]) == 2 and choice["honest_f1"] is None


def test_transitions_counted_on_scored_videos_are_reported(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    labels = runs(rng)
    for split in ("Train_Set", "Validation_Set"):
        annotate(tmp_path / split, "v", labels, split)
    store(tmp_path / "predictions", "v", noisy(rng, labels))
    (tmp_path / "labels").symlink_to(tmp_path / "Validation_Set")
    words = ("--smoothing", "viterbi", "--transitions", str(tmp_path / "Train_Set"))
    assert validate(tmp_path, str(tmp_path / "predictions"), *words) == 0
    assert any("counted on 1 of the scored videos" in note for note in metrics(tmp_path)[0]["notes"])
    file = (tmp_path / "report" / "smoothing.json").rename(tmp_path / "kept.json")
    assert validate(tmp_path, str(tmp_path / "predictions"), "--smoothing", str(file)) == 0
    assert any("counted on 1 of the scored videos" in note for note in metrics(tmp_path)[0]["notes"])
    without_facts(file)
    assert validate(tmp_path, str(tmp_path / "predictions"), "--smoothing", str(file)) == 0
    notes = metrics(tmp_path)[0]["notes"]
    assert "the file of smoothing 'viterbi:1' does not say on which videos its transitions were counted" in notes


def without_facts(file: Path, **facts: str) -> None:
    """As earlier versions wrote it."""
    file.write_text(json.dumps({**json.loads(file.read_text()), "facts": facts}))


def biased_model(root: Path, seed: int = 1) -> None:
    """Ten videos, and predictions of a model that has learned that most frames are Neutral."""
    rng = np.random.default_rng(seed)
    prior = [0.65, *[0.05] * 7]
    for number in range(10):
        labels = runs(rng, 200)
        annotate(root / "labels", f"v{number}", labels)
        meta = {"trained_on": ["x"], "selected_on": []}
        store(root / "predictions", f"v{number}", noisy(rng, labels, prior=prior), meta=meta)


def test_a_smoothing_file_that_was_chosen_on_scored_videos_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    biased_model(tmp_path)
    predictions, draws = str(tmp_path / "predictions"), ("--draws", "100")
    assert validate(tmp_path, predictions, "--smoothing", "none", "box:5", "--fit_bias", *draws) == 0
    file = tmp_path / "report" / "smoothing.json"
    assert json.loads(file.read_text())["facts"]["chosen_on_videos"] == [f"v{number}" for number in range(10)]
    first = metrics(tmp_path)[0]["macro_f1"]
    for name in ("kept.json", "again.json"):  # the second is written without a choice, and keeps what the first says
        kept = str(file.rename(tmp_path / name))
        capsys.readouterr()
        assert validate(tmp_path, predictions, "--smoothing", kept, *draws) == 0
        said, (entry,) = capsys.readouterr(), metrics(tmp_path)
        assert (
            "predictions: SMOOTHING CHOSEN ON SCORED VIDEOS: by its file, a smoothing was chosen on 10 of 10 scored "
            "videos (v0, v1, v2, v3, v4 and 5 more); the figures are too high" in said.err
        )
        assert "no model was trained or chosen" not in said.out
        assert entry["optimistic"] is True and entry["macro_f1"] == first and entry["choice"] is None
        assert len(entry["origin"]["smoothing_chosen_on"]) == 10
    assert validate(tmp_path, predictions, "--smoothing", "none", kept, *draws) == 0
    said = capsys.readouterr()
    assert "; nested selection, each video scored" in said.out and "unbiased estimate" not in said.out
    (tmp_path / "labels").rename(tmp_path / "other")
    annotate(tmp_path / "labels", "w", CLASSES)
    predict(tmp_path / "predictions", "w", CLASSES, meta={"trained_on": ["x"], "selected_on": []})
    assert validate(tmp_path, predictions, "--smoothing", kept, *draws) == 0
    assert metrics(tmp_path)[0]["optimistic"] is False
    assert "no model was trained or chosen on any of the 1 scored videos" in capsys.readouterr().out


def test_a_smoothing_file_of_an_earlier_version_does_not_say_where_it_was_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    biased_model(tmp_path)
    predictions = str(tmp_path / "predictions")
    assert validate(tmp_path, predictions, "--smoothing", "box:3", "box:5", "--draws", "100") == 0
    chosen = metrics(tmp_path)[0]["smoothing"]
    file = (tmp_path / "report" / "smoothing.json").rename(tmp_path / "kept.json")
    without_facts(file, predictions=predictions, chosen_on=str(tmp_path / "labels"))
    capsys.readouterr()
    assert validate(tmp_path, predictions, "--smoothing", str(file), "--draws", "100") == 0
    said = capsys.readouterr()
    assert f"the file of smoothing '{chosen}' does not say on which videos it was chosen; it is unknown" in said.err
    assert "no model was trained or chosen" not in said.out
    (entry,) = metrics(tmp_path)
    assert entry["optimistic"] is False and entry["origin"]["smoothings_unknown"] == [chosen]


@pytest.mark.parametrize("also", [(), ("box:5",)], ids=["file", "filter and file"])
def test_a_bias_is_fitted_anew_next_to_that_of_a_file(tmp_path: Path, also: tuple[str, ...]) -> None:
    biased_model(tmp_path)
    predictions = str(tmp_path / "predictions")
    assert validate(tmp_path, predictions, "--smoothing", "box:5", "--fit_bias", "--draws", "100") == 0
    first = metrics(tmp_path)[0]["choice"]
    assert first["best"] == "box:5 + class bias"
    file = str((tmp_path / "report" / "smoothing.json").rename(tmp_path / "kept.json"))
    assert validate(tmp_path, predictions, "--smoothing", *also, file, "--fit_bias", "--draws", "100") == 0
    options = {option["name"]: option["macro_f1"] for option in metrics(tmp_path)[0]["choice"]["options"]}
    assert list(options) == [*also, "box:5 + class bias", "box:5 + class bias (refitted)"]
    assert options["box:5 + class bias (refitted)"] == options["box:5 + class bias"] == first["optimistic_f1"]


def test_a_video_without_any_prediction_counts_as_the_first_class_with_a_bias(tmp_path: Path) -> None:
    annotate(tmp_path / "labels", "a", [0, 0, 4, 4])
    annotate(tmp_path / "labels", "b", [0, 0, 4])
    predict(tmp_path / "predictions", "a", [0, 0, 4, 4])
    predict(tmp_path / "predictions", "b", [4, 4, 4], predicted=[False] * 3)
    biased = parse_smoothing("none").biased([0, 0, 0, 0, 1, 0, 0, 0])
    write_smoothing(tmp_path / "s.json", biased, EXPRESSION_CLASSES)
    assert validate(tmp_path, str(tmp_path / "predictions"), "--smoothing", str(tmp_path / "s.json")) == 0
    assert "b: no frame was predicted; all count as the first class" in metrics(tmp_path)[0]["notes"]
    rows = (tmp_path / "report" / "confusion.csv").read_text().splitlines()
    assert (rows[1], rows[5]) == ("Neutral,4,0,0,0,0,0,0,0", "Happiness,1,0,0,0,2,0,0,0")


@pytest.mark.parametrize(
    ("split", "expected"),
    [("validation", {"v"}), ("train", {"t"}), ("both", {"t", "v"})],
    ids=["validation", "train", "both"],
)
def test_splits(tmp_path: Path, split: str, expected: set[str]) -> None:
    annotate(tmp_path / "labels", "v", CLASSES)
    annotate(tmp_path / "labels", "t", CLASSES, "Train_Set")
    for name, others in (("v", ["t"]), ("t", ["v"])):
        predict(tmp_path / "predictions", name, CLASSES, meta={"trained_on": others, "selected_on": []})
    assert validate(tmp_path, str(tmp_path / "predictions"), "--split", split) == 0
    rows = (tmp_path / "report" / "per_video.csv").read_text().splitlines()[1:]
    assert {row.split(",")[0] for row in rows} == expected
    assert metrics(tmp_path)[0]["origin"]["out_of_fold"] is (split == "both")


def test_out_of_fold_predictions_and_leaks_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b", "c"):
        annotate(tmp_path / "labels", name, CLASSES)
        others = [other for other in ("a", "b", "c") if other != name]
        predict(tmp_path / "clean", name, CLASSES, meta={"trained_on": others, "selected_on": []})
        predict(tmp_path / "leaky", name, CLASSES, meta={"trained_on": ["a"], "selected_on": ["b", "c"]})
        predict(tmp_path / "older", name, CLASSES)
    assert validate(tmp_path, *(str(tmp_path / name) for name in ("clean", "leaky", "older"))) == 0
    said = capsys.readouterr()
    assert "clean: out-of-fold: each of the 3 videos was predicted by models that were not trained on it" in said.out
    assert "leaky: TRAINED ON SCORED VIDEOS: 1 of 3 scored videos (a)" in said.err
    assert "leaky: CHOSEN ON SCORED VIDEOS" in said.err and "2 of 3 scored videos (b, c)" in said.err
    assert "older: the predictions of 3 of 3 scored videos (a, b, c) do not say" in said.err
    assert [entry["optimistic"] for entry in metrics(tmp_path)] == [False, True, False]


def test_a_video_in_both_splits_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for split in ("Train_Set", "Validation_Set"):
        annotate(tmp_path / "labels", "v", CLASSES, split)
    predict(tmp_path / "predictions", "v", CLASSES)
    assert validate(tmp_path, str(tmp_path / "predictions"), "--split", "both") == 1
    assert "1 of its videos are in the other split too (v)" in capsys.readouterr().err


def test_a_real_difference_between_predictions_is_found_and_none_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(4)
    for number in range(14):
        labels = runs(rng)
        annotate(tmp_path / "labels", f"v{number}", labels)
        for name, skill in (("first", 1.0), ("alike", 1.0), ("better", 2.0)):
            if (name, number) != ("alike", 3):
                store(tmp_path / name, f"v{number}", noisy(rng, labels, skill))
    assert validate(tmp_path, *(str(tmp_path / name) for name in ("first", "alike", "better"))) == 0
    comparison = json.loads((tmp_path / "report" / "metrics.json").read_text())["comparison"]
    first, alike, better = comparison["rows"]["options"]
    assert first["against_first"] is None
    low, high = alike["against_first"]["interval"]
    assert low < 0 < high
    assert better["against_first"]["interval"][0] > 0.1
    assert better["against_first"]["share_better"] == 1
    assert comparison["rows"]["num_videos"] == 13
    assert "compared on the 13 videos" in comparison["notes"][0]
    said = capsys.readouterr()
    assert "better compared with first: +" in said.out and "taking the best of all: OPTIMISTIC: 'better'" in said.out
    assert "compared on the 13 videos" in said.err


def write_other_tasks(root: Path, name: str, va: NDArray[np.float64], units: NDArray[np.int64]) -> None:
    write_valence_arousal(root / "VA_Estimation_Challenge" / "Validation_Set" / f"{name}.txt", va)
    write_action_units(root / "AU_Detection_Challenge" / "Validation_Set" / f"{name}.txt", units)


def test_other_tasks_are_scored_where_they_are_predicted_and_annotated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(5)
    for number in range(3):
        va, units = rng.uniform(-1, 1, (24, 2)), rng.integers(0, 2, (24, 12))
        labels = tmp_path / "labels"
        write_annotation(labels / "EXPR_Recognition_Challenge" / "Validation_Set" / f"v{number}.txt", np.array(CLASSES))
        if number < 2:
            write_other_tasks(labels, f"v{number}", va, units)
        given = {"valence_arousal": va.astype(np.float32), "action_units": units.astype(np.float32)}
        store(tmp_path / "predictions", f"v{number}", noisy(rng, CLASSES), **given)
    assert validate(tmp_path) == 0
    tasks = metrics(tmp_path)[0]["tasks"]
    assert tasks["ccc"]["mean"]["value"] == pytest.approx(1, abs=1e-3)
    assert tasks["mean_action_units_f1"]["value"] == 1
    assert (tasks["num_frames_valence_arousal"], tasks["num_frames_action_units"]) == (48, 48)
    assert tasks["sum"]["value"] == pytest.approx(metrics(tmp_path)[0]["macro_f1"] + 2, abs=1e-3)
    assert "CCC 1.0" in capsys.readouterr().out
    predict(tmp_path / "expression only", "v0", CLASSES)
    assert validate(tmp_path, str(tmp_path / "predictions"), str(tmp_path / "expression only")) == 0
    assert [entry["tasks"] is None for entry in metrics(tmp_path)] == [False, True]
    (tmp_path / "labels" / "VA_Estimation_Challenge" / "Validation_Set" / "v0.txt").write_text("valence,arousal\nx,y\n")
    assert validate(tmp_path) == 1
    assert "valence_arousal, action_units not scored" in capsys.readouterr().err
    assert metrics(tmp_path)[0]["tasks"] is None


def test_one_file_of_all_tasks(tmp_path: Path) -> None:
    """The multi-task editions: only some frames of a video have a row."""
    rows = ["image,valence,arousal,expression,aus"]
    units = ",".join("01" * 6)
    rows += [f"v/{frame:05d}.jpg,0.5,-0.25,{CLASSES[frame - 1]},{units}" for frame in (1, 2, 3, 7)]
    rows += [f"w/{frame:05d}.jpg,-0.5,0.5,-1,{units}" for frame in (1, 2)]
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "validation_set.txt").write_text("\n".join(rows) + "\n")
    va = np.tile(np.float32([0.5, -0.25]), (24, 1))
    on = np.tile(np.float32([0.1, 0.9] * 6), (24, 1))
    rng = np.random.default_rng(6)
    store(tmp_path / "predictions", "v", noisy(rng, CLASSES, 9.0), valence_arousal=va, action_units=on)
    store(tmp_path / "predictions", "w", noisy(rng, CLASSES), valence_arousal=-va, action_units=on)
    assert validate(tmp_path) == 0
    (entry,) = metrics(tmp_path)
    assert entry["num_frames"] == 4
    assert entry["tasks"]["num_frames_valence_arousal"] == 6
    assert entry["tasks"]["action_units_f1"]["AU2"]["value"] == 1
    assert entry["tasks"]["action_units_f1"]["AU1"]["value"] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(("--smoothing", "box:3", "box:3"), "smoothing 'box:3' is given twice", id="twice"),
        pytest.param(("--draws", "20"), "draws 20: expected 100 or more", id="draws"),
        pytest.param(("--split", "test"), "split", id="split"),
    ],
)
def test_wrong_settings_are_wrong_usage(
    tmp_path: Path, words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    annotate(tmp_path / "labels", "v", CLASSES)
    predict(tmp_path / "predictions", "v", CLASSES)
    try:
        status = validate(tmp_path, str(tmp_path / "predictions"), *words)
    except SystemExit as stopped:
        status = int(str(stopped.code))
    assert status == 2
    assert message in capsys.readouterr().err


def test_few_videos_are_reported(tmp_path: Path) -> None:
    annotate(tmp_path / "labels", "v", CLASSES)
    predict(tmp_path / "predictions", "v", CLASSES)
    assert validate(tmp_path, str(tmp_path / "predictions"), "--smoothing", "none", "box:3") == 0
    (entry,) = metrics(tmp_path)
    assert any("1 videos are too few for a bootstrap" in note for note in entry["notes"])
    assert entry["choice"]["honest_f1"] is None
