"""Soft labels: their parts on tables of probabilities, and stores written with real models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from abaw.core.errors import ConfigError, DataError
from abaw.data.face_set import join, labelled_stills, stills, without_photos_of
from abaw.models.architecture import Architecture
from abaw.models.image_input import ImageInput
from abaw.models.static import build_static, save_static
from abaw.protocol.annotations import write_annotation
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.protocol.layout import video_of
from abaw.semisup.label_settings import SoftLabelling
from abaw.semisup.soft_labels import class_thresholds, debiased, smoothed_over_time
from abaw.sequence.smooth import parse_smoothing
from abaw.stores.faces import open_faces
from abaw.stores.spec import trained_names
from pipelines.cli import main, parse_config
from pipelines.train_static import _split, read_labelled
from tests.data.faces import still_store, video_store


def probs(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def test_predictions_of_the_expected_shares_are_unchanged() -> None:
    values = probs((0.6, 0.4), (0.2, 0.8))
    shares = values.mean(axis=0)
    assert debiased(values, shares, shares, 1.0) == pytest.approx(values, abs=1e-6)


@pytest.mark.parametrize(("weight", "first"), [(0.0, 0.8), (0.5, 2 / 3), (1.0, 0.5)])
def test_a_class_predicted_too_often_is_lowered(weight: float, first: float) -> None:
    """Four times as often as the other, with equal shares expected: the odds of 4 become 4 · (1/4)^λ."""
    found = debiased(probs((0.8, 0.2)), np.array([0.5, 0.5]), np.array([0.8, 0.2]), weight)
    assert found[0] == pytest.approx([first, 1 - first])


def test_thresholds_follow_the_confidence_of_correct_predictions() -> None:
    values = probs((0.9, 0.05, 0.05), (0.7, 0.2, 0.1), (0.1, 0.6, 0.3), (0.2, 0.7, 0.1))
    labels = np.array([0, 0, 1, 0])  # the last one is wrong
    settings = SoftLabelling(lowest=0.35, highest=0.5)
    assert class_thresholds(values, labels, settings) == pytest.approx([0.4, 0.35, 0.35])
    assert class_thresholds(values[:0], labels[:0], settings) == pytest.approx([0.35] * 3)


def test_frames_are_smoothed_in_time_and_not_in_the_order_of_rows() -> None:
    """A face is missing for frames 2 to 9: its neighbours in the store are far apart in time."""
    values = probs((1, 0), (1, 0), (0, 1), (0, 1))
    rows = np.array([0, 1, 10, 11])
    near = smoothed_over_time(values, rows, parse_smoothing("box:3"))
    assert near == pytest.approx(probs((1, 0), (1 - 1 / 27, 1 / 27), (1 / 27, 1 - 1 / 27), (0, 1)), abs=1e-6)
    assert smoothed_over_time(values, rows, parse_smoothing("none")) == pytest.approx(values)


@pytest.mark.parametrize("name", ["debias", "lowest", "highest"])
def test_settings_out_of_range_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        SoftLabelling(**{name: 1.5})


def test_photos_of_another_set_are_left_out_whatever_their_crop(tmp_path: Path) -> None:
    whole = stills(still_store(tmp_path / "whole.arrow", [0, 1, 2, 3], meta={"source": "set"}))
    aligned = stills(still_store(tmp_path / "aligned.arrow", [0, 1, 2, 3], meta={"source": "set"}))
    other = stills(still_store(tmp_path / "other.arrow", [0, 1], meta={"source": "other set"}))
    held = aligned.take(np.array([True, False, False, True]))
    left = without_photos_of(join([whole, other]), held)
    assert [left.name(index).rsplit("/", 1)[-1] for index in range(len(left))] == [
        *("whole.arrow:0001.jpg", "whole.arrow:0002.jpg", "other.arrow:0000.jpg", "other.arrow:0001.jpg")
    ]


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("teachers")
    architecture = Architecture(backbone="small")
    for seed, size in ((0, 16), (1, 20)):
        model = build_static(architecture, 8, size, seed=seed)
        model.head.weight.data *= 30  # predictions that differ from face to face
        facts = {"faces": [f"known by {seed}"]}
        save_static(folder / str(seed), model, architecture, EXPRESSION_CLASSES, ImageInput(size), facts)
    return [folder / "0", folder / "1"]


def label(out: Path, teachers: list[Path], *words: object) -> int:
    given = ["--checkpoint", *teachers, "--out", out, "--accelerator", "cpu", *words]
    return main(["label-faces", *map(str, given)])


def test_faces_with_soft_labels_are_trained_on(tmp_path: Path, teachers: list[Path]) -> None:
    photos = still_store(tmp_path / "photos.arrow", [None] * 24, seed=3, meta={"source": "photos"})
    video = video_store(tmp_path / "clip.arrow", [0, 1, None, 3, 4, 5, 6, None, 2, 2, 2])
    words = ["--faces", photos, video, "--soft.lowest", "0", "--soft.smoothing", "gaussian:1", "--soft.every", "2"]
    assert label(tmp_path / "pseudo", teachers, *words) == 0
    made = labelled_stills(tmp_path / "pseudo/photos.arrow")
    assert len(made) == 24 and np.array_equal(made.votes.argmax(axis=1), made.labels)
    assert made.votes.sum(axis=1) == pytest.approx(np.ones(24), abs=1e-5)
    assert ((made.votes > 0.01).sum(axis=1) > 1).any()
    frames = open_faces(tmp_path / "pseudo/clip.arrow")
    assert frames.meta["trained_on"] == ["known by 0", "known by 1"]
    assert frames.keys.to_pylist() == ["clip:1", "clip:4", "clip:6", "clip:9", "clip:11"]
    assert frames.meta["soft_labels"]["smoothing"] == "gaussian:1" and len(frames.meta["soft_labels"]["teachers"]) == 2
    train = ["--labelled", still_store(tmp_path / "known.arrow", [index % 8 for index in range(64)]), "--size", "16"]
    quick = ["--train.steps", "2", "--train.warmup_steps", "1", "--batch_size", "4", "--train.accelerator", "cpu"]
    given = [*train, *quick, "--pseudo_labelled", tmp_path / "pseudo", "--supervised.votes", "--out", tmp_path / "run"]
    assert main(["train-static", *map(str, given)]) == 0
    spec = open_spec(tmp_path / "run/last")
    assert sum(spec["train_counts"]) == 56 + 24 + 5 and spec["selection_counts"] == [1] * 8
    assert trained_names(spec) == {"known", "photos", "clip", "known by 0", "known by 1"}


def test_frames_of_held_out_videos_are_not_learned_from_with_soft_labels(
    tmp_path: Path, teachers: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor those of the other person in such a video, nor their neighbours without a label."""
    names = ["one", "two", "three_person1", "three_person2"]
    for name in names:
        video_store(tmp_path / f"faces/{name}.arrow", [index % 8 for index in range(16)])
        write_annotation(tmp_path / f"ann/Train_Set/{name}.txt", np.array([index % 8 for index in range(16)]))
    assert (
        label(tmp_path / "pseudo", teachers, "--faces", tmp_path / "faces", "--soft.lowest", 0, "--soft.every", 1) == 0
    )
    videos = ["--videos", tmp_path / "faces", "--annotations", tmp_path / "ann", "--every", 2, "--holdout", 0.4]
    quick = ["--size", 16, "--train.steps", 1, "--train.warmup_steps", 0, "--train.accelerator", "cpu"]
    words = ["train-static", *videos, *quick, "--pseudo_labelled", tmp_path / "pseudo", "--out", tmp_path / "run"]
    config = parse_config("train-static", list(map(str, words[1:])))
    _, selection = _split(config, read_labelled(config))
    assert selection is not None
    held = {video_of(selection.stores[store].name) for store in selection.store_index}
    left = sum(16 for name in names if video_of(name) not in held)
    assert main(list(map(str, words))) == 0
    assert f"{left} faces with pseudo-labels" in capsys.readouterr().err and 0 < left < 64
    spec = open_spec(tmp_path / "run/last")
    assert sum(spec["train_counts"]) == 8 * len(names) - sum(spec["selection_counts"]) + left


