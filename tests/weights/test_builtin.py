"""`builtin`: the checkpoint in the package, replaced by a small one here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import abaw.weights
from abaw.core.errors import DataError
from abaw.data.crops import decode_crops
from abaw.data.views import unit
from abaw.models.static import image_input, load_static
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.stores.faces import open_faces
from abaw.stores.features import open_features
from abaw.stores.predictions import read_predictions
from abaw.weights import builtin, resolve_checkpoint
from pipelines.cli import main
from tests.checkpoints import static_checkpoint
from tests.data.faces import video_store


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty package folder, and a working directory elsewhere."""
    monkeypatch.setattr(abaw.weights, "_ROOT", tmp_path / "weights")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ship(root: Path, seed: int = 0) -> Path:
    return static_checkpoint(root / "weights/static", seed)


def words(root: Path, command: str, source: str, checkpoint: str) -> list[str]:
    return [
        *(command, f"--{source}", str(root / source), "--checkpoint", checkpoint),
        *("--out", str(root / {"faces": "features", "features": "predictions"}[source]), "--accelerator", "cpu"),
    ]


def test_the_name_means_the_folder_in_the_package(root: Path) -> None:
    folder = ship(root)
    assert builtin("static") == folder
    assert resolve_checkpoint(Path("builtin"), "static") == folder


@pytest.mark.parametrize("path", ["runs/builtin", "Builtin", "builtin/last", "/builtin", "run"])
def test_other_paths_are_unchanged(root: Path, path: str) -> None:
    assert resolve_checkpoint(Path(path), "static") == Path(path)


@pytest.mark.parametrize("kind", ["static", "temporal"])
def test_a_package_without_weights_is_reported(root: Path, kind: abaw.weights.Kind) -> None:
    (root / "weights" / kind).mkdir(parents=True)
    (root / "weights" / kind / "LICENCE-NOTE.md").write_text("note")
    with pytest.raises(DataError, match=rf"builtin: this package has no {kind} checkpoint .* give the folder"):
        resolve_checkpoint(Path("builtin"), kind)


def test_features_and_predictions_of_the_builtin_checkpoint(root: Path) -> None:
    """Predictions equal the softmax of the model's logits for each face, up to the float16 of stored features."""
    folder = ship(root)
    faces = open_faces(video_store(root / "faces/v.arrow", [0, None, 2, 5]))
    assert main(words(root, "features", "faces", "builtin")) == 0
    assert main(words(root, "predict", "features", "builtin")) == 0
    model, spec = load_static(folder)
    assert open_features(root / "features/v.arrow").backbone == spec.weights_id
    predictions = read_predictions(root / "predictions/v.arrow")
    assert predictions.predicted.tolist() == [True, False, True, True]
    rows = [0, 2, 3]
    images = decode_crops([faces.jpeg(row) or b"" for row in rows], 32, [str(row) for row in rows])
    with torch.inference_mode():
        expected = model(image_input(spec).normalise(unit(images))).softmax(1).numpy()
    np.testing.assert_allclose(predictions.probs[rows], expected, atol=5e-3)


def test_features_of_another_checkpoint_are_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ship(root)
    video_store(root / "faces/v.arrow", [0, 1])
    assert main(words(root, "features", "faces", "builtin")) == 0
    ship(root, seed=1)
    assert main(words(root, "predict", "features", "builtin")) == 1
    assert "written with another backbone" in capsys.readouterr().err


@pytest.mark.parametrize(("command", "source"), [("features", "faces"), ("predict", "features")])
def test_commands_report_that_no_weights_ship(
    root: Path, command: str, source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    video_store(root / "faces/v.arrow", [0])
    if source == "features":
        ship(root)
        assert main(words(root, "features", "faces", str(root / "weights/static"))) == 0
        (root / "weights/static/spec.json").unlink()
    assert main(words(root, command, source, "builtin")) == 1
    error = capsys.readouterr().err
    assert "this package has no static checkpoint" in error and "Traceback" not in error


def test_the_weights_of_this_checkout_are_small_and_have_the_eight_classes() -> None:
    """Passes for a checkout without weights."""
    folder = Path(abaw.weights.__file__).parent / "static"
    if not folder.is_dir():
        pytest.skip("this checkout holds no static weights")
    _, spec = load_static(builtin("static"))
    assert spec.classes == EXPRESSION_CLASSES
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 12_000_000
    assert (folder / "LICENCE-NOTE.md").read_text(encoding="utf-8").strip()
