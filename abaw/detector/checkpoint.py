"""Checkpoints of the face detector: an ONNX graph, which runs without torch, and weights to train on from."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import nn

from abaw.core.artifacts import atomic_path, json_bytes
from abaw.core.errors import DataError
from abaw.detector.network import STRIDES, FaceDetector
from abaw.stores.checkpoints import read_weights, require_shapes, weights_bytes
from abaw.video.detecting.landmarks import LANDMARKS, SIDE

DETECTOR = "detector.onnx"
SPEC = "spec.json"
WEIGHTS = "weights.safetensors"
"""What training starts from: in the graph, batch norms are folded into convolutions and cannot be trained further."""

_OPSET = 17
_TRACED_SIDE = 64


class _OfPixels(nn.Module):
    """A network for grey levels from 0 to 255."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).float().cpu()
        first = next(module for module in self.model.modules() if isinstance(module, nn.Conv2d))
        with torch.no_grad():
            first.weight /= 255

    def forward(self, pictures: torch.Tensor) -> Any:
        return self.model(pictures)


def export_detector(model: FaceDetector, path: Path) -> None:
    """Write `grey` (1, 1, H, W) float32, 0..255 -> `faces_8`, `faces_16`, `faces_32` (1, 15, H/S, W/S).

    H and W are any multiples of 32. Batch norms are folded into the convolutions, whose kernels are stored as float16.
    The file is complete or absent.
    """
    names = [f"faces_{stride}" for stride in STRIDES]
    sides = {2: "height", 3: "width"}
    axes = {"grey": sides, **{name: {2: f"{name}_h", 3: f"{name}_w"} for name in names}}
    _export(model, torch.zeros(1, 1, _TRACED_SIDE, _TRACED_SIDE), path, names, axes)


def _export(
    model: nn.Module, example: torch.Tensor, path: Path, outputs: list[str], axes: dict[str, dict[int, str]]
) -> None:
    """Write the graph of `model` for grey levels from 0 to 255. axes: the dynamic ones, the input's first."""
    with atomic_path(path) as temporary, warnings.catch_warnings():
        # torch's exporter through TorchScript needs no further package, but warns that there is a newer one.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _OfPixels(model).eval(),
            (example,),
            str(temporary),
            dynamo=False,
            opset_version=_OPSET,
            input_names=[next(iter(axes))],
            output_names=outputs,
            dynamic_axes=axes,
        )
        graph = onnx.load(str(temporary))
        _halve_weights(graph)
        onnx.save(graph, str(temporary))


def _halve_weights(model: onnx.ModelProto) -> None:
    """Store the kernels as float16 and cast them to float32, which onnxruntime does once, when it loads the file."""
    casts = []
    for stored in model.graph.initializer:
        values = numpy_helper.to_array(stored)
        if values.dtype == np.float32 and values.ndim == 4:
            name = stored.name
            stored.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_16"))
            casts.append(helper.make_node("Cast", [stored.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def save_checkpoint(model: FaceDetector, folder: Path, spec: Mapping[str, Any]) -> None:
    """Write the graph, the weights and `spec`, the provenance, into an existing folder.

    Raises CheckpointError for weights that are not finite, and StorageError when writing fails; an existing checkpoint
    is then unchanged.
    """
    data = weights_bytes(folder / WEIGHTS, model.state_dict())
    with atomic_path(folder / SPEC) as new_spec, atomic_path(folder / WEIGHTS) as new_weights:
        new_weights.write_bytes(data)
        new_spec.write_bytes(json_bytes(spec))
        export_detector(model, folder / DETECTOR)


def save_landmarks(model: nn.Module, detector: Path, folder: Path, spec: Mapping[str, Any]) -> None:
    """Write the network that refines landmarks, a copy of the detector that it belongs to, and `spec`, the provenance.

    The graph: `crops` (B, 1, S, S) float32, 0..255 -> `offsets` (B, 10). Raises CheckpointError for weights that are
    not finite, and StorageError when writing fails; an existing checkpoint is then unchanged.
    """
    weights_bytes(folder / LANDMARKS, model.state_dict())
    with atomic_path(folder / SPEC) as new_spec, atomic_path(folder / DETECTOR) as copy_of:
        new_spec.write_bytes(json_bytes(spec))
        copy_of.write_bytes(detector.read_bytes())
        _export(
            model,
            torch.zeros(1, 1, SIDE, SIDE),
            folder / LANDMARKS,
            ["offsets"],
            {"crops": {0: "B"}, "offsets": {0: "B"}},
        )


def weights_of(folder: Path) -> Path:
    """The weights of a checkpoint. Raises DataError if there are none."""
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise DataError(f"{weights}: no such file; --init expects the folder of a train-detector checkpoint (RUN/last)")
    return weights


def load_weights(model: FaceDetector, folder: Path) -> None:
    """Load the weights of a checkpoint. Raises DataError if there are none or they belong to another network."""
    weights = read_weights(weights_of(folder))
    require_shapes(folder, weights, model.state_dict())
    model.load_state_dict(weights)
