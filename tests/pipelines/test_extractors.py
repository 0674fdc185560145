"""Networks of other projects in the commands: features, then everything that follows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from abaw.core.config import to_plain
from abaw.data.crops import decode_crops
from abaw.stores.crop import Crop
from abaw.stores.faces import open_faces
from abaw.stores.features import open_features
from abaw.stores.predictions import read_predictions
from pipelines.cli import main
from tests.data.faces import picture, video_store
from tests.extractors.networks import MEAN, SIZE, STD, WIDTH, ConvNet, standard

NET = ConvNet.drawn()
NORMAL = ["--extractor.mean", *map(str, MEAN), "--extractor.std", *map(str, STD)]
NAMES = ("a", "b", "c")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Faces and annotations of three videos, and a network."""
    NET.save(tmp_path / "net.onnx")
    labels = tmp_path / "annotations/EXPR_Recognition_Challenge/Train_Set"
    labels.mkdir(parents=True)
    header = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other\n"
    for seed, name in enumerate(NAMES):
        classes = [None if frame == 3 else frame % 8 for frame in range(12)]
        video_store(tmp_path / f"faces/{name}.arrow", classes, seed)
        (labels / f"{name}.txt").write_text(header + "".join(f"{frame % 8}\n" for frame in range(12)))
    return tmp_path


def features(work: Path, *words: str, normal: bool = True) -> int:
    given = ["--faces", str(work / "faces"), "--checkpoint", f"onnx:{work / 'net.onnx'}", "--out", str(work / "out")]
    return main(["features", "--accelerator", "cpu", *given, *(NORMAL if normal else []), *words])


def test_the_stored_features_are_those_of_the_crops(work: Path) -> None:
    assert features(work, "--extractor.output", "feature", "--batch_size", "5") == 0
    store, faces = open_features(work / "out/a.arrow"), open_faces(work / "faces/a.arrow")
    assert (store.feature_dim, store.source.modality) == (WIDTH, "face")
    assert store.valid.tolist() == faces.valid.tolist() == [frame != 3 for frame in range(12)]
    rows = np.flatnonzero(faces.valid)
    images = decode_crops([faces.jpeg(int(row)) or b"" for row in rows], SIZE, ["x"] * len(rows))
    np.testing.assert_allclose(store.features()[rows], NET.feature(standard(images)), rtol=2e-3, atol=2e-3)
    recorded = store.meta["extractor"]
    assert (recorded["name"], recorded["output"]) == (f"onnx:{work / 'net.onnx'}", "feature")


