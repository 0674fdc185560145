from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision.models
from safetensors.torch import save_file

from abaw.core.errors import ConfigError, DataError
from abaw.models.backbones import backbone_names, build_backbone, channel_statistics, probe_feature_dim


@pytest.mark.parametrize(
    ("name", "size", "feature_dim"),
    [
        ("small", 48, 128),
        ("small", 33, 128),
        ("medium", 48, 384),
        ("large", 48, 512),
        ("wide_resnet28_2", 32, 128),
        ("resnet18", 64, 512),
        ("mobilenet_v3_small", 64, 1024),
    ],
)
def test_a_backbone_returns_one_feature_per_image(name: str, size: int, feature_dim: int) -> None:
    backbone = build_backbone(name)
    assert probe_feature_dim(backbone, size, name) == feature_dim
    assert backbone(torch.rand(2, 3, size, size)).shape == (2, feature_dim)


@pytest.mark.parametrize(
    ("name", "millions"), [("small", 0.30), ("medium", 2.74), ("large", 11.16), ("wide_resnet28_2", 1.47)]
)
def test_our_networks_have_the_documented_number_of_weights(name: str, millions: float) -> None:
    count = sum(parameter.numel() for parameter in build_backbone(name).parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.02)


def test_only_classification_networks_are_listed() -> None:
    names = backbone_names()
    assert {"small", "resnet18", "efficientnet_b0", "vit_b_16"} <= set(names)
    assert not {"inception_v3", "googlenet", "fasterrcnn_resnet50_fpn", "raft_small"} & set(names)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet81", "unknown backbone 'resnet81'.*Did you mean 'resnet18'"),
        ("smal", "Did you mean 'small'"),
        ("squeezenet1_0", "squeezenet1_0 has no linear head"),
    ],
)
def test_unusable_names_are_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_backbone(name)


def test_a_transformer_of_fixed_size_refuses_another_size() -> None:
    with pytest.raises(ConfigError, match="vit_b_32 does not accept images of 48x48 pixels"):
        probe_feature_dim(build_backbone("vit_b_32"), 48, "vit_b_32")


def test_a_failed_download_of_pretrained_weights_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, weights: str) -> torch.nn.Module:
        raise OSError("network unreachable")

    monkeypatch.setattr(torchvision.models, "get_model", refuse)
    with pytest.raises(
        ConfigError, match=r"resnet18 \(network unreachable\).*copy resnet18-\w+\.pth .* into .*/checkpoints"
    ):
        build_backbone("resnet18", pretrained=True)


def test_the_small_network_has_no_pretrained_weights() -> None:
    with pytest.raises(ConfigError, match="no pretrained weights for 'small'"):
        build_backbone("small", pretrained=True)


def test_a_network_of_timm_is_a_backbone(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    whole = timm.create_model("test_resnet").eval()
    torch.save(whole.state_dict(), tmp_path / "weights.pth")
    backbone = build_backbone("timm:test_resnet", weights=tmp_path / "weights.pth").eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(backbone(images), whole.forward_head(whole.forward_features(images), pre_logits=True))
    other = build_backbone("timm:test_vit", size=64)
    assert other(images).shape == (2, probe_feature_dim(other, 64, "timm:test_vit"))
    assert channel_statistics("timm:test_vit") == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    with pytest.raises(ConfigError, match="unknown network 'timm:tset_resnet'.*Did you mean 'test_resnet'"):
        build_backbone("timm:tset_resnet")


def test_weights_of_a_network_of_torchvision_from_a_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = torchvision.models.resnet18(num_classes=5).eval()
    save_file(whole.state_dict(), str(tmp_path / "weights.safetensors"))
    backbone = build_backbone("resnet18", weights=tmp_path / "weights.safetensors").eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(whole.fc(backbone(images)), whole(images))
    with pytest.raises(DataError, match=r"weights.safetensors: lacks \d+ of the 60 weights of small"):
        build_backbone("small", weights=tmp_path / "weights.safetensors")


def test_pretrained_weights_of_timm_without_a_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("timm")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        ConfigError, match=r"test_resnet.r160_in1k elsewhere and give it with --no-pretrained --backbone_weights FILE"
    ):
        build_backbone("timm:test_resnet", pretrained=True)
