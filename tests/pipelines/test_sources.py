"""Several sources from features to scores: a face and its sound, trained, compared, predicted and validated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from abaw.core.artifacts import read_json
from abaw.models.temporal import load_temporal
from abaw.protocol.annotations import write_annotation
from abaw.stores.features import FeatureStore, feature_batch, write_features
from abaw.stores.predictions import read_predictions
from pipelines.cli import main
from tests.pipelines.temporal_data import TINY

T, CLASSES, WIDTHS = 120, 3, {"faces": 6, "sound": 4}
SILENT = "train1"
"""A video without sound: it has no store of it."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Face and sound both show the class; frames 30 to 70 have no face. No test may change it."""
    root = tmp_path_factory.mktemp("sources")
    generator = np.random.default_rng(0)
    means = {name: 2 * generator.normal(size=(CLASSES, width)) for name, width in WIDTHS.items()}
    for split, number in (("Train_Set", 6), ("Validation_Set", 3)):
        for index in range(number):
            name = f"{split[:5].lower().strip('_')}{index}"
            labels = np.repeat(generator.integers(CLASSES, size=T // 12), 12)
            write_annotation(root / "annotations" / split / f"{name}.txt", labels)
            for source, width in WIDTHS.items():
                if source == "sound" and name == SILENT:
                    continue
                valid = np.ones(T, dtype=bool)
                valid[30:70] = source == "sound"
                features = means[source][labels] + 0.5 * generator.normal(size=(T, width))
                meta: dict[str, Any] = {"backbone": source[0] * 16, "fps": 25.0}
                if source == "sound":
                    meta["modality"] = "sound"
                batch = feature_batch(np.arange(1, T + 1, dtype=np.int32), valid, features.astype(np.float16))
                write_features(root / source / f"{name}.arrow", width, [batch], meta)
    return root


def _flags(root: Path, *features: str) -> list[str]:
    return ["--features", *(str(root / name) for name in features), "--annotations", str(root / "annotations")]


TRAINING = [*TINY, "--window", "30", "--holdout", "0", "--train.lr", "5e-3", "--train.ema_decay", "0.9"]
BOTH = ("faces", "sound")


@pytest.mark.parametrize("fusion", ["concat", "gated", "cross_attention"])
def test_frames_without_a_face_are_predicted_from_their_sound(root: Path, tmp_path: Path, fusion: str) -> None:
    words = ["train-temporal", *_flags(root, *BOTH), *TRAINING, "--hop", "20", "--model.fusion", fusion]
    assert main([*words, "--out", str(tmp_path / "run"), "--train.steps", "80"]) == 0
    spec = load_temporal(tmp_path / "run" / "last")[1]
    assert [(each["name"], each["modality"]) for each in spec.input["sources"]] == [
        ("faces", "face"), ("sound", "sound"),
    ]  # fmt: skip
    assert spec.architecture["fusion"] == fusion
    predict = ["predict", "--checkpoint", str(tmp_path / "run" / "last"), "--features"]
    out = tmp_path / "out"
    assert main([*predict, *(str(root / name) for name in BOTH), "--out", str(out)]) == 0
    hits = []
    for path in sorted(out.glob("valid*.arrow")):
        predictions = read_predictions(path)
        assert predictions.predicted.all() and np.array_equal(np.flatnonzero(~predictions.valid), np.arange(30, 70))
        lines = (root / "annotations" / "Validation_Set" / f"{path.stem}.txt").read_text().split("\n")[1 : T + 1]
        hits.append((predictions.probs.argmax(axis=1) == np.array(lines, dtype=int))[30:70])
    assert np.mean(hits) > 1 / CLASSES + 0.3, "chance is a third"
    assert read_predictions(out / f"{SILENT}.arrow").predicted.all()


def test_an_ablation_compares_sources_and_fusions(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    check = FeatureStore.require_finite
    monkeypatch.setattr(FeatureStore, "require_finite", lambda store: read.append(store.store.path) or check(store))
    words = ["ablate", *_flags(root, *BOTH), *TRAINING[:-2], "--hop_fraction", "0.5", "--train.steps", "4"]
    words += ["--out", str(tmp_path), "--seeds", "0", "--workers", "1"]
    words += ["--vary", "sources=faces,1,0+1", "model.fusion=concat,gated"]
    assert main(words) == 0
    assert len(read) == len(set(read)) == 17, "stores are checked once, however many cells there are"
    facts = read_json(tmp_path / "ablation.json")
    assert [(cell["sources"], cell["model.fusion"]) for cell in facts["cells"]] == [
        (sources, fusion) for sources in ("faces", "1", "0+1") for fusion in ("concat", "gated")
    ]
    parameters = {(cell["sources"], cell["model.fusion"]): cell["parameters"] for cell in facts["cells"]}
    assert parameters["faces", "concat"] == parameters["faces", "gated"] < parameters["0+1", "concat"]
    assert parameters["0+1", "concat"] < parameters["0+1", "gated"]
    for sources in ("faces", "1", "0+1"):
        folder = tmp_path / "cells" / f"sources={sources},model.fusion=concat,seed=0"
        valid = read_predictions(folder / "predictions" / "valid0.arrow").valid
        assert np.array_equal(np.flatnonzero(~valid), np.arange(30, 70)), "faces are known to a model of sound"
    spec = load_temporal(tmp_path / "cells" / "sources=1,model.fusion=concat,seed=0" / "last")[1]
    assert [each["name"] for each in spec.input["sources"]] == ["sound"]
    capsys.readouterr()
    assert main(words) == 0
    assert "6 of 6 cells are finished already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "flags", "message"),
    [
        (
            "ablate",
            ["--vary", "sources=0,speech"],
            "'speech' is not among the --features; expected 0 (faces), 1 (sound)",
        ),
        ("train-temporal", ["--sources", "2"], "'2' is not among the --features"),
        ("cross-validate", ["--sources", "0+faces"], "a source is chosen twice"),
    ],
)
def test_a_source_that_is_not_given_is_refused_before_anything_is_read(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, flags: list[str], message: str
) -> None:
    assert main([command, *_flags(root, *BOTH), "--out", str(tmp_path / "run"), *flags]) != 0
    assert message in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_folds_of_the_sound_alone_are_scored_on_frames_with_a_face(root: Path, tmp_path: Path) -> None:
    words = ["cross-validate", *_flags(root, *BOTH), *TRAINING, "--hop", "20", "--train.steps", "4", "--folds", "2"]
    assert main([*words, "--sources", "sound", "--workers", "1", "--out", str(tmp_path / "run")]) == 0
    facts = read_json(tmp_path / "run" / "cross_validation.json")
    assert all(fold["macro_f1_with_face"] is not None for fold in facts["folds"])
    predictions = tmp_path / "run" / "predictions"
    assert len(list(predictions.glob("*.arrow"))) == 9
    words = ["validate", "--predictions", str(predictions), "--out", str(tmp_path / "report")]
    assert main([*words, "--annotations", str(root / "annotations")]) == 0


def test_predictions_without_any_source_of_a_face_are_validated(root: Path, tmp_path: Path) -> None:
    words = ["train-temporal", *_flags(root, "sound"), *TRAINING, "--hop", "20", "--train.steps", "4"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 0
    words = ["predict", "--features", str(root / "sound"), "--checkpoint", str(tmp_path / "run" / "last")]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    assert not read_predictions(tmp_path / "out" / "valid0.arrow").valid.any(), "whether there is a face is not known"
    words = ["validate", "--predictions", str(tmp_path / "out"), "--out", str(tmp_path / "report")]
    assert main([*words, "--annotations", str(root / "annotations")]) == 0


def test_a_finished_run_of_an_earlier_version_is_kept(root: Path, tmp_path: Path) -> None:
    """Its config lacks the settings of sources, and its weights have other names."""
    from safetensors.torch import load_file

    from abaw.core.artifacts import write_json

    words = ["train-temporal", *_flags(root, "faces"), *TRAINING, "--hop", "20", "--train.steps", "4"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 0
    weights = load_file(tmp_path / "run" / "last" / "weights.safetensors")
    file = tmp_path / "run" / "config.json"
    values = read_json(file)
    for part, name in (("model", "fusion"), ("learn", "modality_dropout")):
        del values["config"][part][name]
    del values["config"]["sources"]
    write_json(file, values)
    assert main([*words, "--out", str(tmp_path / "run")]) == 0
    again = load_file(tmp_path / "run" / "last" / "weights.safetensors")
    assert all(np.array_equal(weights[name].numpy(), again[name].numpy()) for name in weights)
