from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from abaw.core.errors import ConfigError, DataError
from abaw.extractors.extractor import Extractor
from abaw.extractors.registry import open_extractor
from abaw.extractors.settings import ExtractorSettings
from abaw.weights.identity import weights_hash
from tests.extractors.networks import crops, standard

timm = pytest.importorskip("timm")

CPU = "cpu"
HALF = (0.5, 0.5, 0.5)
VIT = "vit_tiny_patch16_224"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files with random weights: of a transformer at 224 pixels with its head, and of a convolutional network."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    save_file(timm.create_model(VIT).state_dict(), str(folder / "vit.safetensors"))
    torch.save({"state_dict": timm.create_model("resnet10t").state_dict()}, folder / "resnet.pth")
    return folder


def opened(name: str, **settings: object) -> Extractor:
    return open_extractor(f"timm:{name}", CPU, ExtractorSettings(**settings))  # type: ignore[arg-type]


def near(found: np.ndarray, expected: torch.Tensor) -> bool:
    return np.allclose(found, expected.detach().numpy(), rtol=5e-3, atol=5e-3)


def test_features_are_those_of_the_network(weights: Path) -> None:
    found = opened(VIT, weights=str(weights / "vit.safetensors"))
    # timm says: 224 pixels, the centre of 248.
    assert (found.side, found.dim) == (248, 192)
    images = crops(2, 248)
    model = timm.create_model(VIT, num_classes=0, checkpoint_path="").eval()
    state = timm.models.load_state_dict(str(weights / "vit.safetensors"))
    model.load_state_dict({key: value for key, value in state.items() if not key.startswith("head.")})
    pictures = standard(images[:, :, 12:236, 12:236], HALF, HALF)
    with torch.inference_mode():
        tokens = model.forward_features(pictures)
        assert near(found.features(images.numpy()), model(pictures))
    mean = opened(VIT, weights=str(weights / "vit.safetensors"), pooling="mean")
    assert near(mean.features(images.numpy()), tokens[:, 1:].mean(1))
    cls = opened(VIT, weights=str(weights / "vit.safetensors"), pooling="cls")
    assert near(cls.features(images.numpy()), tokens[:, 0])
    assert len({found.source, mean.source, cls.source}) == 3
    assert len({found.weights_id, mean.weights_id, cls.weights_id}) == 1


def test_a_convolutional_network_of_another_size(weights: Path) -> None:
    found = opened("resnet10t", weights=str(weights / "resnet.pth"), size=64, resize=64)
    model = timm.create_model("resnet10t").eval()
    model.load_state_dict(torch.load(weights / "resnet.pth", weights_only=True)["state_dict"])
    pictures = standard(images := crops(2, 64), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    with torch.inference_mode():
        maps = model.forward_features(pictures)
    assert near(found.features(images.numpy()), maps.mean((2, 3)))
    mean = opened("resnet10t", weights=str(weights / "resnet.pth"), size=64, resize=64, pooling="mean")
    assert near(mean.features(images.numpy()), maps.mean((2, 3)))


def test_the_layout_in_memory_does_not_change_the_identity(weights: Path) -> None:
    """On a CPU the weights of convolutions are stored channels last."""
    found = opened("resnet10t", weights=str(weights / "resnet.pth"), size=64, resize=64)
    network = timm.create_model("resnet10t", num_classes=0)
    state = torch.load(weights / "resnet.pth", weights_only=True)["state_dict"]
    network.load_state_dict({key: value for key, value in state.items() if not key.startswith("fc.")})
    assert found.weights_sha256 == weights_hash(network)
    assert weights_hash(network.to(memory_format=torch.channels_last)) == weights_hash(network)


def test_a_transformer_takes_its_weights_to_another_size(weights: Path) -> None:
    """Its positions are resampled, as timm does it."""
    found = opened(VIT, weights=str(weights / "vit.safetensors"), size=64, resize=64)
    state = timm.models.load_state_dict(str(weights / "vit.safetensors"))
    model = timm.create_model(
        VIT, num_classes=0, img_size=64, pretrained=True, pretrained_cfg_overlay={"state_dict": state}
    ).eval()
    images = crops(2, 64)
    with torch.inference_mode():
        assert near(found.features(images.numpy()), model(standard(images, HALF, HALF)))


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("resnet10", {}, "unknown network 'timm:resnet10': .*Did you mean 'resnet"),
        ("resnet10t.no_such_tag", {}, "timm has resnet10t with the tags c3_in1k"),
        ("hf-hub:timm/resnet10t", {}, "unknown network 'timm:hf-hub:timm/resnet10t'"),
        ("resnet10t", {"pooling": "cls", "weights": "resnet.pth"}, "has no CLS token"),
        ("resnet10t", {"output": "x"}, "extractor.output has no meaning for timm:resnet10t"),
    ],
)
def test_what_does_not_work_is_refused(
    weights: Path, monkeypatch: pytest.MonkeyPatch, name: str, settings: dict[str, str], message: str
) -> None:
    monkeypatch.chdir(weights)
    with pytest.raises(ConfigError, match=message):
        opened(name, **settings)


def test_weights_of_another_network_are_refused(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"resnet.pth: (lacks|holds no weights of).*give the weights of this network"):
        opened(VIT, weights=str(weights / "resnet.pth"))
    (tmp_path / "no.pth").write_bytes(b"no weights")
    with pytest.raises(DataError, match=r"no.pth: holds no weights"):
        opened(VIT, weights=str(tmp_path / "no.pth"))
    torch.save({"f": print}, tmp_path / "code.pth")
    with pytest.raises(DataError, match=r"code.pth: holds no weights"):
        opened(VIT, weights=str(tmp_path / "code.pth"))
    state = timm.models.load_state_dict(str(weights / "vit.safetensors"))
    save_file({**state, "norm.bias": state["norm.bias"] * torch.nan}, str(tmp_path / "nan.safetensors"))
    with pytest.raises(DataError, match=r"nan.safetensors: numbers in 'norm.bias' are not finite"):
        opened(VIT, weights=str(tmp_path / "nan.safetensors"))


def test_without_a_network_the_message_says_which_file_to_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(ConfigError) as error:
        opened("resnet10t")
    assert str(error.value) == (
        f"model.safetensors of https://huggingface.co/timm/resnet10t.c3_in1k is not in the cache ({tmp_path}/hub) and "
        "cannot be downloaded (no network); without a network, download model.safetensors from "
        "https://huggingface.co/timm/resnet10t.c3_in1k elsewhere and give it with --extractor.weights FILE"
    )


def test_cached_weights_need_no_network(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    asked = []

    def cached(repository: str, name: str, local_files_only: bool) -> str:
        asked.append((repository, name, local_files_only))
        return str(weights / "resnet.pth")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", cached)
    given = opened("resnet10t", weights=str(weights / "resnet.pth"))
    assert opened("resnet10t").source == given.source
    assert asked == [("timm/resnet10t.c3_in1k", "model.safetensors", True)]


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(ConfigError, match=r"timm is not installed; `pip install 'abaw\[timm\]'`"):
        opened("resnet10t")
