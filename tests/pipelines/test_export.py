"""`abaw export`, and the commands that take its files in place of checkpoints."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from abaw.stores.features import open_features
from abaw.stores.predictions import read_predictions
from abaw.stores.spec import load_spec
from pipelines.cli import main
from tests.checkpoints import static_checkpoint, temporal_checkpoint
from tests.data.faces import video_store
from tests.video.clips import portraits, write_clip

LABELS = [None if frame == 3 else frame % 8 for frame in range(12)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faces; a static checkpoint, a temporal one that was trained on its features, and the files of both."""
    root = tmp_path_factory.mktemp("export")
    video_store(root / "faces/a.arrow", LABELS, 0)
    identity = load_spec(static_checkpoint(root / "static")).weights_id
    temporal_checkpoint(root / "temporal", 128, identity, window=8, hop=5)
    for name in ("static", "temporal"):
        assert main(["export", "--checkpoint", str(root / name)]) == 0
    return root


def test_features_and_predictions_are_those_of_the_checkpoints(root: Path, tmp_path: Path) -> None:
    """Stores, too, are interchangeable."""
    for end in ("", ".onnx"):
        words = ["--accelerator", "cpu", "--checkpoint"]
        features, static, temporal = (str(tmp_path / f"{name}{end}") for name in ("features", "static", "temporal"))
        faces = ["--faces", str(root / "faces"), "--out", features]
        assert main(["features", *faces, *words, str(root / f"static{end}")]) == 0
        for name, out in (("static", static), ("temporal", temporal)):
            # The features of the checkpoint, for both.
            of_torch = ["--features", str(tmp_path / "features"), "--out", out]
            assert main(["predict", *of_torch, *words, str(root / f"{name}{end}")]) == 0
    expected, found = (open_features(tmp_path / name / "a.arrow") for name in ("features", "features.onnx"))
    assert found.source.backbone == expected.source.backbone
    np.testing.assert_allclose(found.features(), expected.features(), atol=2e-3)
    for name in ("static", "temporal"):
        expected, found = (read_predictions(tmp_path / f"{name}{end}" / "a.arrow") for end in ("", ".onnx"))
        np.testing.assert_allclose(found.probs, expected.probs, atol=1e-4)
        assert found.meta["checkpoints"] == expected.meta["checkpoints"]
        assert found.predicted.tolist() == expected.predicted.tolist()


def test_predict_video_with_exported_models(root: Path, tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", portraits(6))
    for end in ("", ".onnx"):
        words = ["--checkpoint", str(root / f"static{end}"), "--temporal", str(root / f"temporal{end}")]
        words += ["--detector", "builtin", "--accelerator", "cpu", "--out", str(tmp_path / f"out{end}")]
        assert main(["predict-video", str(tmp_path / "clip.mp4"), *words]) == 0
    expected, found = (json.loads((tmp_path / out / "clip.json").read_text()) for out in ("out", "out.onnx"))
    assert found["models"] == expected["models"]
    for name in ("stores/predictions/clip.arrow",):
        by_torch, exported = (read_predictions(tmp_path / out / name) for out in ("out", "out.onnx"))
        np.testing.assert_allclose(exported.probs, by_torch.probs, atol=2e-3)  # features are stored as float16


def test_a_temporal_model_of_another_static_model_is_refused(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = static_checkpoint(tmp_path / "other", seed=1)
    words = ["--accelerator", "cpu", "--checkpoint"]
    assert main(["features", "--faces", str(root / "faces"), "--out", str(tmp_path / "f"), *words, str(other)]) == 0
    capsys.readouterr()
    for name in ("temporal.onnx", "static.onnx"):
        out = str(tmp_path / "p")
        assert main(["predict", "--features", str(tmp_path / "f"), "--out", out, *words, str(root / name)]) == 1
        assert f"written with another backbone: {root / name} expects" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--checkpoint", "static.onnx"], "is exported already"),
        (["--checkpoint", "static", "--out", "static.pt"], "expected a name that ends in .onnx"),
        (["--checkpoint", "static", "--out", "temporal.onnx"], "choose another --out"),
        (["--checkpoint", "missing"], "no checkpoint there"),
        (["--checkpoint", "missing.onnx"], "no such file"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_what_cannot_be_exported_is_one_line(
    root: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    assert main(["export", *words]) == 1
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_an_existing_file_of_the_same_weights_is_kept(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (root / "static.onnx").stat().st_mtime_ns
    assert main(["export", "--checkpoint", str(root / "static")]) == 0
    assert (root / "static.onnx").stat().st_mtime_ns == before
    assert "static.onnx: exists already" in capsys.readouterr().out


def test_an_existing_file_of_another_hop_is_refused(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """hop serves prediction alone, so the weights are the same."""
    identity = load_spec(root / "static").weights_id
    other = temporal_checkpoint(tmp_path / "temporal", 128, identity, window=8, hop=2)
    assert main(["export", "--checkpoint", str(other), "--out", str(root / "temporal.onnx")]) == 1
    assert "temporal.onnx: exists, with another input (hop: 5 -> 2)" in capsys.readouterr().err


def test_a_file_is_complete_without_its_checkpoint(root: Path, tmp_path: Path) -> None:
    shutil.copy(root / "static.onnx", tmp_path / "renamed.onnx")
    words = ["--accelerator", "cpu", "--checkpoint", str(tmp_path / "renamed.onnx"), "--out", str(tmp_path / "f")]
    assert main(["features", "--faces", str(root / "faces"), *words, "--outputs", "logits"]) == 0
    assert open_features(tmp_path / "f/a.arrow").source.backbone.endswith("/logits")
