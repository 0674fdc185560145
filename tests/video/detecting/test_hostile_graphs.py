"""ONNX files that look like a detector and are none: one line, before any video is read."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from abaw.core.errors import DataError
from abaw.video.detecting.registry import open_detector
from abaw.weights import DETECTOR


def _unknown_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "Unheard"


def _other_domain(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "com.example"


def _new_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 999


def _values(value: float) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        for tensor in model.graph.initializer:
            if tensor.data_type == TensorProto.FLOAT:
                values = np.full(tuple(tensor.dims), value, np.float32)
                tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))

    return change


def _external(location: str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)

    return change


def _input(*shape: int | str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        found = model.graph.input[0]
        found.CopyFrom(helper.make_tensor_value_info(found.name, TensorProto.FLOAT, list(shape)))

    return change


def _input_type(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.STRING


def _missing_weights(model: onnx.ModelProto) -> None:
    del model.graph.initializer[0]


def _no_nodes(model: onnx.ModelProto) -> None:
    del model.graph.node[:]


HOSTILE: dict[str, tuple[Callable[[onnx.ModelProto], None], str]] = {
    "unknown operator": (_unknown_operator, "does not run"),
    "operator of another domain": (_other_domain, "does not run"),
    "opset of the future": (_new_opset, "does not run"),
    "NaN": (_values(float("nan")), "its outputs are not finite"),
    "infinite": (_values(3e38), "its outputs are not finite"),
    "external data": (_external("weights.bin"), "its numbers are in other files"),
    "external data elsewhere": (_external("../../../../etc/passwd"), "its numbers are in other files"),
    "input of another shape": (_input(1, 7, 64, 64), "does not run"),
    "input of three axes": (_input(1, 64, 64), "does not run"),
    "a huge input": (_input(1, 1, 1_000_000, 1_000_000), "expected an input of pictures"),
    "input of text": (_input_type, "does not run"),
    "missing weights": (_missing_weights, "does not run"),
    "no nodes": (_no_nodes, "does not run"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_graph_that_is_no_detector_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    change, message = HOSTILE[name]
    model = onnx.load(str(DETECTOR))
    change(model)
    path = tmp_path / "det.onnx"
    path.write_bytes(model.SerializeToString())
    start = time.process_time()
    with pytest.raises(DataError, match=message) as caught:
        open_detector(str(path))
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert time.process_time() - start < 5


def test_outputs_that_are_not_finite_later_are_no_absence_of_faces(tmp_path: Path) -> None:
    """A graph that passes the first test, and divides by zero on other pictures."""
    model = onnx.load(str(DETECTOR))
    grey = model.graph.input[0].name
    extra = [
        helper.make_node("Sub", [grey, grey], ["zero"]),
        helper.make_node("Div", [grey, "zero"], ["ratio"]),
        helper.make_node("IsNaN", ["ratio"], ["blank"]),
        helper.make_node("Where", ["blank", "zero", "ratio"], ["given"]),
    ]
    for node in model.graph.node:
        node.input[:] = ["given" if name == grey else name for name in node.input]
    for place, node in enumerate(extra):
        model.graph.node.insert(place, node)
    path = tmp_path / "det.onnx"
    path.write_bytes(model.SerializeToString())
    detector = open_detector(str(path))
    with pytest.raises(DataError, match="outputs of this detector are not finite"):
        detector.detect(np.full((64, 64, 3), 200, np.uint8))


@pytest.mark.parametrize("size", [0, 1, 100, 10_000])
def test_a_file_cut_short_is_refused_in_one_line(tmp_path: Path, size: int) -> None:
    path = tmp_path / "det.onnx"
    path.write_bytes(DETECTOR.read_bytes()[:size])
    with pytest.raises(DataError, match=r"det\.onnx: ") as caught:
        open_detector(str(path))
    assert "\n" not in str(caught.value)
