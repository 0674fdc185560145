"""What an ONNX file takes and returns, read from its graph, and what identifies it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from abaw.core.artifacts import file_hash
from abaw.core.errors import ConfigError, DataError, nearest
from abaw.core.reading import read_errors
from abaw.core.text import listed

REMEDY: Final = "give an image network in ONNX form"
HEAD_INPUT: Final = "head_input"
_LINEAR: Final = ("Gemm", "MatMul")
_TYPES: Final = {
    onnx.TensorProto.FLOAT: np.float32,
    onnx.TensorProto.FLOAT16: np.float16,
    onnx.TensorProto.UINT8: np.uint8,
}


@dataclass(frozen=True, slots=True)
class GraphInput:
    """What the graph takes. batch, size: None where open; kind: of the numbers; channels_last: (B, H, W, C)."""

    name: str
    batch: int | None
    size: int | None
    channels: int
    channels_last: bool
    kind: Any


def read_model(path: Path) -> onnx.ModelProto:
    """The file, without numbers that are in other files."""
    with read_errors(path, "is not a readable ONNX file", REMEDY, (DecodeError, ValueError)):
        model = onnx.load(str(path), load_external_data=False)
        if not model.graph.node:
            raise ValueError("it has no operator")
    return model


def graph_input(graph: onnx.GraphProto, name: str) -> GraphInput:
    """Raises DataError for anything but one input of square pictures."""
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [each for each in graph.input if each.name not in constants]
    if len(inputs) != 1:
        names = [each.name for each in inputs]
        raise DataError(f"{name}: is no image network: it takes {len(inputs)} inputs ({listed(names)}); {REMEDY}")
    kind = inputs[0].type.tensor_type
    shape = [dim.dim_value or None for dim in kind.shape.dim]
    shown = f"{inputs[0].name} {[dim.dim_value or dim.dim_param or '?' for dim in kind.shape.dim]}"
    if len(shape) != 4 or kind.elem_type not in _TYPES:
        raise DataError(
            f"{name}: is no image network: it takes {shown}, expected pictures (B, channels, H, W); {REMEDY}"
        )
    channels_last = shape[1] not in (1, 3) and shape[3] in (1, 3)
    channels, height, width = (shape[3], *shape[1:3]) if channels_last else shape[1:]
    if channels not in (None, 1, 3):
        raise DataError(f"{name}: is no image network: it takes {shown}, expected 1 or 3 channels; {REMEDY}")
    if height != width:
        raise DataError(f"{name}: takes {shown}; crops of faces are square, so give a network of square pictures")
    return GraphInput(inputs[0].name, shape[0], height, channels or 3, channels_last, _TYPES[kind.elem_type])


def feature_tensor(graph: onnx.GraphProto, wanted: str | None, name: str) -> str:
    """The name of the tensor that is the feature. Raises ConfigError when it is not clear or does not exist."""
    outputs = [each.name for each in graph.output]
    if wanted is None:
        if len(outputs) != 1:
            raise ConfigError(
                f"{name}: has {len(outputs)} outputs ({listed(outputs)}); choose one with --extractor.output NAME"
            )
        return str(outputs[0])
    if wanted == HEAD_INPUT:
        return _head_input(graph, name)
    tensors = [*outputs, *(each for node in graph.node for each in node.output if each)]
    if wanted not in tensors:
        raise ConfigError(
            f"{name}: has no tensor '{wanted}'; its outputs are {listed(outputs)}, and {HEAD_INPUT} is the input of "
            f"its last linear layer.{nearest(wanted, tensors)}"
        )
    return wanted


def _head_input(graph: onnx.GraphProto, name: str) -> str:
    """The input of the last linear layer with constant weights: the feature of a classifier."""
    constants = {tensor.name for tensor in graph.initializer}
    constants |= {each for node in graph.node if node.op_type == "Constant" for each in node.output}
    for node in reversed(graph.node):
        if node.op_type in _LINEAR and node.input[1] in constants:
            return str(node.input[0])
    raise ConfigError(f"{name}: has no linear layer; give extractor.output the name of a tensor")


def model_hash(path: Path, model: onnx.ModelProto) -> str:
    """SHA-256 of the file, together with the files that hold its numbers if there are any."""
    constants = [attribute.t for node in model.graph.node for attribute in node.attribute if attribute.HasField("t")]
    others = {
        entry.value
        for tensor in (*model.graph.initializer, *constants)
        if tensor.data_location == onnx.TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    hashes = [file_hash(each) for each in (path, *(path.parent / other for other in sorted(others)))]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
