from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from abaw.core.errors import ConfigError, DataError
from abaw.extractors.extractor import Extractor
from abaw.extractors.registry import open_extractor
from abaw.extractors.settings import ExtractorSettings
from tests.extractors.networks import crops, standard

transformers = pytest.importorskip("transformers")

CPU = "cpu"
HALF = (0.5, 0.5, 0.5)
SHAPE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def _dinov2(folder: Path) -> None:
    config = transformers.Dinov2Config(**SHAPE, image_size=28, patch_size=14)
    transformers.Dinov2Model(config).save_pretrained(folder)
    transformers.BitImageProcessor(size={"shortest_edge": 36}, crop_size={"height": 28, "width": 28}).save_pretrained(
        folder
    )


def _dinov2_registers(folder: Path) -> None:
    config = transformers.Dinov2WithRegistersConfig(**SHAPE, image_size=28, patch_size=14, num_register_tokens=4)
    transformers.Dinov2WithRegistersModel(config).save_pretrained(folder)
    transformers.BitImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}).save_pretrained(
        folder
    )


def _clip(folder: Path) -> None:
    """With its text part, as such models are published."""
    vision = transformers.CLIPVisionConfig(**SHAPE, image_size=32, patch_size=16)
    text = transformers.CLIPTextConfig(**SHAPE, vocab_size=50, max_position_embeddings=8)
    config = transformers.CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=8)
    transformers.CLIPModel(config).save_pretrained(folder)
    transformers.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(
        folder
    )


def _vit(folder: Path) -> None:
    config = transformers.ViTConfig(**SHAPE, image_size=32, patch_size=16)
    transformers.ViTModel(config).save_pretrained(folder)
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)


def _vit_classifier(folder: Path) -> None:
    """A classifier's file has no weights for a pooler."""
    config = transformers.ViTConfig(**SHAPE, image_size=32, patch_size=16)
    transformers.ViTForImageClassification(config).save_pretrained(folder)
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)


def _mae(folder: Path) -> None:
    config = transformers.ViTMAEConfig(**SHAPE, image_size=32, patch_size=16)
    transformers.ViTMAEModel(config).save_pretrained(folder)
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)


def _resnet(folder: Path) -> None:
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    transformers.ResNetModel(config).save_pretrained(folder)
    transformers.ConvNextImageProcessor(size={"shortest_edge": 28}).save_pretrained(folder)


def _bert(folder: Path) -> None:
    transformers.BertModel(transformers.BertConfig(**SHAPE, vocab_size=50)).save_pretrained(folder)


