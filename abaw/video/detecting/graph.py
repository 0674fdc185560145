"""The inputs and outputs of an ONNX file, by which a detector recognises its weights, and a session that runs it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx
import onnxruntime
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from abaw.core.reading import read_errors


@dataclass(frozen=True, slots=True)
class Graph:
    """num_inputs: number of inputs; outputs: names; widths: last dimension of each output, 0 if it is not fixed."""

    num_inputs: int
    outputs: tuple[str, ...]
    widths: tuple[int, ...]


def read_graph(weights: Path) -> Graph:
    """Raises DataError for a file that is not ONNX."""
    with read_errors(weights, "is not a readable ONNX file", "download it again", (DecodeError, ValueError)):
        graph = onnx.load(str(weights), load_external_data=False).graph
    dimensions = [output.type.tensor_type.shape.dim for output in graph.output]
    return Graph(
        len(graph.input),
        tuple(output.name for output in graph.output),
        tuple(shape[-1].dim_value if shape else 0 for shape in dimensions),
    )


def session_options(threads: int | None) -> onnxruntime.SessionOptions:
    """Without onnxruntime's warnings. threads: CPU threads, None for all."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    return options
