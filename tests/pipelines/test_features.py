from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from abaw.models.architecture import Architecture
from abaw.models.image_input import ImageInput
from abaw.models.static import build_static, load_static, save_static
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.stores.crop import Crop
from abaw.stores.features import open_features
from pipelines.cli import main
from tests.checkpoints import static_checkpoint
from tests.data.faces import video_store


@pytest.fixture
def work(tmp_path: Path) -> Path:
    save_static(
        tmp_path / "ckpt",
        build_static(Architecture(backbone="small"), 8, 32, seed=0),
        Architecture(backbone="small"),
        EXPRESSION_CLASSES,
        ImageInput(32),
        {},
    )
    for name, labels in (("a", [0, 1, None]), ("ü b", [3, 4])):
        video_store(tmp_path / f"faces/{name}.arrow", labels)
    return tmp_path


def features(work: Path, *words: str) -> int:
    return main(
        ["features", "--faces", str(work / "faces"), "--checkpoint", str(work / "ckpt")]
        + ["--out", str(work / "features"), "--accelerator", "cpu", *words]
    )


def test_every_video_gets_its_features(work: Path) -> None:
    assert features(work, "--batch_size", "2") == 0
    assert sorted(path.name for path in (work / "features").iterdir()) == ["a.arrow", "ü b.arrow"]
    assert len(open_features(work / "features/a.arrow")) == 3


def test_stores_do_not_depend_on_the_number_of_workers(work: Path) -> None:
    for workers in "12":
        assert features(work, "--workers", workers, "--out", str(work / workers)) == 0
    one, two = (sorted((work / workers).glob("*.arrow")) for workers in "12")
    assert len(one) == 2 and [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_logits_are_what_the_classifier_says_of_the_features(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert features(work) == 0
    assert features(work, "--outputs", "logits", "--out", str(work / "logits")) == 0
    plain, logits = (open_features(work / name / "a.arrow") for name in ("features", "logits"))
    assert logits.feature_dim == 8 and logits.valid.tolist() == plain.valid.tolist()
    assert logits.backbone == f"{plain.backbone}/logits"
    model, _ = load_static(work / "ckpt")
    with torch.inference_mode():
        expected = model.head(torch.from_numpy(plain.features()).float()).numpy()
    np.testing.assert_allclose(logits.features()[plain.valid], expected[plain.valid], atol=0.01)
    assert features(work, "--outputs", "logits") == 1
    assert "made from another input or with other settings" in capsys.readouterr().err


def test_a_second_run_keeps_existing_stores(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    features(work)
    before = (work / "features/a.arrow").stat().st_mtime_ns
    assert features(work) == 0
    assert (work / "features/a.arrow").stat().st_mtime_ns == before
    assert "a: already exists" in capsys.readouterr().err


def test_it_goes_on_past_a_bad_store_and_reports_it_at_the_end(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (work / "faces/a.arrow").write_bytes(b"damaged")
    assert features(work) == 1
    assert [path.name for path in (work / "features").iterdir()] == ["ü b.arrow"]
    assert "1 done, 1 failed" in (said := capsys.readouterr().err)
    assert "a.arrow: not a readable store" in said.split("1 done, 1 failed")[1]


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--checkpoint", "nothing"], 1, "nothing: no checkpoint there"),
        (["--faces", "nothing"], 1, "nothing: no such file or folder (faces)"),
        (["--batch_size", "0"], 2, "batch_size is 0"),
    ],
)
def test_a_missing_input_is_reported(
    work: Path, words: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert features(work, *words) == status
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(("fault", "message"), [(28, "the disk is full"), (13, "no permission to write there")])
def test_a_store_that_cannot_be_written_is_reported_and_leaves_nothing(
    work: Path, fault: int, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path) -> None:
        raise OSError(fault, "refused")

    monkeypatch.setattr("abaw.core.artifacts._fsync", refuse)
    assert features(work) == 1
    assert message in capsys.readouterr().err
    assert list((work / "features").iterdir()) == []


def test_a_checkpoint_of_another_kind_is_reported(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = work / "ckpt/spec.json"
    spec.write_text(spec.read_text().replace('"kind": "static"', '"kind": "temporal"'))
    assert features(work) == 1
    assert "expected a static checkpoint, found a temporal one" in capsys.readouterr().err


def test_another_kind_of_crop_than_the_model_expects(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    static_checkpoint(work / "ckpt", crop=Crop("box", 224, 0.3))
    assert features(work) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if "expects box:224:0.30" in line]
    assert len(lines) == 4, "each of two stores fails, and is listed at the end"
    assert all(line.endswith("give faces made with --crop box:224:0.30") for line in lines)
    assert not (work / "features/a.arrow").exists()


def test_a_folder_with_a_folder_per_kind_of_crop(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("aligned-112", "box-224-0.30"):
        video_store(work / f"kinds/{name}/a.arrow", [0, 1])
    assert features(work, "--faces", str(work / "kinds")) == 1
    said = capsys.readouterr().err
    assert "contains no store (*.arrow); give one of its folders that have: aligned-112, box-224-0.30" in said
