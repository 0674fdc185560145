"""Exported models: they predict as their checkpoints do, say which model they are, and are refused when changed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from abaw.extractors.registry import open_extractor
from abaw.inference import export as module
from abaw.inference.export import LARGEST_DIFFERENCE, ExportError, export_onnx, write_graph
from abaw.inference.members import load_member
from abaw.models.architecture import Architecture, Experts
from abaw.models.image_input import ImageInput, image_input
from abaw.models.sizes import TransformerSize
from abaw.models.static import build_static, load_static, save_backbone, save_static
from abaw.models.temporal import build_temporal, temporal_spec
from abaw.protocol.classes import EXPRESSION_CLASSES, TASKS
from abaw.stores.checkpoints import load_checkpoint, save_checkpoint
from abaw.stores.sources import Source
from abaw.stores.spec import GRAPH, WEIGHTS, CheckpointError, has_graph, load_spec
from tests.checkpoints import static_checkpoint, temporal_checkpoint

D = 12
BACKBONE = "b" * 16


@pytest.fixture(scope="module")
def static(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A static checkpoint `s` and the file of it, `s.onnx`."""
    root = tmp_path_factory.mktemp("static")
    export_onnx(static_checkpoint(root / "s"), root / "s.onnx")
    return root


@pytest.fixture(scope="module")
def temporal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A temporal checkpoint `t` with windows of 10 frames, and the file of it, `t.onnx`."""
    root = tmp_path_factory.mktemp("temporal")
    export_onnx(temporal_checkpoint(root / "t", D, BACKBONE, window=10, hop=6), root / "t.onnx")
    return root


def test_features_and_logits_of_a_static_model(static: Path) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (7, 3, 32, 32), dtype=np.uint8)
    by_torch, found = (open_extractor(static / name, "cpu") for name in ("s", "s.onnx"))
    np.testing.assert_allclose(found.features(crops), by_torch.features(crops), atol=2e-3)
    features = by_torch.features(crops)
    assert found.head is not None and by_torch.head is not None
    np.testing.assert_allclose(found.head.classify(features), by_torch.head.classify(features), atol=1e-4)
    assert found.head.classify(features[:0]).shape == (0, 8)
    assert (found.source, found.identity, found.crop, found.side) == (
        by_torch.source, by_torch.identity, by_torch.crop, by_torch.side,
    )  # fmt: skip


@pytest.mark.parametrize("num_frames", [1, 9, 10, 43])
def test_predictions_of_a_temporal_model(temporal: Path, num_frames: int) -> None:
    generator = np.random.default_rng(num_frames)
    features = generator.normal(size=(num_frames, D)).astype(np.float16)
    present = generator.random((num_frames, 1)) < 0.8
    expected, found = (load_member(temporal / name, "cpu").outputs(features, present) for name in ("t", "t.onnx"))
    assert expected.probs is not None and found.probs is not None
    np.testing.assert_allclose(found.probs, expected.probs, atol=1e-4)


@pytest.mark.parametrize(("root", "name"), [("static", "s"), ("temporal", "t")])
def test_the_file_holds_the_spec_of_the_checkpoint(root: str, name: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(root)
    assert load_spec(folder / f"{name}.onnx") == load_spec(folder / name)
    with pytest.raises(CheckpointError, match=f"{name}.onnx: expected a backbone checkpoint, found a {root} one"):
        load_spec(folder / f"{name}.onnx", "backbone")


def test_an_exported_model_is_no_checkpoint_to_train_from(static: Path) -> None:
    with pytest.raises(CheckpointError, match=r"s\.onnx: an exported model predicts"):
        load_checkpoint(static / "s.onnx")


def _changed(file: Path, path: Path) -> None:
    """One bit of one weight."""
    content = bytearray(file.read_bytes())
    weight = onnx.numpy_helper.to_array(onnx.load(str(file)).graph.initializer[0]).tobytes()
    content[content.index(weight) + 2] ^= 1
    path.write_bytes(content)


def _other_spec(file: Path, path: Path) -> None:
    model = onnx.load(str(file))
    (entry,) = [each for each in model.metadata_props if each.key == "abaw.spec"]
    entry.value = entry.value.replace('"kind"', '"sort"')
    onnx.save(model, str(path))


def _without_metadata(file: Path, path: Path) -> None:
    model = onnx.load(str(file))
    del model.metadata_props[:]
    onnx.save(model, str(path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_changed, "changed or damaged; export the checkpoint again"),
        (_other_spec, "not a spec of this version"),
        (_without_metadata, "no model of `abaw export`.* give onnx:"),
        (lambda file, path: path.write_bytes(file.read_bytes()[:-100]), "readable ONNX|changed or damaged"),
        (lambda file, path: path.write_text("{}"), "readable ONNX"),
        (lambda file, path: None, "no such file"),
    ],
    ids=["a weight", "the spec", "no metadata", "cut off", "text", "missing"],
)
def test_a_file_that_is_not_as_it_was_exported_is_refused(
    static: Path, tmp_path: Path, change: Any, message: str
) -> None:
    change(static / "s.onnx", tmp_path / "changed.onnx")
    with pytest.raises(CheckpointError, match=message) as raised:
        open_extractor(tmp_path / "changed.onnx", "cpu")
    assert str(raised.value).startswith(f"{tmp_path / 'changed.onnx'}: ") and "\n" not in str(raised.value)


@pytest.fixture(scope="module")
def shipped(static: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The static checkpoint in half precision, with a graph that refers to its weights."""
    folder = tmp_path_factory.mktemp("shipped") / "s"
    source = load_checkpoint(static / "s")
    save_checkpoint(folder, source.spec, source.weights, half=True)
    write_graph(folder)
    return folder