def test_the_training_data_of_a_network_are_never_ignored(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert features(work) == 0
    assert features(work, "--extractor.trained_on", "Aff-Wild2") == 1
    said = "was trained on nothing, expected Aff-Wild2 (trained_on); choose another --out or remove it"
    assert capsys.readouterr().err.count(said) == 6, "each of three stores fails, and is listed at the end"
    assert open_features(work / "out/a.arrow").meta["trained_on"] == []
    assert features(work) == 0
    assert features(work, "--extractor.trained_on", "Aff-Wild2", "--out", str(work / "other")) == 0
    before, after = (open_features(work / name / "a.arrow") for name in ("out", "other"))
    assert after.meta["trained_on"] == ["Aff-Wild2"] and after.backbone == before.backbone


def test_the_features_train_a_temporal_model_that_predicts(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert features(work) == 0
    train = ["train-temporal", "--features", str(work / "out"), "--annotations", str(work / "annotations")]
    train += ["--out", str(work / "run"), "--window", "8", "--hop", "4", "--model.layers", "1", "--model.width", "16"]
    train += ["--model.heads", "2", "--train.steps", "2", "--train.warmup_steps", "0", "--train.accelerator", "cpu"]
    assert main(train) == 0, capsys.readouterr().err
    predict = [
        "predict",
        "--features",
        str(work / "out"),
        "--checkpoint",
        str(work / "run/last"),
        "--accelerator",
        "cpu",
    ]
    assert main([*predict, "--out", str(work / "predictions")]) == 0, capsys.readouterr().err
    assert np.isfinite(read_predictions(work / "predictions/a.arrow").probs).all()
    assert features(work, "--out", str(work / "other"), "--extractor.channel_order", "bgr") == 0
    predict[2] = str(work / "other")
    assert main([*predict, "--out", str(work / "wrong")]) == 1
    assert "written with another backbone" in capsys.readouterr().err


@pytest.mark.slow
def test_stores_do_not_depend_on_the_number_of_workers(work: Path) -> None:
    for workers in "12":
        assert features(work, "--workers", workers, "--out", str(work / workers)) == 0
    for name in NAMES:
        assert (work / f"1/{name}.arrow").read_bytes() == (work / f"2/{name}.arrow").read_bytes()


def test_existing_stores_are_kept_and_those_of_other_settings_refused(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert features(work) == features(work) == 0
    assert capsys.readouterr().err.count("already exists") == len(NAMES)
    assert features(work, "--extractor.channel_order", "bgr") == 1
    assert "made from another input or with other settings" in capsys.readouterr().err


def test_another_kind_of_crop_than_the_network_expects(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert features(work, "--extractor.crop", "box:224:0.3") == 1
    said = capsys.readouterr().err
    assert f"holds aligned:112 crops, but onnx:{work / 'net.onnx'} expects box:224:0.30" in said
    assert "give faces made with --crop box:224:0.30" in said
    video_store(work / "loose/a.arrow", [0], meta={"crop": to_plain(Crop("box", 224, 0.3))})
    assert features(work, "--extractor.crop", "box:224:0.3", "--faces", str(work / "loose")) == 0


def test_a_feature_that_is_too_large_names_the_video_and_the_frame(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Grey is fine; a crop with contrast is beyond float16."""
    large = ConvNet((NET.kernel - NET.kernel.mean((1, 2, 3), keepdims=True)) * 1e5, NET.head)
    large.save(work / "net.onnx")
    assert features(work, "--extractor.output", "feature") == 1
    assert "faces/a.arrow:1: its feature does not fit float16" in capsys.readouterr().err
    assert list((work / "out").iterdir()) == []


def test_a_damaged_crop_names_the_video_and_the_frame(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jpegs = [picture(0, np.random.default_rng(0)), b"damaged"]
    video_store(work / "bad/v.arrow", [0, 1], jpeg=jpegs)
    assert features(work, "--faces", str(work / "bad")) == 1
    assert "v.arrow:2: its crop is not a readable image" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--outputs", "logits"], 2, "has no expression head; leave --outputs out"),
        (["--checkpoint", "onnx:nothing.onnx"], 1, "nothing.onnx: no such file or folder (checkpoint)"),
        (["--checkpoint", "builtin"], 2, "extractor.mean has no meaning for builtin; leave it out"),
        (["--extractor.crop", "round"], 2, "crop 'round': expected aligned:PIXELS or box:PIXELS:MARGIN"),
    ],
)
def test_what_does_not_fit_ends_in_one_line(
    work: Path, words: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        found = features(work, *words)
    except SystemExit as stop:
        found = int(str(stop.code))
    said = capsys.readouterr().err
    assert (found, message in said) == (status, True), said


@pytest.mark.parametrize(
    "words",
    [
        ["predict", "--features", "faces", "--checkpoint", "onnx:net.onnx", "--out", "p"],
        ["predict", "--features", "faces", "--checkpoint", "hf:facebook/dinov2-small", "--out", "p"],
        ["train-static", "--labelled", "faces", "--init", "timm:resnet10t", "--out", "p"],
        ["predict-video", "clip.mp4", "--checkpoint", "onnx:net.onnx", "--out", "p"],
    ],
    ids=lambda words: f"{words[0]} {words[4].partition(':')[0]}",
)
def test_commands_that_need_a_head_say_that_there_is_none(
    work: Path, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(work)
    (work / "clip.mp4").touch()
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "has no expression head, it only computes features" in said and said.count("\n") == 1
    assert not (work / "p").exists()


def test_a_new_kind_of_extractor_is_one_file(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module in a folder of kinds is found by its name."""
    from abaw.extractors import kinds, registry

    (work / "more").mkdir()
    (work / "more/brightness.py").write_text(
        "from abaw.extractors.extractor import Extractor\n"
        "USES = frozenset()\n"
        "def open_extractor(argument, settings, device, threads):\n"
        "    return Extractor('brightness', 16, None, lambda crops: crops.mean((2, 3)), 3, 'f' * 64)\n"
    )
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(work / "more")])
    registry.prefixes.cache_clear()
    try:
        assert features(work, "--checkpoint", "brightness:any", normal=False) == 0
    finally:
        monkeypatch.undo()
        registry.prefixes.cache_clear()
    store, faces = open_features(work / "out/a.arrow"), open_faces(work / "faces/a.arrow")
    image = decode_crops([faces.jpeg(0) or b""], 16, ["x"]).float()
    np.testing.assert_allclose(store.features()[0], image.mean((2, 3))[0], rtol=1e-3)


def test_features_by_timm_and_hf(work: Path) -> None:
    timm, transformers = pytest.importorskip("timm"), pytest.importorskip("transformers")
    torch.save(timm.create_model("test_resnet").state_dict(), work / "weights.pth")
    config = transformers.ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=32)
    transformers.ViTModel(config).save_pretrained(work / "vit")
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(work / "vit")
    weights = ["--extractor.weights", str(work / "weights.pth"), "--extractor.size", "64"]
    for checkpoint, words in (("timm:test_resnet", weights), (f"hf:{work / 'vit'}", [])):
        out = work / checkpoint.partition(":")[0]
        assert features(work, "--checkpoint", checkpoint, "--out", str(out), *words, normal=False) == 0
        assert all(open_features(out / f"{name}.arrow").valid.sum() == 11 for name in NAMES)
