from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from abaw.core.errors import ConfigError
from abaw.models.architecture import Architecture
from abaw.models.image_input import ImageInput, image_input
from abaw.models.static import StaticModel, build_static, image_for, initialise, load_static, save_static
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.stores.spec import CheckpointError

IMAGE = ImageInput(32)


def model(seed: int = 0, backbone: str = "small") -> StaticModel:
    return build_static(Architecture(backbone=backbone), 8, 32, seed=seed)


def save(folder: Path, network: StaticModel, classes: tuple[str, ...] = EXPRESSION_CLASSES) -> Path:
    save_static(folder, network, Architecture(backbone="small"), classes, IMAGE, {"step": 3})
    return folder


def test_a_loaded_model_equals_the_saved_one(tmp_path: Path) -> None:
    network = model().eval()
    loaded, spec = load_static(save(tmp_path / "a", network))
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(loaded(images), network(images))
    assert not loaded.training
    assert (spec.kind, spec.feature_dim, spec.classes, spec.training) == (
        "static",
        128,
        EXPRESSION_CLASSES,
        {"step": 3},
    )
    assert image_input(spec) == IMAGE


def test_logits_are_the_head_on_the_features_of_any_leading_shape() -> None:
    network = model().eval()
    images = torch.rand(3, 3, 32, 32)
    features = network.features(images)
    assert features.shape == (3, 128)
    assert torch.equal(network.head(features), network(images))
    assert network.head(features[None]).shape == (1, 3, 8)


def test_weights_depend_only_on_the_seed_and_leave_the_global_generator_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    first = model().state_dict()
    assert torch.equal(torch.rand(1), expected)
    again, other = model().state_dict(), model(seed=1).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_images_are_standardised_per_channel() -> None:
    image = ImageInput(16, mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 1.0))
    assert torch.allclose(image.normalise(torch.ones(1, 3, 16, 16))[0, :, 0, 0], torch.tensor([1.0, 3.0, 1.0]))


def test_a_grey_input_does_not_see_colour(tmp_path: Path) -> None:
    image = ImageInput(16, grey=True, mean=(0.0,) * 3, std=(1.0,) * 3)
    red = torch.zeros(1, 3, 16, 16)
    red[:, 0] = 1
    assert torch.allclose(image.normalise(red), torch.full((1, 3, 16, 16), 0.299))
    save_static(tmp_path / "a", model(), Architecture(backbone="small"), EXPRESSION_CLASSES, image, {})
    assert image_input(load_static(tmp_path / "a")[1]) == image


def test_a_tiny_size_is_refused() -> None:
    with pytest.raises(ConfigError, match="image size 8 is too small"):
        ImageInput(8)


def test_starting_from_a_checkpoint_takes_its_weights(tmp_path: Path) -> None:
    trained, fresh = model(seed=1), model(seed=2)
    save(tmp_path / "a", trained)
    assert (
        initialise(fresh, Architecture(backbone="small"), EXPRESSION_CLASSES, tmp_path / "a")
        == load_static(tmp_path / "a")[1].weights_id
    )
    assert torch.equal(fresh.head.weight, trained.head.weight)


def test_starting_from_another_class_order_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "a", model(), tuple(reversed(EXPRESSION_CLASSES)))
    with pytest.raises(
        CheckpointError, match="class order differs: expected Neutral, Anger, .*; found Other, Surprise"
    ):
        initialise(model(), Architecture(backbone="small"), EXPRESSION_CLASSES, tmp_path / "a")


def test_starting_from_another_backbone_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "a", model())
    with pytest.raises(
        CheckpointError, match="expected resnet18 with features of width 512; found small with width 128"
    ):
        initialise(model(backbone="resnet18"), Architecture(backbone="resnet18"), EXPRESSION_CLASSES, tmp_path / "a")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("feature_dim", 64, r"'head\.weight' is \[8, 128\] .*; the model of the spec has \[8, 64\]"),
        ("architecture", {"name": "resnet18"}, "its weights do not fit its spec"),
        ("architecture", {"name": "none"}, "unknown backbone 'none'"),
        ("architecture", {}, "its weights do not fit its spec"),
        ("input", {"size": 4, "mean": [0, 0, 0], "std": [1, 1, 1]}, "image size 4 is too small"),
    ],
)
def test_a_spec_that_does_not_fit_its_weights_is_refused(tmp_path: Path, key: str, value: object, message: str) -> None:
    path = save(tmp_path / "a", model()) / "spec.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(CheckpointError, match=message):
        load_static(tmp_path / "a")


def test_damaged_weights_are_reported(tmp_path: Path) -> None:
    path = save(tmp_path / "a", model()) / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"weights\.safetensors: not readable"):
        load_static(tmp_path / "a")


@pytest.mark.parametrize("name", ["timm:test_vit", "timm:test_resnet"])
def test_a_network_of_timm_is_rebuilt_from_its_spec_without_a_download(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also a transformer at a size that is not its own."""
    pytest.importorskip("timm")
    architecture, image = Architecture(backbone=name), image_for(name, 48)
    model = build_static(architecture, 8, 48, seed=0).eval()
    save_static(tmp_path / "ckpt", model, architecture, EXPRESSION_CLASSES, image, {})

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a download was tried")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", refuse)
    found, spec = load_static(tmp_path / "ckpt")
    images = torch.rand(2, 3, 48, 48)
    with torch.no_grad():
        assert torch.equal(found(images), model(images))
    assert spec.architecture == {"name": name} and image_input(spec) == image


def test_a_checkpoint_whose_library_is_missing_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("timm")
    architecture = Architecture(backbone="timm:test_resnet")
    network = build_static(architecture, 8, 48, seed=0)
    save_static(tmp_path / "ckpt", network, architecture, EXPRESSION_CLASSES, ImageInput(48), {})
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match=r"ckpt: timm is not installed; `pip install 'abaw\[timm\]'`"):
        load_static(tmp_path / "ckpt")


@pytest.mark.parametrize("name", ["timm:hf-hub:someone/network", "timm:../network", "timm:vit_giant_patch14_dinov2"])
def test_a_spec_that_names_another_network_of_timm_is_refused_before_it_is_built(tmp_path: Path, name: str) -> None:
    """Neither is anything downloaded: the weights are compared with a network without memory."""
    pytest.importorskip("timm")
    folder = save(tmp_path / "ckpt", model())
    spec = json.loads((folder / "spec.json").read_text())
    (folder / "spec.json").write_text(json.dumps({**spec, "architecture": {"name": name}}))
    with pytest.raises(CheckpointError, match="ckpt: its weights do not fit its spec"):
        load_static(folder)
