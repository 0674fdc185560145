from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from abaw.core.errors import ConfigError, DataError
from abaw.extractors.extractor import Extractor
from abaw.extractors.registry import open_extractor
from abaw.extractors.settings import ExtractorSettings
from tests.extractors.networks import CLASSES, MEAN, SIZE, STD, WIDTH, ConvNet, crops, standard

CPU = "cpu"
NET = ConvNet.drawn()
IMAGES = crops(5)
NORMAL = ExtractorSettings(mean=MEAN, std=STD)


def opened(path: Path, settings: ExtractorSettings = NORMAL, batch_size: int = 128) -> Extractor:
    return open_extractor(f"onnx:{path}", CPU, settings, batch_size=batch_size)


def near(found: np.ndarray, expected: torch.Tensor) -> bool:
    return found.dtype == np.float16 and np.allclose(found, expected.numpy(), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("batch", ["batch", 1, 2, 5, 8], ids=str)
def test_features_are_those_of_the_network(tmp_path: Path, batch: int | str) -> None:
    found = opened(NET.save(tmp_path / "net.onnx", batch))
    assert (found.dim, found.side, found.crop) == (CLASSES, SIZE, None)
    assert near(found.features(IMAGES.numpy()), NET.logits(standard(IMAGES)))


@pytest.mark.parametrize(
    ("output", "pooling"),
    [("feature", None), ("head_input", None), ("pooled", None), ("maps", "mean")],
)
def test_any_tensor_of_the_graph_can_be_the_feature(tmp_path: Path, output: str, pooling: str | None) -> None:
    path = NET.save(tmp_path / "net.onnx")
    found = opened(path, ExtractorSettings(mean=MEAN, std=STD, output=output, pooling=pooling))  # type: ignore[arg-type]
    assert found.dim == WIDTH
    assert near(found.features(IMAGES.numpy()), NET.feature(standard(IMAGES)))


def test_numbers_in_another_file_belong_to_the_network(tmp_path: Path) -> None:
    model = onnx.load(str(NET.save(tmp_path / "one.onnx")))
    path = tmp_path / "net.onnx"
    onnx.save_model(model, str(path), save_as_external_data=True, location="net.data", size_threshold=0)
    whole, found = opened(path), opened(path, ExtractorSettings(mean=MEAN, std=STD, output="feature"))
    assert near(whole.features(IMAGES.numpy()), NET.logits(standard(IMAGES)))
    assert near(found.features(IMAGES.numpy()), NET.feature(standard(IMAGES)))
    changed = bytearray((tmp_path / "net.data").read_bytes())
    changed[0] ^= 1
    (tmp_path / "net.data").write_bytes(changed)
    assert opened(path).weights_id != whole.weights_id


def test_channels_in_another_order_and_place(tmp_path: Path) -> None:
    expected = NET.logits(standard(IMAGES.flip(1)))
    for channels_last in (False, True):
        path = NET.save(tmp_path / f"{channels_last}.onnx", channels_last=channels_last)
        found = opened(path, ExtractorSettings(mean=MEAN, std=STD, channel_order="bgr"))
        assert near(found.features(IMAGES.numpy()), expected)


def test_a_network_of_grey_pictures(tmp_path: Path) -> None:
    net = ConvNet.drawn(channels=1)
    found = opened(net.save(tmp_path / "net.onnx"), ExtractorSettings(mean=(0.5,), std=(0.25,)))
    grey = (IMAGES.float() * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True)
    assert near(found.features(IMAGES.numpy()), net.logits((grey / 255 - 0.5) / 0.25))


def test_numbers_of_other_types(tmp_path: Path) -> None:
    whole = opened(NET.save(tmp_path / "bytes.onnx", kind=TensorProto.UINT8), ExtractorSettings())
    assert np.allclose(whole.features(IMAGES.numpy()), NET.logits(IMAGES.float()).numpy(), rtol=2e-3, atol=2)
    half = opened(NET.save(tmp_path / "half.onnx", kind=TensorProto.FLOAT16))
    assert np.allclose(half.features(IMAGES.numpy()), NET.logits(standard(IMAGES)).numpy(), rtol=1e-2, atol=1e-2)


def test_the_centre_of_a_larger_crop(tmp_path: Path) -> None:
    images = crops(3, 40)
    found = opened(NET.save(tmp_path / "net.onnx"), ExtractorSettings(mean=MEAN, std=STD, resize=40))
    assert found.side == 40
    assert near(found.features(images.numpy()), NET.logits(standard(images[:, :, 4:36, 4:36])))


def test_the_mirror_image_is_averaged_in(tmp_path: Path) -> None:
    found = open_extractor(f"onnx:{NET.save(tmp_path / 'net.onnx')}", CPU, NORMAL, flip=True)
    expected = (NET.logits(standard(IMAGES)) + NET.logits(standard(IMAGES.flip(3)))) / 2
    assert near(found.features(IMAGES.numpy()), expected)


def test_settings_next_to_the_file_and_their_order(tmp_path: Path) -> None:
    path = NET.save(tmp_path / "net.onnx", size="side")
    (tmp_path / "net.yaml").write_text(
        f"size: 32\nmean: {list(MEAN)}\nstd: {list(STD)}\ncrop: box:224:0.3\noutput: feature\n"
        "source: https://example.org\ntrained_on: [AffectNet]\n"
    )
    found = opened(path, ExtractorSettings())
    assert near(found.features(IMAGES.numpy()), NET.feature(standard(IMAGES)))
    assert (str(found.crop), found.trained_on, found.origin["source"]) == (
        "box:224:0.30",
        ("AffectNet",),
        "https://example.org",
    )
    flags = opened(path, ExtractorSettings(size=20, crop="any"))
    assert (flags.side, flags.crop, flags.dim) == (20, None, WIDTH)


def test_a_known_file_needs_no_settings(tmp_path: Path) -> None:
    found = opened(NET.save(tmp_path / "enet_b0_8_best_vgaf.onnx", size=224), ExtractorSettings())
    assert (found.side, found.dim, str(found.crop)) == (224, WIDTH, "box:224:0.30")
    imagenet = standard(images := crops(2, 224), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert near(found.features(images.numpy()), NET.feature(imagenet))


def test_the_identity_is_the_hash_of_the_file_and_of_what_decides_the_features(tmp_path: Path) -> None:
    path = NET.save(tmp_path / "net.onnx")
    one = opened(path)
    assert one.source.startswith(f"{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}/")
    assert opened(path, ExtractorSettings(mean=MEAN, std=STD, crop="box:224:0.3", source="x")).source == one.source
    for other in (
        opened(path, ExtractorSettings(mean=MEAN, std=MEAN)),
        opened(path, ExtractorSettings(mean=MEAN, std=STD, output="feature")),
        opened(path, ExtractorSettings(mean=MEAN, std=STD, channel_order="bgr")),
        opened(ConvNet.drawn(1).save(tmp_path / "other.onnx")),
    ):
        assert other.source != one.source
    (tmp_path / "copies").mkdir()
    (copy := tmp_path / "copies/renamed.onnx").write_bytes(path.read_bytes())
    assert opened(copy).source == one.source


@pytest.mark.parametrize(
    ("settings", "made", "message"),
    [
        (ExtractorSettings(), {}, "its mean is not known; give --extractor.mean"),
        (ExtractorSettings(mean=MEAN), {}, "its std is not known"),
        (NORMAL, {"size": "side"}, "its size is not known; give --extractor.size"),
        (ExtractorSettings(size=64, mean=MEAN, std=STD), {}, "extractor.size is 64, but it takes 32 pixels"),
        (ExtractorSettings(mean=(0.5,), std=STD), {}, "extractor.mean has 1 numbers, but the picture has 3 channels"),
        (ExtractorSettings(mean=MEAN, std=(1.0, 0.0, 1.0)), {}, "expected numbers above 0"),
        (ExtractorSettings(mean=MEAN, std=(1.0, float("inf"), 1.0)), {}, "extractor.std .*: expected finite numbers"),
        (ExtractorSettings(mean=MEAN, std=STD, resize=16), {}, "extractor.resize 16 is below extractor.size 32"),
        (ExtractorSettings(mean=MEAN, std=STD, channel_order="grey"), {}, "is grey, but it takes 3 channels"),
        (ExtractorSettings(mean=MEAN, std=STD, weights="w.pth"), {}, "extractor.weights has no meaning for onnx:"),
        (ExtractorSettings(mean=MEAN, std=STD, output="featur"), {}, "no tensor 'featur'.*Did you mean 'feature'"),
        (NORMAL, {"outputs": ("logits", "feature")}, "2 outputs .logits, feature.; choose one with --extractor.output"),
        (NORMAL, {"kind": TensorProto.UINT8}, "leave extractor.mean and extractor.std out"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    tmp_path: Path, settings: ExtractorSettings, made: dict[str, object], message: str
) -> None:
    path = NET.save(tmp_path / "net.onnx", **made)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=message):
        opened(path, settings)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (("maps",), r"returns \[2, 6, 30, 30\] for 2 pictures, expected \[2, D\]; choose another pooling or output"),
        (("best",), r"returns int64, expected numbers with decimals"),
        (("infinite",), "not finite .NaN, infinity. for a grey picture"),
    ],
)
def test_outputs_that_are_no_features_are_refused(tmp_path: Path, outputs: tuple[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        opened(NET.save(tmp_path / "net.onnx", outputs=outputs))


def _graph(path: Path, *inputs: tuple[str, list[object]]) -> Path:
    """A sum of its inputs; nothing that takes pictures."""
    nodes = [helper.make_node("Sum", [name for name, _ in inputs], ["out"])]
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs]
    output = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", infos, [output]), ir_version=8), str(path))
    return path


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([("sound", ["batch", 16000])], r"no image network: it takes sound \['batch', 16000\], expected pictures"),
        ([("map", [1, 5, 32, 32])], r"no image network: it takes map \[1, 5, 32, 32\], expected 1 or 3 channels"),
        ([("a", [1, 3, 32, 32]), ("b", [1, 3, 32, 32])], r"it takes 2 inputs \(a, b\)"),
        ([("wide", [1, 3, 32, 64])], r"takes wide \[1, 3, 32, 64\]; crops of faces are square"),
    ],
)
def test_files_of_other_networks_are_refused(
    tmp_path: Path, inputs: list[tuple[str, list[object]]], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        opened(_graph(tmp_path / "net.onnx", *inputs))


@pytest.mark.parametrize("content", [b"", b"no graph at all", b"\x89PNG\r\n"], ids=["empty", "text", "picture"])
def test_a_file_that_is_not_onnx_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(DataError, match="net.onnx: is not a readable ONNX file"):
        opened(tmp_path / "net.onnx")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="net.onnx: no such file"):
        opened(tmp_path / "net.onnx")


