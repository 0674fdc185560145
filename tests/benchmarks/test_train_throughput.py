"""The benchmark of the training loop: a tiny run on a CPU, and that the common loop sees what ours does."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from abaw.data.face_set import labelled_stills
from abaw.data.views import View
from abaw.models.image_input import ImageInput
from tests.data.faces import still_store

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))  # scripts, not a package

import train_throughput
from train_throughput_common import common_views, transform


def test_a_tiny_run_gives_all_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = still_store(tmp_path / "a.arrow", [index % 8 for index in range(24)])
    words = ["--faces", str(store), "--backbone", "small", "--size", "32", "--device", "cpu", "--batch_size", "4"]
    words += ["--workers", "1", "--steps", "2", "--repeats", "2", "--json", str(tmp_path / "figures.json")]
    monkeypatch.setattr(sys, "argv", ["train_throughput.py", *words])
    train_throughput.main()
    figures = json.loads((tmp_path / "figures.json").read_text())
    speeds = figures["images_per_second"]
    assert list(speeds) == ["model", "views", "loop", "kept", "common"]
    assert all(len(values) == 2 and min(values) > 0 for values in speeds.values())
    for name, values in figures["ratios"].items():
        above, below = name.split("/")
        assert values == [a / b for a, b in zip(speeds[above], speeds[below], strict=True)]
    assert all(0 < value < 1 for values in figures["waits"].values() for value in values)
    assert all(value < 1 for values in figures["takes"].values() for value in values)
    assert list(figures["decode_us"]) == ["opencv", "torchvision"] and min(figures["decode_us"].values()) > 0
    said = capsys.readouterr().out
    assert "4 labelled and 8 unlabelled images per step" in said and "loop/model" in said


def test_the_common_loop_gives_batches_of_the_same_kind(tmp_path: Path) -> None:
    faces = labelled_stills(still_store(tmp_path / "a.arrow", [0, 3, 5]))
    views = next(common_views(faces, ImageInput(32), 4, 2, 0, torch.device("cpu")))
    assert views.weak is not None and views.strong is not None
    assert [tuple(each.shape) for each in (views.labelled, views.weak, views.strong)] == [
        (4, 3, 32, 32),
        (8, 3, 32, 32),
        (8, 3, 32, 32),
    ]
    assert set(views.labels.tolist()) <= {0, 3, 5}
    assert torch.equal(views.targets.argmax(1), views.labels)


def test_a_view_without_changes_is_the_picture(tmp_path: Path) -> None:
    import io

    from PIL import Image

    faces = labelled_stills(still_store(tmp_path / "a.arrow", [0]))
    image = ImageInput(32)
    picture = Image.open(io.BytesIO(faces.jpeg(0))).convert("RGB")
    pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(32, 32, 3).permute(2, 0, 1)
    expected = image.normalise(pixels[None].float() / 255)[0]
    torch.testing.assert_close(transform(View(flip=0.0), image)(picture), expected)
