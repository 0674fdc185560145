"""The inputs and outputs of an ONNX file, by which a detector recognises its weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from abaw.core.errors import DataError
from abaw.core.onnx_session import start_session
from abaw.core.reading import read_errors


@dataclass(frozen=True, slots=True)
class Graph:
    """num_inputs: number of inputs; outputs: names; widths: last dimension of each output, 0 if it is not fixed."""

    num_inputs: int
    outputs: tuple[str, ...]
    widths: tuple[int, ...]


def read_graph(weights: Path) -> Graph:
    """Raises DataError for a file that is not ONNX, or whose numbers are in other files."""
    with read_errors(weights, "is not a readable ONNX file", "download it again", (DecodeError, ValueError)):
        graph = onnx.load(str(weights), load_external_data=False).graph
    constants = [attribute.t for node in graph.node for attribute in node.attribute if attribute.HasField("t")]
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in (*graph.initializer, *constants)):
        raise DataError(f"{weights}: its numbers are in other files (external data); give a file that holds them")
    dimensions = [output.type.tensor_type.shape.dim for output in graph.output]
    return Graph(
        len(graph.input),
        tuple(output.name for output in graph.output),
        tuple(shape[-1].dim_value if shape else 0 for shape in dimensions),
    )


def require_runs(weights: Path) -> None:
    """Run the graph once on a black picture.

    Raises DataError when that fails (operators that onnxruntime does not know, contradictory shapes), when the graph
    expects no picture of a usual size, or when its outputs are not finite.
    """
    with read_errors(weights, "does not run", "download it again, or give other weights", (Exception,)):
        session = start_session(str(weights), None)
        first = session.get_inputs()[0]
        shape = [_side(place, size) for place, size in enumerate(first.shape)]
        if len(shape) != 4 or max(shape) > _MAX_SIDE:
            raise ValueError(f"expected an input of pictures, (1, channels, height, width), found {first.shape}")
        outputs = session.run(None, {first.name: np.zeros(shape, np.float32)})
        if not all(np.isfinite(output).all() for output in outputs):
            raise ValueError("its outputs are not finite numbers")


_MAX_SIDE = 4096
_ANY = (1, 3, 64, 64)
"""Taken where a graph leaves a size open."""


def _side(place: int, size: Any) -> int:
    return size if isinstance(size, int) and size > 0 else _ANY[min(place, 3)]