def test_a_graph_next_to_its_weights(shipped: Path) -> None:
    assert (shipped / GRAPH).stat().st_size < 0.1 * (shipped / WEIGHTS).stat().st_size
    crops = np.random.default_rng(0).integers(0, 256, (5, 3, 32, 32), dtype=np.uint8)
    found = open_extractor(shipped, "cpu")
    model, spec = load_static(shipped)
    with torch.inference_mode():
        features = model.features(image_input(spec).normalise(torch.from_numpy(crops) / 255))
        logits = model.classify(features).numpy()
    assert found.head is not None and found.weights_sha256 == spec.weights_sha256
    np.testing.assert_allclose(found.compute(crops), features.numpy(), atol=1e-4)
    np.testing.assert_allclose(found.head.classify(found.compute(crops)), logits, atol=1e-4)


def test_a_graph_of_other_weights_is_refused(shipped: Path, tmp_path: Path) -> None:
    other = static_checkpoint(tmp_path / "s", seed=1)
    shutil.copy(shipped / GRAPH, other)
    with pytest.raises(CheckpointError, match="its graph, its weights and its spec do not belong together"):
        open_extractor(other, "cpu")
    static_checkpoint(other, seed=2)
    assert not has_graph(other), "a checkpoint that is replaced loses the graph"


def test_a_graph_that_returns_other_numbers_is_not_written(
    temporal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_torch = module.on_windows
    monkeypatch.setattr(module, "on_windows", lambda model: lambda *inputs: by_torch(model)(*inputs) + 0.01)
    with pytest.raises(ExportError, match=r"returns other numbers than the model \(difference 0\.0\d+, expected at"):
        export_onnx(temporal / "t", tmp_path / "t.onnx")
    assert not list(tmp_path.iterdir())


class _DependsOnItsInput(nn.Module):
    def forward(self, numbers: Tensor) -> Tensor:
        return numbers + 1 if numbers.sum() > 0 else numbers


def test_a_network_that_cannot_be_exported_is_one_line() -> None:
    with pytest.raises(ExportError, match="RUN: torch cannot export its network") as raised:
        traced = module._Traced(_DependsOnItsInput(), (torch.ones(2, 2),), ["a"], ["b"], ({},))
        module._exported(Path("RUN"), traced, optimize=True)
    assert "\n" not in str(raised.value)


def test_a_bare_backbone_is_refused(tmp_path: Path) -> None:
    architecture = Architecture(backbone="small")
    backbone = build_static(architecture, 8, 32, seed=0).backbone
    save_backbone(tmp_path / "b", backbone, 128, architecture, ImageInput(32), {})
    with pytest.raises(CheckpointError, match="is a backbone without classes"):
        export_onnx(tmp_path / "b", tmp_path / "b.onnx")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "settings"),
    [
        ("small", {"experts": Experts(count=3, top_k=2), "attention_maps": 3}),
        ("small", {"experts": Experts(count=3, top_k=1, shared=True)}),
        ("large", {}),
        ("wide_resnet28_2", {}),
        ("resnet18", {}),
        ("mobilenet_v3_small", {}),
        ("vit_b_32", {}),
        ("timm:test_vit", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
def test_every_kind_of_static_model(tmp_path: Path, backbone: str, settings: dict[str, Any]) -> None:
    size = 224 if backbone == "vit_b_32" else 160 if backbone == "timm:test_vit" else 48
    architecture = Architecture(backbone=backbone, **settings)
    model = build_static(architecture, 8, size, seed=0)
    for name, weight in model.named_parameters():
        if not weight.any():  # parts that start as the identity
            nn.init.normal_(weight, std=0.1, generator=torch.Generator().manual_seed(len(name)))
    save_static(tmp_path / "s", model, architecture, EXPRESSION_CLASSES, ImageInput(size, grey=True), {})
    assert export_onnx(tmp_path / "s", tmp_path / "s.onnx").difference < LARGEST_DIFFERENCE
    assert load_static(tmp_path / "s")[1] == load_spec(tmp_path / "s.onnx")


TWO = (Source("faces", "f" * 16 + "/logits", 8), Source("sound", "s" * 16, 3, "sound"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "sources", "tasks"),
    [
        ({"stem": 5, "tcn": 2, "delta": 3}, 1, 1),
        ({"stem": 5, "stem_mean": "full", "delta": 50}, 1, 3),
        ({"stem": 5, "tcn": 1, "delta": 3, "causal": True}, 1, 1),
        ({"positions": "learned", "distance_bias": False}, 1, 1),
        ({"distance_bias": False, "layers": 2}, 1, 2),
        ({"start": "log_probs", "tcn": 2}, 2, 2),
        ({"start": "log_probs", "causal": True}, 1, 1),
        ({"start": "log_probs", "correction": "free"}, 1, 1),
        ({"fusion": "concat"}, 2, 1),
        ({"fusion": "gated", "stem": 3}, 2, 1),
        ({"fusion": "cross_attention", "causal": True}, 2, 1),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else str(value),
)
def test_every_part_of_a_temporal_model(tmp_path: Path, settings: dict[str, Any], sources: int, tasks: int) -> None:
    spec = temporal_spec(
        TransformerSize(**{"layers": 1, "heads": 2, "width": 16, **settings}),
        window=20, hop=10, sources=TWO[:sources], classes=EXPRESSION_CLASSES, training={}, tasks=TASKS[:tasks],
    )  # fmt: skip
    save_checkpoint(tmp_path / "t", spec, build_temporal(spec, seed=0).state_dict())
    assert export_onnx(tmp_path / "t", tmp_path / "t.onnx").difference < LARGEST_DIFFERENCE