MODELS: dict[str, Callable[[Path], None]] = {
    made.__name__[1:]: made for made in (_dinov2, _dinov2_registers, _clip, _vit, _vit_classifier, _mae, _resnet, _bert)
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    for name, make in MODELS.items():
        make(folder / name)
    return folder


def opened(folder: Path, **settings: Any) -> Extractor:
    return open_extractor(f"hf:{folder}", CPU, ExtractorSettings(**settings))


def near(found: np.ndarray, expected: torch.Tensor) -> bool:
    return np.allclose(found, expected.numpy(), rtol=5e-3, atol=5e-3)


@pytest.mark.parametrize(
    ("name", "kind", "side", "size"),
    [
        ("dinov2", "Dinov2Model", 36, 28),
        ("clip", "CLIPVisionModel", 32, 32),
        ("vit", "ViTModel", 32, 32),
        ("resnet", "ResNetModel", 32, 28),
    ],
)
def test_features_are_those_of_the_model_and_its_processor(
    models: Path, name: str, kind: str, side: int, size: int
) -> None:
    found = opened(models / name)
    assert found.side == side and found.dim == 16
    images = crops(3, side)
    processor = transformers.AutoImageProcessor.from_pretrained(models / name)
    pictures = processor(images=list(images), return_tensors="pt")["pixel_values"]
    start = (side - size) // 2
    centre = images[:, :, start : start + size, start : start + size]
    mine = standard(centre, tuple(processor.image_mean), tuple(processor.image_std))
    assert torch.allclose(pictures, mine, atol=1e-5), "crops of the right size are not changed by resampling"
    model = getattr(transformers, kind).from_pretrained(models / name).eval()
    with torch.inference_mode():
        expected = model(pixel_values=pictures).pooler_output.flatten(1)
    assert near(found.features(images.numpy()), expected)


@pytest.mark.parametrize(("name", "skip"), [("dinov2", 1), ("dinov2_registers", 5), ("clip", 1), ("vit", 1)])
def test_the_cls_token_and_the_mean_over_places(models: Path, name: str, skip: int) -> None:
    cls, mean = (opened(models / name, pooling=pooling) for pooling in ("cls", "mean"))
    images = crops(2, cls.side)
    kind = {"clip": "CLIPVisionModel"}.get(name, "AutoModel")
    model = getattr(transformers, kind).from_pretrained(models / name).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(models / name)
    with torch.inference_mode():
        tokens = model(**processor(images=list(images), return_tensors="pt")).last_hidden_state
    assert near(cls.features(images.numpy()), tokens[:, 0])
    assert near(mean.features(images.numpy()), tokens[:, skip:].mean(1))
    assert cls.source != mean.source and cls.weights_id == mean.weights_id


@pytest.mark.parametrize("name", ["vit_classifier", "mae"])
def test_a_model_without_a_trained_pooler_gives_its_cls_token(models: Path, name: str) -> None:
    found = opened(models / name)
    assert found.notes == (f"hf:{models / name}: has no pooler, or no weights of it; pooling is cls",)
    images = crops(2, 32)
    assert np.array_equal(found.features(images.numpy()), opened(models / name, pooling="cls").features(images.numpy()))
    with pytest.raises(ConfigError, match="has no pooler, or no weights of it; use --extractor.pooling cls or mean"):
        opened(models / name, pooling="pooled")


def test_a_masked_autoencoder_sees_the_whole_picture(models: Path) -> None:
    found, images = opened(models / "mae"), crops(2, 32)
    first = found.features(images.numpy())
    assert np.allclose(found.features(images.numpy()), first, atol=2e-3)
    for patch in range(4):
        changed = images.clone()
        row, column = divmod(patch, 2)
        changed[:, :, row * 16 : row * 16 + 16, column * 16 : column * 16 + 16] = 0
        assert not np.allclose(found.features(changed.numpy()), first, atol=2e-3)


def test_pictures_of_another_size(models: Path) -> None:
    """The whole crop is scaled to a given size; transformers resample their positions."""
    for name in ("dinov2", "clip", "vit"):
        found = opened(models / name, size=56 if name == "dinov2" else 64)
        assert found.side == (56 if name == "dinov2" else 64)
        assert np.isfinite(found.features(crops(2, found.side).numpy())).all()


def test_the_identity_does_not_depend_on_the_folder_or_the_format(models: Path, tmp_path: Path) -> None:
    model = transformers.ViTModel.from_pretrained(models / "vit")
    model.save_pretrained(tmp_path / "copy", max_shard_size="10KB")
    (tmp_path / "copy/preprocessor_config.json").write_text(
        next(iter((models / "vit").glob("pre*processor_config.json"))).read_text()
    )
    assert len(list((tmp_path / "copy").glob("model-*.safetensors"))) > 1
    assert opened(tmp_path / "copy").source == opened(models / "vit").source


def test_a_known_model_is_used_as_its_preset_says(models: Path, tmp_path: Path) -> None:
    (tmp_path / "dinov2-small").symlink_to(models / "dinov2")
    found = opened(tmp_path / "dinov2-small")
    assert (found.side, str(found.crop), found.settings["pooling"]) == (224, "box:224:0.30", "cls")
    assert found.trained_on == ("LVD-142M",)


def test_a_folder_that_is_silent_of_its_pictures(models: Path, tmp_path: Path) -> None:
    transformers.ViTModel.from_pretrained(models / "vit").save_pretrained(tmp_path / "bare")
    with pytest.raises(ConfigError, match=r"preprocessor_config.json cannot be read.*or give --extractor.size"):
        opened(tmp_path / "bare")
    found = opened(tmp_path / "bare", size=32, mean=HALF, std=HALF)
    images = crops(2, 32)
    assert np.array_equal(found.features(images.numpy()), opened(models / "vit").features(images.numpy()))


def test_a_model_of_something_else_is_refused(models: Path) -> None:
    with pytest.raises(DataError, match="bert: is no vision model .it takes input_ids."):
        opened(models / "bert")


def test_a_file_without_all_weights_is_refused(models: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "part"
    folder.mkdir()
    for file in (models / "vit").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    weights = load_file(str(folder / "model.safetensors"))
    removed = next(name for name in weights if name.endswith("layernorm.weight"))
    save_file({k: v for k, v in weights.items() if k != removed}, str(folder / "model.safetensors"), {"format": "pt"})
    with pytest.raises(DataError, match="its file lacks 1 weights .*; copy it again"):
        opened(folder)


@pytest.mark.parametrize("name", ["./nothing", "/no/such/folder", "a/b/c", "a b"])
def test_what_is_neither_a_folder_nor_a_name_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="neither a folder nor a name of the hub"):
        open_extractor(f"hf:{name}", CPU)


def test_a_damaged_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit"}))
    with pytest.raises(DataError, match="its model cannot be read"):
        opened(tmp_path)


def test_without_a_network_the_message_says_which_files_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ConfigError) as error:
        open_extractor("hf:facebook/no-such-model", CPU)
    text = str(error.value)
    assert text.startswith("hf:facebook/no-such-model: is not in the cache (")
    assert text.endswith(
        "and cannot be downloaded (no network); without a network, download config.json, preprocessor_config.json and "
        "model.safetensors from https://huggingface.co/facebook/no-such-model elsewhere into a folder, and give "
        "hf:FOLDER"
    )
    assert "\n" not in text
