"""The measurements on a GPU, on a processor at toy size; and the pack of their data."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))  # scripts, not a package

from on_gpu import PRECISIONS, ROOT, table
from pack_for_gpu import pack

CLASSES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")
LABELS = ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear")


def _ferplus(path: Path, per_class: int) -> Path:
    """A set in the layout of FER+: noise, brighter for higher classes."""
    rng = np.random.default_rng(0)
    rows = []
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(2 * per_class * len(LABELS)):
            label = number % len(LABELS)
            picture = rng.integers(20 * label, 20 * label + 100, (48, 48)).astype(np.uint8)
            archive.writestr(f"ferplus/images/{number:04d}.png", cv2.imencode(".png", picture)[1].tobytes())
            split = "train" if number < per_class * len(LABELS) else "valid"
            rows.append(
                [split, f"{number:04d}.png", *(10 * (name == CLASSES[label]) for name in CLASSES), LABELS[label]]
            )
        lines = ["split,image," + ",".join(CLASSES) + ",fer2013", *(",".join(map(str, row)) for row in rows)]
        archive.writestr("ferplus/votes.csv", "\n".join(lines) + "\n")
    return path


def _lfw(path: Path, count: int) -> Path:
    rng = np.random.default_rng(1)
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(count):
            picture = rng.integers(0, 255, (160, 160)).astype(np.uint8)
            archive.writestr(f"lfw/person_{number:04d}.jpg", cv2.imencode(".jpg", picture)[1].tobytes())
    return path


def test_the_pack_keeps_what_is_scored_when_it_must_be_small(tmp_path: Path) -> None:
    ferplus, lfw = _ferplus(tmp_path / "ferplus.zip", 20), _lfw(tmp_path / "lfw.zip", 20)
    whole = pack(ferplus, lfw, [], tmp_path / "whole.zip", 60)
    assert whole == {"ferplus": 280, "lfw": 20, "clips": 0}
    limit = 1 + 0.6 * (tmp_path / "whole.zip").stat().st_size / 2**20
    small = pack(ferplus, lfw, [], tmp_path / "small.zip", limit)
    assert (tmp_path / "small.zip").stat().st_size <= limit * 2**20
    assert 140 < small["ferplus"] < 280 and small["lfw"] == 0
    with zipfile.ZipFile(tmp_path / "small.zip") as archive:
        rows = list(csv.DictReader(archive.read("ferplus/votes.csv").decode().splitlines()))
        names = set(archive.namelist())
        assert {f"ferplus/images/{row['image']}" for row in rows} == names - {"ferplus/votes.csv"}
        assert sum(row["split"] == "valid" for row in rows) == 140
        picture = cv2.imdecode(np.frombuffer(archive.read(f"ferplus/images/{rows[0]['image']}"), np.uint8), -1)
    assert picture.shape == (48, 48)


def test_the_table_has_a_row_per_figure() -> None:
    figures = {
        "machine": {"device": "card", "cores": 16, "torch": "2"},
        "measurements": {"loop": {"16-mixed": {"loop/model": 0.95}, "seconds": 3.0}, "video": {"error": "a|b\nc"}},
    }
    lines = table(figures).splitlines()
    assert "| loop | 16-mixed loop/model | 0.95 |" in lines and "| video | error | a/b c |" in lines


@pytest.mark.slow
def test_all_measurements_run_on_a_processor_at_toy_size(tmp_path: Path, shared_data: Path) -> None:
    ferplus, lfw = _ferplus(tmp_path / "ferplus.zip", 260), _lfw(tmp_path / "lfw.zip", 30)
    pack(ferplus, lfw, [shared_data / "videos" / "single_face.mp4"], tmp_path / "pack.zip", 60)
    words = [str(ROOT / "benchmarks" / "on_gpu.sh"), str(tmp_path / "pack.zip"), str(tmp_path / "out")]
    done = subprocess.run(
        [*words, "--device", "cpu", "--toy", "--minutes", "60"],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
    )
    figures = json.loads((tmp_path / "out" / "on_gpu.json").read_text())["measurements"]
    assert done.returncode == 0, {name: found.get("error") for name, found in figures.items()}
    assert list(figures) == ["stores", "loop", "resume", "detection", "features", "video", "bench"]
    assert figures["stores"]["fer2013_train"]["images"] == 1820 and figures["stores"]["lfw"]["images"] == 30
    assert all(figures["loop"][precision]["kept/model"] > 0 for precision in PRECISIONS)
    assert all(figures["resume"][each]["largest_difference_of_weights"] < 1e-5 for each in PRECISIONS)
    assert figures["detection"]["faces"] and figures["detection"]["pictures_with_another_number_of_faces"] == 0
    assert figures["detection"]["largest_distance_px"] < 1
    assert figures["features"]["frames_per_second"] > 0 and figures["video"]["frames_per_second"] > 0
    assert len(figures["bench"]["cells"]) == 9
    assert all(0 <= cell["accuracy"] <= 1 and cell["seconds"] > 0 for cell in figures["bench"]["cells"].values())
    assert "| bench | " in (tmp_path / "out" / "on_gpu.md").read_text()


def test_without_arguments_the_script_says_how_it_is_called() -> None:
    done = subprocess.run([str(ROOT / "benchmarks" / "on_gpu.sh")], capture_output=True, text=True)
    assert done.returncode == 2 and "PACK.zip OUT" in done.stderr
