"""Features from elsewhere through every later stage; runs that are repeated, interrupted or in parallel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from abaw.models.temporal import load_temporal
from abaw.stores.features import open_features
from abaw.stores.predictions import read_predictions
from pipelines.cli import main
from tests.importing.features.test_faults import lines
from tests.importing.features.writers import make_faces, whole, write
from tests.pipelines.temporal_data import TINY, data_flags, make_data

T = 120


def _import(root: Path, files: Path, out: Path, *words: str) -> int:
    return main(["import-features", str(files), "--faces", str(root / "faces"), "--out", str(out), *words])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features and labels of videos, exported, and imported again as `mine`. No test may change it."""
    root = tmp_path_factory.mktemp("imported")
    make_data(root)
    names = [path.stem for path in (root / "features").iterdir()]
    make_faces(root / "faces", *names, num_frames=T)
    assert main(["export-features", str(root / "features"), "--format", "npz", "--out", str(root / "exported")]) == 0
    assert _import(root, root / "exported", root / "mine", "--name", "mine", "--trained_on", "valid1") == 0
    return root


def _train(root: Path, out: Path, *words: str) -> int:
    features = ["--features", str(root / "features"), str(root / "mine"), *data_flags(root)[2:]]
    shape = ["--window", "40", "--hop", "20", "--holdout", "0", "--train.steps", "4", *TINY]
    return main(["train-temporal", *features, *shape, "--out", str(out), *words])


def test_exported_imported_trained_and_predicted(root: Path, tmp_path: Path) -> None:
    assert _train(root, tmp_path / "run", "--sources", "features+mine") == 0
    spec = load_temporal(tmp_path / "run" / "last")[1]
    assert [source["name"] for source in spec.input["sources"]] == ["features", "mine"]
    assert spec.input["sources"][1]["backbone"] == open_features(root / "mine" / "train0.arrow").backbone
    predict = ["predict", "--checkpoint", str(tmp_path / "run" / "last"), "--out", str(tmp_path / "out")]
    assert main([*predict, "--features", str(root / "features"), str(root / "mine")]) == 0
    predictions = read_predictions(tmp_path / "out" / "valid0.arrow")
    assert len(predictions) == T and predictions.predicted.all()
    assert "valid1" in predictions.meta["trained_on"], "validate warns that the network has seen this video"


@pytest.mark.parametrize(
    ("words", "status"),
    [
        pytest.param(["--name", "mine"], 0, id="the same, of other files"),
        pytest.param(["--name", "yours"], 1, id="another name"),
        pytest.param(["--name", "mine", "--modality", "voice"], 1, id="another modality"),
        pytest.param(["--name", "mine", "--match_by", "time", "--resample", "linear"], 1, id="resampled"),
    ],
)
def test_a_model_takes_later_imports_of_the_same_features_alone(
    root: Path, tmp_path: Path, words: list[str], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _train(root, tmp_path / "run", "--sources", "mine") == 0
    make_faces(tmp_path / "faces", "test", num_frames=T)
    (tmp_path / "new").mkdir()
    values = np.random.default_rng(0).normal(size=(T, 16))
    np.savez(tmp_path / "new" / "test.npz", features=values, time_s=np.arange(T) / 25, valid=np.ones(T))
    order = [] if "time" in words else ["--match_by", "frame"]
    assert _import(tmp_path, tmp_path / "new", tmp_path / "mine", *words, *order) == 0
    capsys.readouterr()
    predict = ["predict", "--checkpoint", str(tmp_path / "run" / "last"), "--out", str(tmp_path / "out")]
    assert main([*predict, "--features", str(tmp_path / "mine")]) == status
    if status:
        assert len(lines(capsys, "written with another backbone: ")) == 1


def test_the_modality_of_an_export_is_part_of_the_identity(tmp_path: Path) -> None:
    make_faces(tmp_path / "faces", "a")
    for folder, words in (("sound", ["--modality", "sound"]), ("face", [])):
        path = Path(write("npy", tmp_path, {"a": whole(0)}))
        assert _import(tmp_path, path, tmp_path / folder, "--name", "x", *words) == 0
    words = ["--format", "parquet", "--out", str(tmp_path / "exported")]
    assert main(["export-features", str(tmp_path / "sound"), *words]) == 0
    assert _import(tmp_path, tmp_path / "exported", tmp_path / "again", "--name", "x") == 0
    sound, face, again = (open_features(tmp_path / name / "a.arrow").source for name in ("sound", "face", "again"))
    assert (again.backbone, again.modality) == (sound.backbone, "sound") and sound.backbone != face.backbone


def test_restored_features_are_those_of_the_model(root: Path, tmp_path: Path) -> None:
    assert _train(root, tmp_path / "run", "--sources", "features") == 0
    assert _import(root, root / "exported", tmp_path / "features") == 0
    predict = ["predict", "--checkpoint", str(tmp_path / "run" / "last"), "--features"]
    for folder, out in ((root / "features", "before"), (tmp_path / "features", "after")):
        assert main([*predict, str(folder), "--out", str(tmp_path / out)]) == 0
    before, after = (read_predictions(tmp_path / out / "valid0.arrow") for out in ("before", "after"))
    assert np.array_equal(before.probs, after.probs)


def test_metadata(root: Path) -> None:
    meta = open_features(root / "mine" / "train0.arrow").meta
    assert meta["imported"]["name"] == "mine" and meta["imported"]["kind"] == "npz"
    assert meta["imported"]["file"] == "train0.npz" and len(meta["imported"]["sha256"]) == 64
    assert (meta["matched_by"], meta["modality"], meta["trained_on"]) == ("frame", "face", ["valid1"])
    assert meta["fps"] == 25.0 and meta["feature_dim"] == 16


def test_stores_do_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    make_faces(tmp_path / "faces", "a", "b", "c")
    path = Path(write("csv", tmp_path, {name: whole(seed) for seed, name in enumerate("abc")}))
    for workers in "12":
        words = ["--name", "x", "--first_frame", "1", "--workers", workers]
        assert _import(tmp_path, path, tmp_path / workers, *words) == 0
    one, two = (sorted((tmp_path / workers).glob("*.arrow")) for workers in "12")
    assert len(one) == 3 and [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_running_again_keeps_what_exists_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_faces(tmp_path / "faces", "a", "b")
    path = Path(write("npy", tmp_path, {"a": whole(0)}))
    assert _import(tmp_path, path, tmp_path / "out", "--name", "x") == 0
    before = (tmp_path / "out" / "a.arrow").stat().st_mtime_ns
    write("npy", tmp_path, {"b": whole(1)})
    assert _import(tmp_path, path, tmp_path / "out", "--name", "x") == 0
    assert (tmp_path / "out" / "a.arrow").stat().st_mtime_ns == before and (tmp_path / "out" / "b.arrow").exists()
    write("npy", tmp_path, {"a": whole(2)})
    capsys.readouterr()
    assert _import(tmp_path, path, tmp_path / "out", "--name", "x") == 1
    assert len(lines(capsys, "a.arrow: was made from another input or with other settings")) == 1
    assert (tmp_path / "out" / "a.arrow").stat().st_mtime_ns == before


def test_stills_have_no_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from abaw.stores.faces import write_image_faces

    write_image_faces(tmp_path / "faces" / "a.arrow", [], {})
    path = Path(write("npy", tmp_path, {"a": whole(0)}))
    assert _import(tmp_path, path, tmp_path / "out", "--name", "x") == 1
    assert len(lines(capsys, "holds stills; features need the frames of a video")) == 1
