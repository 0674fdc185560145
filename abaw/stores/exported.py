"""Exported models: one ONNX file with the graph, the weights and, as metadata, the spec of the checkpoint.

The inputs and outputs of the graph, by name (B batch, S side in pixels, T time, D feature, C class, O outputs):
static: `crops` (B, 3, S, S) uint8 RGB -> `features` (B, D) and `logits` (B, C);
temporal: `features` (B, T, D) and `present` (B, T, sources), False without a feature -> `outputs` (B, T, O).

The folder of a checkpoint can hold such a graph, too, without the weights: it refers to those of the folder.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from abaw.core.artifacts import json_bytes
from abaw.core.config import to_plain
from abaw.core.reading import read_errors
from abaw.stores.spec import (
    GRAPH,
    WEIGHTS,
    CheckpointError,
    Kind,
    Spec,
    is_exported,
    load_spec,
    parse_spec,
    require_kind,
)

CROPS: Final = "crops"
FEATURES: Final = "features"
LOGITS: Final = "logits"
PRESENT: Final = "present"
OUTPUTS: Final = "outputs"
_SPEC: Final = "abaw.spec"
_GRAPH: Final = "abaw.graph_sha256"
_OFFSET: Final = "offset"
_LENGTH: Final = "length"
_STORED: Final = "stored"
_TYPES: Final = {"F32": "<f4", "F16": "<f2"}
"""Types of safetensors, in NumPy."""
_AGAIN: Final = "export the checkpoint again (`abaw export`)"


@dataclass(frozen=True, slots=True)
class Exported:
    """An exported model in memory."""

    path: Path
    spec: Spec
    model: onnx.ModelProto

    def head(self) -> onnx.ModelProto:
        """The head of a static model: `features` -> `logits`."""
        needed, kept = {LOGITS}, []
        for node in reversed(self.model.graph.node):
            if needed.intersection(node.output) and FEATURES not in node.output:
                kept.append(node)
                needed.update(node.input)
        graph = onnx.GraphProto(name="head", node=reversed(kept))
        graph.initializer.extend(each for each in self.model.graph.initializer if each.name in needed)
        # The outputs of the whole graph are the input and the output of its head.
        for value in self.model.graph.output:
            (graph.input if value.name == FEATURES else graph.output).append(value)
        return onnx.ModelProto(ir_version=self.model.ir_version, opset_import=self.model.opset_import, graph=graph)


def describe(model: onnx.ModelProto, spec: Spec) -> onnx.ModelProto:
    """The model with its spec as metadata, and without what the exporter says of each step, such as paths of code."""
    del model.graph.value_info[:]
    for part in (*model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output):
        del part.metadata_props[:]
        part.ClearField("doc_string")
    known = {_SPEC: json_bytes(to_plain(spec)).decode(), _GRAPH: _graph_hash(model)}
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, known)
    return model


def read_exported(path: Path, kind: Kind | None = None) -> Exported:
    """Read an exported model. Raises CheckpointError when it is missing, damaged, changed, or of another kind."""
    with read_errors(path, "is not a readable ONNX file", _AGAIN, (DecodeError, ValueError), CheckpointError):
        model = onnx.load(str(path), load_external_data=False)
    known = {entry.key: entry.value for entry in model.metadata_props}
    if _SPEC not in known:
        raise CheckpointError(
            f"{path}: holds no model of `abaw export` (no {_SPEC} in its metadata); for the features of a network of "
            f"another project give onnx:{path}"
        )
    if known.get(_GRAPH) != _graph_hash(model):
        raise CheckpointError(f"{path}: its graph or its weights were changed or damaged; {_AGAIN}")
    with read_errors(
        path, "has a spec that is not readable as JSON", _AGAIN, (ValueError, RecursionError), CheckpointError
    ):
        values = json.loads(known[_SPEC])
    spec = parse_spec(values, path)
    require_kind(spec, kind, path)
    return Exported(path, spec, model)


def read_graph(folder: Path, graph: Path | None = None) -> Exported:
    """Read the graph in the folder of a checkpoint together with the weights that it refers to.

    graph: the file, by default GRAPH in the folder. Raises CheckpointError as `read_exported` does, and when the graph
    and the weights do not belong together.
    """
    spec, weights = load_spec(folder), folder / WEIGHTS
    exported = read_exported(graph or folder / GRAPH, spec.kind)
    with read_errors(weights, "not readable", _AGAIN, (), CheckpointError):
        content = weights.read_bytes()
    if {hashlib.sha256(content).hexdigest(), exported.spec.weights_sha256} != {spec.weights_sha256}:
        raise CheckpointError(f"{folder}: its graph, its weights and its spec do not belong together; write them again")
    for tensor in exported.model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            place = {entry.key: entry.value for entry in tensor.external_data}
            start = int(place[_OFFSET])
            values = np.frombuffer(content[start : start + int(place[_LENGTH])], place[_STORED])
            tensor.raw_data = values.astype("<f4").tobytes()
            tensor.data_location = onnx.TensorProto.DEFAULT
            del tensor.external_data[:]
    return Exported(folder, spec, exported.model)


def find_exported(path: Path) -> Exported:
    """An exported file, or the graph in a folder. Raises CheckpointError as both do."""
    return read_exported(path) if is_exported(path) else read_graph(path)


def without_added_biases(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without the zeros that the exporter computes as biases of convolutions that have none: with them,
    onnxruntime does not merge convolutions with the normalisation that follows."""
    constants = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Conv" and len(node.input) == 3 and node.input[2] not in constants:
            del node.input[2]
    return model


def refer_to_weights(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """The model with each constant that equals a weight of the checkpoint replaced by its place in the file.

    onnxruntime would convert half-precision weights on every run, so `read_graph` does.
    """
    content = (folder / WEIGHTS).read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    places: dict[str, Any] = json.loads(content[8:start])
    for tensor in model.graph.initializer:
        name = next((name for name in places if tensor.name.endswith(f".{name}")), None)
        if name is None or places[name]["dtype"] not in _TYPES:
            continue
        stored = _TYPES[places[name]["dtype"]]
        first, end = (start + offset for offset in places[name]["data_offsets"])
        values = np.frombuffer(content[first:end], stored).astype(np.float32)
        if not np.array_equal(values, onnx.numpy_helper.to_array(tensor).ravel()):
            continue
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, entry in (("location", WEIGHTS), (_OFFSET, first), (_LENGTH, end - first), (_STORED, stored)):
            tensor.external_data.add(key=key, value=str(entry))
    return model


def _graph_hash(model: onnx.ModelProto) -> str:
    return hashlib.sha256(model.graph.SerializeToString(deterministic=True)).hexdigest()
