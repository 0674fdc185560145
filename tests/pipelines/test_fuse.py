"""`abaw fuse`: from the predictions of several models to one checked submission, with weights that are marked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from abaw.core.artifacts import read_json
from abaw.evaluation.bootstrap import video_groups
from abaw.evaluation.metrics import macro_f1
from abaw.protocol.editions import edition
from abaw.protocol.labels import write_action_units, write_valence_arousal
from abaw.stores.predictions import Predictions, read_predictions, write_predictions
from pipelines.cli import main
from tests.pipelines.temporal_data import TINY, data_flags, make_data, make_split
from tests.pipelines.validate_data import annotate, noisy, runs, store

VIDEOS = [*(f"v{index}" for index in range(6)), "v6_left", "v6_right"]


def fuse(root: Path, *words: str, members: tuple[str, ...] = ("a", "b"), out: str = "fused") -> int:
    return main(["fuse", *(str(root / name) for name in members), "--out", str(root / out), *words])


def probs_of(root: Path, folder: str, name: str) -> NDArray[np.float32]:
    return read_predictions(root / folder / f"{name}.arrow").probs


def record(folder: str, name: str, others: list[str]) -> dict[str, Any]:
    """Metadata as out-of-fold predictions have them."""
    group = video_groups([name])[0]
    trained = [other for other in others if video_groups([other])[0] != group]
    return {"trained_on": trained, "selected_on": [], "checkpoints": [f"{folder}-{group}"]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Out-of-fold predictions of a good model, a weak one, and one that is always wrong about one class."""
    root = tmp_path_factory.mktemp("fuse")
    rng = np.random.default_rng(0)
    for name in VIDEOS:
        labels = runs(rng)
        annotate(root / "labels", name, labels, "Train_Set" if name < "v4" else "Validation_Set")
        for folder, skill in (("a", 2.5), ("b", 1.5), ("c", -1.0)):
            store(root / folder, name, noisy(rng, labels, skill), meta=record(folder, name, VIDEOS))
    return root


@pytest.fixture(scope="module")
def fitted(made: Path) -> dict[str, Any]:
    assert (
        fuse(made, "--weights", "oof", "--annotations", str(made / "labels"), members=("a", "b", "c"), out="oof") == 0
    )
    report: dict[str, Any] = read_json(made / "oof" / "fusion.json")
    return report