def test_an_operator_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Magic", ["image"], ["out"])]
    picture = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 32, 32])
    graph = helper.make_graph(nodes, "g", [picture], [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)])
    onnx.save(helper.make_model(graph, ir_version=8), str(tmp_path / "net.onnx"))
    with pytest.raises(DataError, match="net.onnx: does not run"):
        opened(tmp_path / "net.onnx")


def test_a_settings_file_with_other_keys_is_refused(tmp_path: Path) -> None:
    path = NET.save(tmp_path / "net.onnx")
    (tmp_path / "net.onnx.yaml").write_text("sise: 32\n")
    with pytest.raises(DataError, match=r"net.onnx.yaml: unknown key 'sise'. Did you mean 'size'"):
        opened(path)


def test_a_gpu_that_onnxruntime_cannot_use_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether CUDA is missing from the library, or is there and does not work, the processor computes."""
    path = NET.save(tmp_path / "net.onnx")
    expected = opened(path).features(IMAGES.numpy())
    for providers in (["CPUExecutionProvider"], ["CUDAExecutionProvider", "CPUExecutionProvider"]):
        monkeypatch.setattr("onnxruntime.get_available_providers", lambda providers=providers: providers)
        found = open_extractor(f"onnx:{path}", "cuda", NORMAL)
        (note,) = found.notes
        assert "computed on the processor, as onnxruntime cannot use the GPU" in note
        assert np.array_equal(found.features(IMAGES.numpy()), expected)


def test_the_input_of_the_last_linear_layer_needs_one(tmp_path: Path) -> None:
    kernel = numpy_helper.from_array(NET.kernel, "kernel")
    nodes = [helper.make_node("Conv", ["image", "kernel"], ["maps"])]
    picture = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 32, 32])
    output = helper.make_tensor_value_info("maps", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [picture], [output], [kernel])
    onnx.save(helper.make_model(graph, ir_version=8), str(tmp_path / "net.onnx"))
    with pytest.raises(ConfigError, match="has no linear layer"):
        opened(tmp_path / "net.onnx", ExtractorSettings(mean=MEAN, std=STD, output="head_input"))
