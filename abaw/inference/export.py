"""Checkpoint -> one ONNX file, which onnxruntime runs without torch; see abaw.stores.exported for its content.

Shapes: B batch, S side in pixels, T time, D feature, C class, O outputs.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from abaw.core.artifacts import atomic_path
from abaw.core.errors import DataError
from abaw.core.extras import load_extra
from abaw.core.text import one_line
from abaw.data.views import unit
from abaw.models.exported import ExportedStatic, ExportedTemporal
from abaw.models.image_input import ImageInput, image_input
from abaw.models.static import StaticModel, load_static
from abaw.models.temporal import TemporalTransformer, load_temporal, on_windows
from abaw.stores.exported import (
    CROPS,
    FEATURES,
    LOGITS,
    OUTPUTS,
    PRESENT,
    Exported,
    describe,
    read_exported,
    read_graph,
    refer_to_weights,
    without_added_biases,
)
from abaw.stores.spec import GRAPH, CheckpointError, Spec, load_spec

LARGEST_DIFFERENCE: Final = 1e-4
"""Of an output from that of torch, as a share of the largest output, at least 1."""
_LARGEST_BATCH = 4096


class ExportError(DataError):
    """A model that cannot be exported, or whose graph computes something else."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """spec: of the model; difference: the largest one of any output from torch, see LARGEST_DIFFERENCE."""

    spec: Spec
    difference: float


def export_onnx(folder: Path, path: Path) -> ExportReport:
    """Export a static or temporal checkpoint, and compare the file with it before it takes its name.

    Raises CheckpointError for another kind of checkpoint, MissingLibraryError without the extra, and ExportError for a
    model that torch cannot export, or whose graph does not run or returns other numbers.
    """
    spec, model, compare = _converted(folder, optimize=True)
    with atomic_path(path) as temporary:
        onnx.save(describe(model, spec), str(temporary))
        return _report(folder, spec, compare(read_exported(temporary)))


def write_graph(folder: Path) -> ExportReport:
    """Write the graph of a checkpoint next to its weights, which it refers to: a few hundred kilobytes at most.

    Such a checkpoint predicts on a processor without torch. Raises errors as `export_onnx` does.
    """
    # Optimised graphs have other weights: normalisation becomes part of the convolutions.
    spec, model, compare = _converted(folder, optimize=False)
    graph = describe(refer_to_weights(without_added_biases(model), folder), spec)
    with atomic_path(folder / GRAPH) as temporary:
        onnx.save(graph, str(temporary))
        return _report(folder, spec, compare(read_graph(folder, temporary)))


def _report(folder: Path, spec: Spec, difference: float) -> ExportReport:
    if not difference <= LARGEST_DIFFERENCE:
        raise ExportError(
            f"{folder}: its ONNX graph returns other numbers than the model (difference {difference:.2g}, expected at "
            f"most {LARGEST_DIFFERENCE:g}); nothing was written; use the checkpoint itself"
        )
    return ExportReport(spec, difference)


def _converted(folder: Path, optimize: bool) -> tuple[Spec, onnx.ModelProto, Callable[[Exported], float]]:
    """The spec, the graph, and a function that returns the largest difference of a graph from the model."""
    load_extra("onnxscript", "export")
    spec = load_spec(folder)
    if spec.kind == "backbone":
        raise CheckpointError(f"{folder}: is a backbone without classes; export a static or temporal checkpoint")
    convert = _static if spec.kind == "static" else _temporal
    traced, compare = convert(folder)
    return spec, _exported(folder, traced, optimize), compare


@dataclass(frozen=True, slots=True)
class _Traced:
    """What the exporter follows. example: inputs; dynamic: per input, the axes of any length."""

    module: nn.Module
    example: tuple[Tensor, ...]
    inputs: Sequence[str]
    outputs: Sequence[str]
    dynamic: tuple[dict[int, Any], ...]


class _StaticGraph(nn.Module):
    def __init__(self, model: StaticModel, image: ImageInput) -> None:
        super().__init__()
        self.model, self.image = model, image

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        features = self.model.features(self.image.normalise(unit(crops)))
        return features, self.model.classify(features)


def _static(folder: Path) -> tuple[_Traced, Callable[[Exported], float]]:
    model, spec = load_static(folder)
    side = image_input(spec).size
    graph = _StaticGraph(model, image_input(spec)).eval()
    generator = np.random.default_rng(0)

    def crops(count: int) -> NDArray[np.uint8]:
        # Noise and flat pictures: small and large numbers.
        noise = generator.integers(0, 256, (count, 3, side, side), dtype=np.uint8)
        return np.where(np.arange(count)[:, None, None, None] % 2, noise // 16 + 40, noise).astype(np.uint8)

    def compare(exported: Exported) -> float:
        found = ExportedStatic(exported)
        differences = []
        for count in (1, 2, 5):
            images = crops(count)
            with torch.inference_mode():
                features, logits = (each.numpy() for each in graph(torch.from_numpy(images)))
            differences += [
                _difference(found.features(images), features),
                _difference(found.classify(features), logits),
            ]
        return max(differences)

    dynamic = ({0: torch.export.Dim("batch", max=_LARGEST_BATCH)},)
    return _Traced(graph, (torch.from_numpy(crops(2)),), [CROPS], [FEATURES, LOGITS], dynamic), compare


class _TemporalGraph(nn.Module):
    def __init__(self, model: TemporalTransformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: Tensor, present: Tensor) -> Tensor:
        outputs: Tensor = self.model(features, present, torch.ones_like(present[..., 0]))
        return outputs


def _temporal(folder: Path) -> tuple[_Traced, Callable[[Exported], float]]:
    model, spec = load_temporal(folder)
    window, sources = int(spec.input["window"]), len(model.dims)
    generator = np.random.default_rng(0)

    def windows(batch: int, time: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        features = generator.normal(size=(batch, time, sum(model.dims))).astype(np.float32)
        mean, deviation = model.feature_mean.numpy(), model.feature_std.numpy()
        return features * deviation + mean, generator.random((batch, time, sources)) < 0.8

    def compare(exported: Exported) -> float:
        found, expected = ExportedTemporal(exported), on_windows(model)
        sizes = [(1, 1), (1, window), (3, max(1, window // 2)), (2, min(2, window))]
        inputs = [windows(*size) for size in sizes]
        return max(_difference(found(*each), expected(*each)) for each in inputs)

    batch = torch.export.Dim("batch", max=_LARGEST_BATCH)
    # Learned positions cover one window; others have no end.
    time = torch.export.Dim("time", max=window) if model.positions is not None else torch.export.Dim("time")
    example = tuple(torch.from_numpy(each) for each in windows(2, max(2, min(window, 64))))
    dynamic = ({0: batch, 1: time}, {0: batch, 1: time})
    return _Traced(_TemporalGraph(model).eval(), example, [FEATURES, PRESENT], [OUTPUTS], dynamic), compare


def _difference(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    if found.shape != expected.shape:
        return float("inf")
    return float(np.abs(found - expected).max() / max(1.0, np.abs(expected).max()))


def _exported(folder: Path, traced: _Traced, optimize: bool) -> onnx.ModelProto:
    try:
        with _silence():
            program = torch.onnx.export(
                traced.module,
                traced.example,
                input_names=traced.inputs,
                output_names=traced.outputs,
                dynamic_shapes=traced.dynamic,
                dynamo=True,
                optimize=optimize,
                verbose=False,
            )
    except Exception as error:  # the exporter fails in many ways, depending on the network
        raise ExportError(f"{folder}: torch cannot export its network ({one_line(error)})") from error
    model: onnx.ModelProto = program.model_proto  # type: ignore[union-attr]
    return model


@contextlib.contextmanager
def _silence() -> Any:
    """The exporter explains its own steps at length, by every way there is."""
    levels = {name: logging.getLogger(name).level for name in ("torch", "torch.onnx", "onnxscript", "onnx_ir")}
    nowhere = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        warnings.simplefilter("ignore")
        for name in levels:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