def open_spec(folder: Path) -> dict[str, list[int]]:
    training: dict[str, list[int]] = json.loads((folder / "spec.json").read_text())["training"]
    return training


def test_labels_below_the_threshold_are_left_out(
    tmp_path: Path, teachers: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    mixed = still_store(tmp_path / "mixed.arrow", [0, 1, None, None, 2, None] * 6)
    known = still_store(tmp_path / "known.arrow", [index % 8 for index in range(64)], seed=5)
    words: list[object] = ["--faces", mixed, "--rest", "--soft.lowest"]
    assert label(tmp_path / "all", teachers, *words, 0) == 0
    confidence = open_faces(tmp_path / "all/mixed.arrow").votes.max(axis=1)
    words += [float(np.median(confidence)), "--soft.highest", 0, "--labelled", known]
    capsys.readouterr()
    assert label(tmp_path / "pseudo", teachers, *words) == 0
    store = open_faces(tmp_path / "pseudo/mixed.arrow")
    out, said = capsys.readouterr()
    assert "9 of 18 faces have a label" in out and "thresholds from 64 labelled faces: Neutral" in said
    assert np.array_equal(store.labels >= 0, confidence >= np.median(confidence))
    assert np.array_equal(np.isnan(store.votes).any(axis=1), store.labels < 0)
    assert label(tmp_path / "pseudo", teachers, *words) == 1
    assert "mixed.arrow: exists already" in capsys.readouterr().err
    labelled = ["--faces", still_store(tmp_path / "all.arrow", [0, 1, 2, 3]), "--rest"]
    assert label(tmp_path / "other", teachers, *labelled) == 1
    assert "all its 4 faces have a label" in capsys.readouterr().err


def test_equal_names_are_refused(tmp_path: Path, teachers: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("a", "b"):
        still_store(tmp_path / folder / "same.arrow", [0, 1, 2])
    assert label(tmp_path / "out", teachers, "--faces", tmp_path / "a", tmp_path / "b") == 1
    assert "two stores are named same.arrow" in capsys.readouterr().err
    with pytest.raises(DataError, match="no faces"):
        join([])