def test_equal_weights_are_the_mean(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fuse(made, out=str(tmp_path)) == 0
    assert sorted(path.stem for path in tmp_path.glob("*.arrow")) == VIDEOS
    mean = (probs_of(made, "a", "v1").astype(float) + probs_of(made, "b", "v1")) / 2
    assert np.allclose(probs_of(tmp_path, "", "v1"), mean, atol=1e-6)
    meta = read_predictions(tmp_path / "v1.arrow").meta
    assert [(each["name"], each["weights"]) for each in meta["fusion"]["members"]] == [
        ("a", {"expression": 0.5}),
        ("b", {"expression": 0.5}),
    ]
    assert meta["weights_chosen_on"] == [] and not (tmp_path / "fusion.json").exists()
    capsys.readouterr()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert fuse(made, out=str(tmp_path)) == 0
    assert capsys.readouterr().err.count("already exists") == len(VIDEOS)
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert fuse(made, members=("b", "c"), out=str(tmp_path)) == 1
    assert "was made from another input or with other settings" in capsys.readouterr().err


def test_fitted_weights_favour_the_better_models(fitted: dict[str, Any]) -> None:
    a, b, c = fitted["weights"]["expression"].values()
    assert a > b > c and c < 0.05 and a + b + c == pytest.approx(1)
    scores = fitted["scores"]["expression"]
    assert scores["nested"]["value"] > scores["equal"]["value"] > scores["members"]["c"]["value"]
    low, high = scores["nested"]["interval"]
    assert low < scores["nested"]["value"] < high and scores["fitted"]["optimistic"]
    assert fitted["fitted_on"] == VIDEOS


def test_the_scores_equal_their_definition(made: Path, fitted: dict[str, Any]) -> None:
    labels = np.concatenate([_labels(made, name) for name in VIDEOS])
    weights = list(fitted["weights"]["expression"].values())
    for name, expected in (
        ("members", macro_f1(labels, _classes(made, [0, 1, 0]))),
        ("equal", macro_f1(labels, _classes(made, [1, 1, 1]))),
        ("fitted", macro_f1(labels, _classes(made, weights))),
    ):
        found = fitted["scores"]["expression"][name]
        assert (found["b"] if name == "members" else found)["value"] == pytest.approx(expected, abs=1e-6)


def _labels(root: Path, name: str) -> NDArray[np.int64]:
    (file,) = (root / "labels").glob(f"*/{name}.txt")
    return np.loadtxt(file, skiprows=1, dtype=np.int64)


def _classes(root: Path, weights: list[float]) -> NDArray[np.int8]:
    mixed = [
        sum(weight * probs_of(root, folder, name) for folder, weight in zip("abc", weights, strict=True))
        for name in VIDEOS
    ]
    return np.concatenate([each.argmax(axis=1) for each in map(np.asarray, mixed)]).astype(np.int8)


def test_the_nested_score_leaves_out_the_scored_people(made: Path, fitted: dict[str, Any], tmp_path: Path) -> None:
    """In one video the models change places: it is scored with weights that never saw it, nor its other person."""
    shutil.copytree(made / "labels", tmp_path / "labels")
    for folder in "ab":
        shutil.copytree(made / folder, tmp_path / folder)
    for name in ("v6_left", "v6_right"):
        for folder, source in (("a", "c"), ("b", "a")):
            shutil.copy(made / source / f"{name}.arrow", tmp_path / folder)
    assert fuse(tmp_path, "--weights", "oof", "--annotations", str(tmp_path / "labels")) == 0
    scores = read_json(tmp_path / "fused" / "fusion.json")["scores"]["expression"]
    assert scores["nested"]["value"] < scores["fitted"]["value"]


def _oof(root: Path, labels: str, *words: str, out: str = "out") -> int:
    return fuse(root, "--weights", "oof", "--annotations", str(root / labels), *words, out=out)


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_stores_with_the_same_weights_from_other_annotations_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All the weight goes to the same model, but the stores also say on which videos that was chosen."""
    rng = np.random.default_rng(0)
    halves: dict[str, list[str]] = {"even": [], "odd": []}
    for index in range(12):
        name, half, labels = f"w{index:02d}", ("even", "odd")[index % 2], runs(rng, 140)
        halves[half].append(name)
        annotate(tmp_path / half, name, labels)
        for folder, skill in (("a", 1.5), ("b", -1.0)):
            store(tmp_path / folder, name, noisy(rng, labels, skill), meta={"trained_on": []})
    split = ["--split", "validation"]
    assert _oof(tmp_path, "even", *split) == _oof(tmp_path, "odd", *split, out="fresh") == 0
    for out, half in (("out", "even"), ("fresh", "odd")):
        report = read_json(tmp_path / out / "fusion.json")
        assert report["weights"]["expression"] == {"a": 1, "b": 0} and report["fitted_on"] == halves[half]
        assert read_predictions(tmp_path / out / "w00.arrow").meta["weights_chosen_on"] == halves[half]
    before = _contents(tmp_path / "out")
    capsys.readouterr()
    assert _oof(tmp_path, "odd", *split) == 1
    assert "out/w00.arrow: was made from another input or with other settings" in capsys.readouterr().err
    assert _contents(tmp_path / "out") == before
    assert _oof(tmp_path, "even", *split) == 0
    assert capsys.readouterr().err.count("already exists") == 12
    assert _contents(tmp_path / "out") == before


@pytest.mark.parametrize("first", [["--split", "train"], None], ids=["other weights", "equal weights"])
def test_a_refused_fit_leaves_the_folder_as_it_is(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], first: list[str] | None
) -> None:
    """Also where only some of the stores exist: no report describes two fits."""
    out = tmp_path / "out"
    assert (_oof(made, "labels", *first, out=str(out)) if first else fuse(made, out=str(out))) == 0
    for name in VIDEOS[:-1]:
        (out / f"{name}.arrow").unlink()
    before = _contents(out)
    assert ("fusion.json" in before) == bool(first)
    capsys.readouterr()
    assert _oof(made, "labels", out=str(out)) == 1
    assert f"{VIDEOS[-1]}.arrow: was made from another input or with other settings" in capsys.readouterr().err
    assert [_oof(made, "labels", "--shard", shard, out=str(out)) for shard in ("1/2", "2/2")] == [1, 1]
    assert _contents(out) == before


def test_validate_marks_weights_that_were_chosen_on_scored_videos(
    made: Path, fitted: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["validate", "--annotations", str(made / "labels"), "--split", "both", "--draws", "100"]
    assert main([*words, "--predictions", str(made / "oof"), "--out", str(tmp_path / "report")]) == 0
    said = capsys.readouterr()
    assert "WEIGHTS CHOSEN ON SCORED VIDEOS" in said.err and "fitted to the annotations of 8 of 8" in said.err
    assert "but their weights were chosen on scored videos" in said.out
    (found,) = read_json(tmp_path / "report" / "metrics.json")["results"]
    assert found["optimistic"] and found["origin"]["weights_chosen_on"] == VIDEOS and not found["origin"]["trained_on"]
    nested = fitted["scores"]["expression"]["nested"]["value"]
    page = (tmp_path / "report" / "index.html").read_text()
    assert f"nested {nested:.4f}" in page and "a (store " in page and "WEIGHTS CHOSEN" in page
    assert fuse(made, out=str(tmp_path / "equal")) == 0
    assert main([*words, "--predictions", str(tmp_path / "equal"), "--out", str(tmp_path / "plain")]) == 0
    (found,) = read_json(tmp_path / "plain" / "metrics.json")["results"]
    assert not found["optimistic"] and found["origin"]["out_of_fold"]


def test_weights_for_other_videos(
    made: Path, fitted: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(1)
    for folder in "abc":
        meta = {"trained_on": VIDEOS, "checkpoints": [f"{folder}-v{index}" for index in range(7)]}
        store(tmp_path / folder, "test", noisy(rng, [0] * 20), meta=meta)
        if folder != "a":
            store(tmp_path / folder, "short", noisy(rng, [0] * 4), meta=meta)
    store(tmp_path / "b", "odd", noisy(rng, [0] * 5))
    store(tmp_path / "c", "odd", noisy(rng, [0] * 6))
    oof = ["--weights", "oof", "--annotations", str(made / "labels"), "--out_of_fold"]
    places = {folder: str(made / folder) for folder in "abc"}
    assert fuse(tmp_path, *oof, *places.values(), members=("a", "b", "c")) == 1
    said = capsys.readouterr()
    assert "odd: failed: the frames differ: b has 5 (1 to 5); c has 6 (1 to 6)" in said.err
    assert "warning: a: has no predictions of 2 of 3 videos, which are fused from the others: odd, short" in said.err
    assert "short: 4 frames from 2 of 3 members" in said.err and "nested 0." in said.out
    weights = list(fitted["weights"]["expression"].values())
    parts = [weight * probs_of(tmp_path, folder, "test") for folder, weight in zip("abc", weights, strict=True)]
    assert np.allclose(probs_of(tmp_path, "fused", "test"), sum(parts), atol=1e-5)
    parts = [weight * probs_of(tmp_path, folder, "short") for folder, weight in zip("bc", weights[1:], strict=True)]
    assert np.allclose(probs_of(tmp_path, "fused", "short"), sum(parts) / sum(weights[1:]), atol=1e-5)
    assert not (tmp_path / "fused" / "odd.arrow").exists()

    assert fuse(tmp_path, *oof, places["b"], places["a"], places["c"], members=("a", "b", "c"), out="f") == 2
    assert "b is of the models of b, but in the place of a" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["a"], 2, "1 folder of predictions given: expected two or more"),
        (["a", "./a"], 2, "is given twice"),
        (["a", "copy"], 1, "a and copy hold the same store; give each model once"),
        (["a", "b", "--out", "b"], 2, "--out is one of the inputs"),
        (["a", "b", "--annotations", "labels"], 2, "--annotations is for --weights oof"),
        (["a", "b", "--weights", "oof"], 2, "give --annotations"),
        (["a", "b", "--weights", "oof", "--annotations", "labels", "--out_of_fold", "a"], 2, "in their order; found 1"),
        (
            ["a", "seen", "--weights", "oof", "--annotations", "labels"],
            1,
            "seen: its models were trained on 1 of the 8",
        ),
        (["a", "b", "--weights", "oof", "--annotations", "labels", "--split", "nothing"], 2, "split: expected one of"),
        (["a", "other", "--weights", "oof", "--annotations", "labels"], 1, "no annotated video is in all of a, other"),
        (["a", "b", "--weights", "oof", "--annotations", "bad"], 1, "the weights need all annotations: "),
        (["a", "b", "--workers", "0"], 2, "--workers 0"),
        (["a", "empty"], 1, "contains no store"),
    ],
)
def test_what_is_refused(
    made: Path, tmp_path: Path, words: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for folder in ("a", "b", "labels"):
        shutil.copytree(made / folder, folder)
    shutil.copytree("a", "copy")
    shutil.copytree("b", "seen")
    rng = np.random.default_rng(0)
    store(Path("seen"), "v1", noisy(rng, [0] * 400), meta={"trained_on": ["v1"]})
    store(Path("other"), "w", noisy(rng, [0] * 4))
    Path("empty").mkdir()
    shutil.copytree("labels", "bad")
    (Path("bad") / "Train_Set" / "v1.txt").write_text("Neutral\nx\n")
    given = [] if "--out" in words else ["--out", "fused"]
    try:
        found = main(["fuse", *words, *given])
    except SystemExit as stop:
        found = int(str(stop.code))
    assert found == status
    assert message in capsys.readouterr().err
    assert not list(Path("fused").glob("*.arrow"))


def test_damaged_stores_are_named_and_the_others_fused(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("a", "b"):
        shutil.copytree(made / folder, tmp_path / folder)
    data = bytearray((tmp_path / "b" / "v2.arrow").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "b" / "v2.arrow").write_bytes(data)
    assert fuse(tmp_path) == 1
    assert "b/v2.arrow: not a readable store" in capsys.readouterr().err
    assert len(list((tmp_path / "fused").glob("*.arrow"))) == len(VIDEOS) - 1


def test_valence_arousal_and_action_units_have_their_own_weights(tmp_path: Path) -> None:
    """One member is better at valence and arousal, the other at action units."""
    rng = np.random.default_rng(0)
    frames, every, none = np.arange(1, 201, dtype=np.int32), np.ones(200, bool), np.zeros((200, 0), np.float32)
    for index in range(6):
        va = np.clip(np.cumsum(0.1 * rng.normal(size=(200, 2)), axis=0), -1, 1).astype(np.float32)
        units = rng.integers(0, 2, (200, 12))
        place = f"Validation_Set/v{index}.txt"
        write_valence_arousal(tmp_path / "labels" / "VA_Estimation_Challenge" / place, va)
        write_action_units(tmp_path / "labels" / "AU_Detection_Challenge" / place, units)
        for folder, va_noise, unit_noise in (("a", 0.1, 3), ("b", 0.8, 0.5)):
            values = np.clip(va + va_noise * rng.normal(size=va.shape), -1, 1).astype(np.float32)
            probs = 1 / (1 + np.exp(2 - 4 * units + unit_noise * rng.normal(size=units.shape)))
            made = Predictions(
                f"v{index}", (), frames, every, every, none, {"trained_on": []}, values, np.float32(probs)
            )
            write_predictions(tmp_path / folder / f"v{index}.arrow", made)
    words = ["--weights", "oof", "--annotations", str(tmp_path / "labels"), "--split", "validation"]
    assert fuse(tmp_path, *words) == 0
    report = read_json(tmp_path / "fused" / "fusion.json")
    weights, scores = report["weights"], report["scores"]
    assert weights["valence_arousal"]["a"] > 0.8 and weights["action_units"]["b"] > 0.8
    assert scores["valence_arousal"]["measure"] == "mean CCC"
    for score in scores.values():
        assert score["nested"]["value"] > score["equal"]["value"]
    fused = read_predictions(tmp_path / "fused" / "v0.arrow")
    assert fused.classes == () and tuple(fused.by_task) == ("valence_arousal", "action_units")


@pytest.mark.slow
def test_from_cross_validation_to_a_checked_submission(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_data(tmp_path)
    make_split(tmp_path / "test", "none", ["t0", "t1"])
    settings = [*TINY, "--holdout", "0", "--window", "40", "--hop", "20", "--folds", "3"]
    names = ("small", "smaller")
    for name, steps in zip(names, ("12", "6"), strict=True):
        words = ["cross-validate", *data_flags(tmp_path), *settings, "--train.steps", steps]
        assert main([*words, "--out", str(tmp_path / name)]) == 0
        checkpoints = [str(tmp_path / name / "folds" / str(fold) / "last") for fold in range(3)]
        words = ["predict", "--features", str(tmp_path / "test" / "features"), "--checkpoint", *checkpoints]
        assert main([*words, "--out", str(tmp_path / "test" / name)]) == 0
    folds = [str(tmp_path / name / "predictions") for name in names]
    labels = ["--annotations", str(tmp_path / "annotations")]
    assert main(["fuse", *folds, "--weights", "oof", *labels, "--out", str(tmp_path / "oof")]) == 0
    report = read_json(tmp_path / "oof" / "fusion.json")
    assert report["members"] == ["small_predictions", "smaller_predictions"]
    validate = ["validate", "--predictions", str(tmp_path / "oof"), *labels, "--split", "both", "--draws", "100"]
    assert main([*validate, "--out", str(tmp_path / "report")]) == 0
    (found,) = json.loads((tmp_path / "report" / "metrics.json").read_text())["results"]
    assert found["num_videos"] == 9 and found["origin"]["out_of_fold"] and found["optimistic"]
    assert found["macro_f1"] == pytest.approx(report["scores"]["expression"]["fitted"]["value"], abs=1e-4)

    predictions = [str(tmp_path / "test" / name) for name in names]
    words = ["fuse", *predictions, "--weights", "oof", "--out_of_fold", *folds, *labels]
    assert main([*words, "--workers", "2", "--out", str(tmp_path / "test" / "fused")]) == 0
    rows = [f"{name}/{frame:05d}.jpg," for name in ("t0", "t1") for frame in range(1, 121)]
    (tmp_path / "template.txt").write_text("\n".join([edition("abaw6").header, *rows]) + "\n")
    template = ["--template", str(tmp_path / "template.txt")]
    capsys.readouterr()
    fused = ["--predictions", str(tmp_path / "test" / "fused")]
    assert main(["submit", *fused, *template, "--out", str(tmp_path / "s.txt")]) == 0
    said = capsys.readouterr().err
    assert "predictions: arithmetic mean of 2 members, weights fitted out of fold" in said
    assert "predictions: small (store " in said
    assert main(["check-submission", str(tmp_path / "s.txt"), *template]) == 0
