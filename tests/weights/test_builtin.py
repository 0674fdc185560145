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
from abaw.extractors.registry import open_extractor
from abaw.inference.members import load_member, temporal_outputs
from abaw.models.image_input import image_input
from abaw.models.running import softmax
from abaw.models.static import load_static
from abaw.models.temporal import load_temporal, on_windows
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.stores.exported import read_graph
from abaw.stores.faces import open_faces
from abaw.stores.features import open_features
from abaw.stores.predictions import read_predictions
from abaw.stores.spec import load_spec
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


_SHIPPED = Path(abaw.weights.__file__).parent


@pytest.mark.parametrize("kind", ["static", "temporal"])
def test_what_ships_has_a_graph_of_its_weights(kind: abaw.weights.Kind) -> None:
    """Written by benchmarks/ship_weights.py. Without it the models would still work, with a start of seconds."""
    assert read_graph(_SHIPPED / kind).spec == load_spec(_SHIPPED / kind, kind)


def test_the_static_graph_predicts_as_torch_does() -> None:
    model, spec = load_static(_SHIPPED / "static")
    image = image_input(spec)
    crops = np.random.default_rng(0).integers(0, 256, (9, 3, image.size, image.size), dtype=np.uint8)
    crops[1:, :, ::3] //= 4
    with torch.inference_mode():
        expected = model(image.normalise(unit(torch.from_numpy(crops)))).softmax(-1).numpy()
    extractor = open_extractor("builtin", "cpu")
    assert extractor.head is not None
    found = softmax(extractor.head.classify(extractor.compute(crops)))
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("num_frames", [1, 40, 700])
def test_the_temporal_graph_predicts_as_torch_does(num_frames: int) -> None:
    model, spec = load_temporal(_SHIPPED / "temporal")
    generator = np.random.default_rng(0)
    features = generator.normal(scale=3, size=(num_frames, spec.feature_dim)).astype(np.float16)
    present = generator.random((num_frames, len(model.dims))) < 0.8
    expected = temporal_outputs(on_windows(model), spec, features, present)
    found = load_member(_SHIPPED / "temporal", "cpu").outputs(features, present)
    assert expected.probs is not None and found.probs is not None
    np.testing.assert_allclose(found.probs, expected.probs, atol=1e-4)
