"""`abaw predict` on made-up features: stores, resuming, bad input."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.stores.features import feature_batch, write_features
from abaw.stores.predictions import read_predictions
from abaw.stores.sources import SOUND, Source, joined_backbone
from pipelines.cli import main
from tests.checkpoints import temporal_checkpoint
from tests.pipelines.temporal_data import BACKBONE, D, make_split


def _checkpoint(folder: Path, seed: int = 0, **changes: object) -> Path:
    return temporal_checkpoint(folder, D, BACKBONE, window=50, hop=30, seed=seed, **changes)


def _words(root: Path, *checkpoints: Path) -> list[str]:
    words = ["predict", "--features", str(root / "features"), "--out", str(root / "out"), "--accelerator", "cpu"]
    return [*words, "--checkpoint", *map(str, checkpoints)]


INPUT = {"window": 50, "hop": 30, "backbone": BACKBONE}
"""The input of a checkpoint of an earlier version, which records no sources."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_split(tmp_path, "Train_Set", ["a", "ünï code", "c_left"])
    return tmp_path


def test_a_row_for_every_frame_of_every_video(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(_words(root, _checkpoint(root / "t"))) == 0
    assert sorted(path.stem for path in (root / "out").iterdir()) == ["a", "c_left", "ünï code"]
    predictions = read_predictions(root / "out" / "ünï code.arrow")
    assert predictions.frames.tolist() == list(range(1, 121))
    assert predictions.predicted.all() and (~predictions.valid).sum() == 5
    np.testing.assert_allclose(predictions.probs.sum(axis=1), 1, atol=1e-5)
    assert "120 frames, 5 of them without a face" in capsys.readouterr().err


def test_predictions_name_the_videos_from_which_their_features_have_learned(root: Path) -> None:
    """Each store says it for itself: those of one folder may come from several imports."""
    for name, videos in (("a", ["a", "x"]), ("c_left", ["y"])):
        batch = feature_batch(np.array([1, 2], np.int32), np.ones(2, bool), np.zeros((2, D), np.float16))
        meta = {"backbone": BACKBONE, "fps": 25.0, "trained_on": videos}
        write_features(root / "features" / f"{name}.arrow", D, [batch], meta)
    assert main(_words(root, _checkpoint(root / "t"))) == 0
    found = {path.stem: read_predictions(path).meta["trained_on"] for path in (root / "out").iterdir()}
    assert found == {"a": ["a", "x"], "c_left": ["y"], "ünï code": []}


def test_stores_do_not_depend_on_the_number_of_workers(root: Path) -> None:
    words = _words(root, _checkpoint(root / "t"))
    for workers in "12":
        assert main([*words, "--workers", workers, "--out", str(root / workers)]) == 0
    one, two = (sorted((root / workers).glob("*.arrow")) for workers in "12")
    assert len(one) == 3 and [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_several_checkpoints_are_averaged(root: Path) -> None:
    folders = [_checkpoint(root / f"t{seed}", seed) for seed in (0, 1)]
    probs = []
    for name, chosen in (("one", folders[:1]), ("two", folders[1:]), ("both", folders)):
        assert main([*_words(root, *chosen), "--out", str(root / name)]) == 0
        probs.append(read_predictions(root / name / "a.arrow").probs)
    np.testing.assert_allclose(probs[2], (probs[0] + probs[1]) / 2, atol=1e-6)


def test_existing_stores_are_kept_and_others_are_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = _checkpoint(root / "t0", 0), _checkpoint(root / "t1", 1)
    assert main(_words(root, first)) == 0
    (root / "out" / "a.arrow").unlink()
    before = (root / "out" / "c_left.arrow").stat().st_mtime_ns
    assert main(_words(root, first)) == 0
    assert (root / "out" / "c_left.arrow").stat().st_mtime_ns == before and (root / "out" / "a.arrow").exists()
    assert main(_words(root, second)) == 1
    assert "was made from another input or with other settings" in capsys.readouterr().err


def test_the_same_weights_with_another_hop_are_another_model(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """hop serves prediction alone, so runs that differ in it have equal weights."""
    often = temporal_checkpoint(root / "often", D, BACKBONE, 50, 10)
    rarely = temporal_checkpoint(root / "rarely", D, BACKBONE, 50, 30)
    assert main(_words(root, often)) == 0
    assert main(_words(root, often)) == 0
    assert "already exists" in capsys.readouterr().err
    assert main(_words(root, rarely)) == 1
    expected = "was predicted with a window every [10] frames (hop of each model) instead of [30]"
    assert expected in capsys.readouterr().err


def test_the_batch_goes_on_past_bad_stores(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = root / "features" / "a.arrow"
    damaged.write_bytes(damaged.read_bytes()[:-200])
    batch = feature_batch(np.array([1], dtype=np.int32), np.ones(1, dtype=bool), np.ones((1, D), dtype=np.float16))
    write_features(root / "features" / "b.arrow", D, [batch], {"backbone": "f" * 16})
    assert main(_words(root, _checkpoint(root / "t"))) == 1
    assert sorted(path.stem for path in (root / "out").iterdir()) == ["c_left", "ünï code"]
    error = capsys.readouterr().err
    assert "2 done, 2 failed:" in error and "a.arrow: not a readable store" in error
    assert "b.arrow: written with another backbone" in error and f"expects {BACKBONE}, found {'f' * 16}" in error


@pytest.mark.parametrize("lacking", ["features", "other"])
def test_a_video_that_one_source_of_a_face_lacks_is_named(
    root: Path, capsys: pytest.CaptureFixture[str], lacking: str
) -> None:
    shutil.copytree(root / "features", root / "other")
    (root / lacking / "c_left.arrow").unlink()
    has = {"features": "other", "other": "features"}[lacking]
    words = [*_words(root, _checkpoint(root / "t")), "--features", str(root / "features"), str(root / "other")]
    assert main(words) == 1
    error = capsys.readouterr().err
    there = root / has / "c_left.arrow"
    assert f"c_left: {root / lacking}: has no features of this video, but {there} exists" in error
    assert "2 done, 1 failed:" in error
    assert sorted(path.stem for path in (root / "out").iterdir()) == ["a", "ünï code"]


def test_without_a_source_of_a_face_a_video_needs_only_one_source(tmp_path: Path) -> None:
    sources = [Source(name, name[0] * 16, D, SOUND) for name in ("music", "speech")]
    for source, names in zip(sources, ("ab", "bc"), strict=True):
        for name in names:
            frames, valid = np.arange(1, 61, dtype=np.int32), np.ones(60, dtype=bool)
            features = np.random.default_rng(ord(name)).normal(size=(60, D)).astype(np.float16)
            path, meta = tmp_path / source.name / f"{name}.arrow", {"backbone": source.backbone, "modality": SOUND}
            write_features(path, D, [feature_batch(frames, valid, features)], meta)
    joined = {**INPUT, "backbone": joined_backbone(sources), "sources": [asdict(source) for source in sources]}
    words = _words(tmp_path, _checkpoint(tmp_path / "t", feature_dim=2 * D, input=joined))
    assert main([*words, "--features", *(str(tmp_path / source.name) for source in sources)]) == 0
    found = {path.stem: read_predictions(path) for path in (tmp_path / "out").iterdir()}
    assert sorted(found) == ["a", "b", "c"]
    assert all(len(each) == 60 and each.predicted.all() and not each.valid.any() for each in found.values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": (*EXPRESSION_CLASSES[1:], EXPRESSION_CLASSES[0])}, "class order differs"),
        ({"feature_dim": D + 1, "input": INPUT}, f"expects {D + 1} features per frame"),
        ({"input": {**INPUT, "backbone": "e" * 16}}, "written with another backbone"),
        ({"input": {**INPUT, "hop": 60}}, "expected 1 <= hop <= window, found hop 60 and window 50"),
    ],
)
def test_a_checkpoint_that_does_not_fit(
    root: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, object], message: str
) -> None:
    assert main(_words(root, _checkpoint(root / "t", **changes))) == 1
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    assert not list(root.glob("out/*"))


@pytest.mark.parametrize(("features", "message"), [("nowhere", "no such file or folder"), ("empty", "no store")])
def test_no_features(root: Path, capsys: pytest.CaptureFixture[str], features: str, message: str) -> None:
    (root / "empty").mkdir()
    assert main([*_words(root, _checkpoint(root / "t")), "--features", str(root / features)]) == 1
    assert message in capsys.readouterr().err


def test_no_checkpoint_there(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(_words(root, root / "nothing")) == 1
    assert "no checkpoint there" in capsys.readouterr().err
