"""Detectors: recognised by their outputs, and in the picture's pixels at every scale."""

from __future__ import annotations

import errno
import json
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from abaw.core.errors import ConfigError, DataError
from abaw.video.detecting import auto
from abaw.video.detecting.auto import choose_detector
from abaw.video.detecting.boxes import iou_matrix
from abaw.video.detecting.detections import Detections
from abaw.video.detecting.packs import fetch_pack
from abaw.video.detecting.registry import network_of, open_detector
from abaw.video.detecting.scaled import ScaledDetector, place
from abaw.weights import DETECTOR
from tests.video.clips import FACE_BOX_XYXY, noise, portrait

NETWORKS = ["yunet_n_dynamic", "scrfd_2.5g_kps_320", "scrfd_2.5g_kps_640", "scrfd_500m_kps_640"]


def write_onnx(path: Path, outputs: dict[str, list[int]], inputs: int = 1) -> Path:
    """An ONNX file with outputs of these shapes."""
    zeros = [
        helper.make_node("Constant", [], [name], value=helper.make_tensor(name, TensorProto.FLOAT, shape, [0.0] * size))
        for name, shape in outputs.items()
        for size in [int(np.prod(shape))]
    ]
    graph = helper.make_graph(
        zeros,
        "test",
        [helper.make_tensor_value_info(f"x{k}", TensorProto.FLOAT, [1, 3, 32, 32]) for k in range(inputs)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path


def scrfd_outputs(widths: tuple[int, ...] = (1, 4, 10)) -> dict[str, list[int]]:
    return {f"out{index}": [4, widths[index // 3]] for index in range(3 * len(widths))}


@pytest.mark.parametrize("side", [96, 160, 256])
def test_builtin_finds_a_frontal_face(side: int) -> None:
    detector = open_detector("builtin")
    found = detector.detect(portrait(side))
    assert len(found) == 1
    assert found.landmarks_xy is not None
    assert detector.identity.startswith("grey detector.onnx ")
    wanted = np.array([FACE_BOX_XYXY]) * side / 256
    assert iou_matrix(found.box_xyxy, wanted)[0, 0] > 0.6


def test_the_builtin_weights_are_small_and_say_where_they_are_from() -> None:
    assert sum(file.stat().st_size for file in DETECTOR.parent.glob("*.onnx")) <= 700_000
    spec = json.loads(DETECTOR.with_name("spec.json").read_text(encoding="utf-8"))
    assert spec["teacher_weights"].startswith("yunet ")
    assert not {key for key in spec["settings"] if key in ("photos", "backgrounds", "out", "init")}


def test_builtin_gives_the_same_twice_and_nothing_on_noise() -> None:
    detector = open_detector("builtin")
    first, second = detector.detect(portrait()), open_detector("builtin").detect(portrait())
    np.testing.assert_array_equal(first.box_xyxy, second.box_xyxy)
    assert len(detector.detect(noise(1, 160)[0])) == 0
    assert len(detector.detect(np.zeros((8, 200, 3), np.uint8))) == 0


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_find_the_face_at_its_place(shared_data: Path, name: str) -> None:
    detector = open_detector(str(shared_data / "models" / f"{name}.onnx"))
    picture = portrait(256)
    wide = np.zeros((256, 700, 3), np.uint8)
    wide[:, 300:556] = picture
    for image, offset in ((picture, 0), (wide, 300)):
        found = detector.detect(image)
        assert len(found) == 1
        assert found.landmarks_xy is not None
        wanted = np.array([FACE_BOX_XYXY]) + np.array([offset, 0, offset, 0])
        assert iou_matrix(found.box_xyxy, wanted)[0, 0] > 0.75
        left_eye, right_eye, nose, left_mouth, right_mouth = found.landmarks_xy[0] - np.array([offset, 0])
        assert left_eye[0] < nose[0] < right_eye[0]
        assert left_mouth[1] > nose[1] > left_eye[1]
        np.testing.assert_allclose((left_eye + right_eye) / 2, (127, 105), atol=8)
        np.testing.assert_allclose((left_mouth + right_mouth) / 2, (127, 145), atol=8)
    assert detector.identity.startswith(f"{name.split('_')[0]} {name}.onnx ")


@pytest.mark.parametrize("name", ["yunet_n_dynamic", "scrfd_500m_kps_640"])
def test_a_face_that_fills_the_picture_is_found(shared_data: Path, name: str) -> None:
    detector = open_detector(str(shared_data / "models" / f"{name}.onnx"))
    x1, y1, x2, y2 = map(int, FACE_BOX_XYXY)
    close_up = cv2.resize(portrait(256)[y1:y2, x1:x2], (500, 640))
    assert len(detector.detect(close_up)) >= 1


def test_opencv_does_not_chatter(shared_data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    open_detector(str(shared_data / "models" / "yunet_n_dynamic.onnx")).detect(portrait())
    assert capfd.readouterr() == ("", "")


class _FindsOnlySmall:
    """Sees a white rectangle when it is at most a third of the canvas wide."""

    identity = "test"

    def __init__(self) -> None:
        self.passes = 0

    def canvas_wh(self, image_wh: tuple[int, int]) -> tuple[int, int]:
        return 320, 320

    def find(self, canvas_bgr: NDArray[np.uint8]) -> Detections:
        self.passes += 1
        ys, xs = np.nonzero(canvas_bgr[..., 0] > 200)
        box = np.array([[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]], np.float32)
        if box[0, 2] - box[0, 0] > 107:
            box = box[:0]
        return Detections(box, np.ones(len(box), np.float32), np.repeat(box[:, None, :2], 5, axis=1))


@pytest.mark.parametrize(("box", "passes"), [((100, 50, 160, 170), 1), ((100, 50, 280, 170), 2)])
def test_half_scale_is_tried_when_nothing_is_found(box: tuple[int, int, int, int], passes: int) -> None:
    image = np.zeros((240, 400, 3), np.uint8)
    image[box[1] : box[3], box[0] : box[2]] = 255
    network = _FindsOnlySmall()
    found = ScaledDetector(network).detect(image)
    assert network.passes == passes
    np.testing.assert_allclose(found.box_xyxy, [box], atol=3)
    assert found.landmarks_xy is not None
    np.testing.assert_allclose(found.landmarks_xy[0, 0], box[:2], atol=3)


@pytest.mark.parametrize("size_wh", [(1, 1), (33, 500), (1920, 1080), (640, 640)])
@pytest.mark.parametrize("zoom", [1.0, 0.5])
def test_place_and_back(size_wh: tuple[int, int], zoom: float) -> None:
    canvas, placement = place(np.full((size_wh[1], size_wh[0], 3), 255, np.uint8), (640, 640), zoom)
    ys, xs = np.nonzero(canvas[..., 0])
    corners = np.array([[xs.min(), ys.min()], [xs.max() + 1, ys.max() + 1]], np.float32)
    limit = 1.5 / placement.scale
    np.testing.assert_allclose(placement.back(corners), [(0, 0), size_wh], atol=limit)


def test_weights_are_distinguished_by_their_outputs(tmp_path: Path) -> None:
    yunet = {f"{part}_{stride}": [1, 4, 1] for part in ("cls", "obj", "bbox", "kps") for stride in (8, 16, 32)}
    assert network_of(write_onnx(tmp_path / "scrfd.onnx", yunet)).title == "YuNet"
    assert network_of(write_onnx(tmp_path / "yunet.onnx", scrfd_outputs())).title == "SCRFD"
    assert network_of(write_onnx(tmp_path / "boxes.onnx", scrfd_outputs((1, 4)))).title == "SCRFD"


@pytest.mark.parametrize(
    "outputs", [{"embedding": [1, 512]}, scrfd_outputs((4, 1, 10)), {f"o{k}": [1, 1] for k in range(12)}]
)
def test_other_onnx_is_refused(tmp_path: Path, outputs: dict[str, list[int]]) -> None:
    path = write_onnx(tmp_path / "other.onnx", outputs)
    with pytest.raises(
        DataError,
        match="none of the known face detectors .SCRFD, YuNet, ",
    ):
        open_detector(str(path))


def test_bad_detector_names_and_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'builtin'"):
        open_detector("build-in")
    with pytest.raises(DataError, match="no such detector weights"):
        open_detector(str(tmp_path / "gone.onnx"))
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"\xff\xfe no onnx")
    with pytest.raises(DataError, match="not a readable ONNX"):
        open_detector(str(broken))


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without models."""
    for name in ("HF_HOME", "OPENCV_SAMPLES_DATA_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(auto.sys, "prefix", str(tmp_path / "prefix"))
    return tmp_path


def test_auto_takes_packs_then_files_then_builtin(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_detector().name == "builtin"
    samples = own_home / "opencv" / "yunet"
    samples.mkdir(parents=True)
    monkeypatch.setenv("OPENCV_SAMPLES_DATA_PATH", str(own_home / "opencv"))
    write_onnx(samples / "classes.onnx", {"logits": [1, 1000]})
    (samples / "broken.onnx").write_bytes(b"\xff\xfe no onnx")
    assert choose_detector().name == "builtin"
    outputs = {f"{part}_{stride}": [1, 1] for part in ("cls", "obj", "bbox", "kps") for stride in (8, 16, 32)}
    yunet = write_onnx(samples / "yunet.onnx", outputs)
    assert choose_detector().name == str(yunet)
    models = own_home / ".insightface" / "models"
    models.mkdir(parents=True)
    write_onnx(models / "loose_scrfd.onnx", scrfd_outputs())
    assert choose_detector().name == str(yunet), "YuNet first: it needs no mosaic"
    packs = {name: models / name for name in ("antelopev2", "buffalo_l")}
    for folder in packs.values():
        folder.mkdir()
        write_onnx(folder / "a_recognition.onnx", {"embedding": [1, 512]})
    assert choose_detector().name == str(yunet), "packs without a detector"
    write_onnx(packs["antelopev2"] / "scrfd_10g_bnkps.onnx", scrfd_outputs())
    assert choose_detector().name == "insightface:antelopev2"
    detector = write_onnx(packs["buffalo_l"] / "det_10g.onnx", scrfd_outputs())
    choice = choose_detector()
    assert choice.name == "insightface:buffalo_l" and str(models) in choice.reason
    assert fetch_pack("buffalo_l") == detector


def test_a_failed_download_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ensure_available(folder: str, pack: str) -> str:
        raise ConnectionError("no route to host")

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "insightface.utils", SimpleNamespace(ensure_available=ensure_available))
    with pytest.raises(DataError, match=r"insightface:buffalo_l: not in .*download failed.*copy the folder.*builtin"):
        open_detector("insightface:buffalo_l")


@pytest.mark.parametrize(
    "name", ["/etc", "../../x", "a/b", "a\\b", ".", "..", "", "~root", "a b", "buffalo_l\n", "https://x.org/a.zip", "é"]
)
def test_a_pack_is_named_and_never_a_path_or_an_address(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(*_: object, **__: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "insightface.utils", SimpleNamespace(ensure_available=connect))
    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", connect)
    with pytest.raises(ConfigError, match=r"no insightface pack [\s\S]*: expected a name of letters"):
        open_detector(f"insightface:{name}")


def test_a_pack_that_may_not_be_read_is_not_to_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    detector = tmp_path / ".insightface" / "models" / "antelope-v2.1" / "det_10g.onnx"
    detector.parent.mkdir(parents=True)
    write_onnx(detector, scrfd_outputs())
    (detector.parent / "._det_10g.onnx").write_bytes(b"\0\5\x16\7")
    assert fetch_pack("antelope-v2.1") == detector

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("onnx.load", refuse)
    monkeypatch.setitem(sys.modules, "insightface.utils", SimpleNamespace(ensure_available=lambda *_: ""))
    with pytest.raises(DataError) as caught:
        fetch_pack("antelope-v2.1")
    assert str(caught.value) == f"{detector}: no permission to read it; change its permissions"
