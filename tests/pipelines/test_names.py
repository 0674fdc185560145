"""Names of every kind that a file system allows, through commands that store, print and show them."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from abaw.core.text import plain_cell
from abaw.stores.faces import open_faces
from abaw.stores.features import feature_batch, open_features, write_features
from pipelines.cli import main
from tests.importing.features.writers import make_faces
from tests.pipelines.validate_data import CLASSES, annotate, metrics, predict, validate

NAMES = {
    "not UTF-8": (os.fsdecode(b"caf\xe9"), "caf\\xe9"),
    "an escape code": ("a\x1b[31mb", "a\\x1b[31mb"),
    "a line feed": ("a\nb", "a\\nb"),
    "a formula": ("=1+1", "=1+1"),
    "markup": ("[bold]a[x]", "[bold]a[x]"),
    "246 bytes": ("x" * 246, "x" * 246),
    "other scripts": ("表情 ü", "表情 ü"),
}


@pytest.mark.parametrize("kind", NAMES)
def test_crops_come_back_under_their_name(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    name, shown = NAMES[kind]
    folder = tmp_path / "crops" / name
    folder.mkdir(parents=True)
    (folder / "00002.jpg").write_bytes(cv2.imencode(".jpg", np.zeros((112, 112, 3), np.uint8))[1].tobytes())
    for words in (
        ["import-crops", str(tmp_path / "crops"), "--out", str(tmp_path / "faces")],
        ["export-crops", str(tmp_path / "faces"), "--out", str(tmp_path / "out")],
        ["import-crops", str(tmp_path / "out"), "--out", str(tmp_path / "again")],
    ):
        assert main(words) == 0
    assert open_faces(tmp_path / "again" / f"{name}.arrow").valid.tolist() == [False, True]
    said = capsys.readouterr().err
    assert said.splitlines()[0] == f"{shown}: 2 frames, 1 of them without a face"


@pytest.mark.parametrize("kind", NAMES)
def test_predictions_are_scored_and_listed_under_their_name(tmp_path: Path, kind: str) -> None:
    name, _ = NAMES[kind]
    predict(tmp_path / "predictions", name, CLASSES)
    annotate(tmp_path / "labels", name, CLASSES)
    assert validate(tmp_path) == 0
    assert metrics(tmp_path)[0]["num_videos"] == 1
    _, row = csv.reader(io.StringIO((tmp_path / "report" / "per_video.csv").read_text(encoding="utf-8")))
    assert plain_cell(row[0]) == name
    assert row[0].startswith("'") == (kind == "a formula")


@pytest.mark.parametrize("file_format", ["npz", "parquet"])
@pytest.mark.parametrize("kind", NAMES)
def test_features_come_back_under_their_name(tmp_path: Path, kind: str, file_format: str) -> None:
    name, _ = NAMES[kind]
    if len(os.fsencode(f"{name}.{file_format}")) > 255:
        pytest.skip("no file can have this name")
    folder = tmp_path / name
    make_faces(folder / "faces", name, num_frames=2)
    batch = feature_batch(np.array([1, 2], np.int32), np.array([True, False]), np.ones((2, 3), np.float16))
    write_features(folder / "features" / f"{name}.arrow", 3, [batch], {"backbone": "b", "fingerprint": "f"})
    words = ["--format", file_format, "--out", str(folder / "out")]
    assert main(["export-features", str(folder / "features"), *words]) == 0
    words = ["--faces", str(folder / "faces"), "--out", str(folder / "again")]
    assert main(["import-features", str(folder / "out"), *words]) == 0
    assert open_features(folder / "again" / f"{name}.arrow").valid.tolist() == [True, False]
