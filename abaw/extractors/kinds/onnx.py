"""`onnx:FILE`: any image network in an ONNX file, run by onnxruntime."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
import torch
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from torch import Tensor

from abaw.core.artifacts import file_hash
from abaw.core.errors import ConfigError, DataError, nearest
from abaw.core.reading import read_errors
from abaw.core.text import listed, one_line
from abaw.extractors.extractor import Extractor, measured_dim
from abaw.extractors.picture import picture_of
from abaw.extractors.settings import NOTHING, ExtractorSettings, Pooling, preset, read_settings, sidecar
from abaw.extractors.torch_network import cls_token, mean_of_places
from abaw.video.detecting.graph import session_options

USES: Final = frozenset(
    ("size", "resize", "mean", "std", "channel_order", "crop", "output", "pooling", "source", "trained_on")
)
HEAD_INPUT: Final = "head_input"
_LINEAR: Final = ("Gemm", "MatMul")
_TYPES: Final = {
    onnx.TensorProto.FLOAT: np.float32,
    onnx.TensorProto.FLOAT16: np.float16,
    onnx.TensorProto.UINT8: np.uint8,
}
_CPU: Final = "CPUExecutionProvider"
_CUDA: Final = "CUDAExecutionProvider"
_REMEDY: Final = "give an image network in ONNX form"


def open_extractor(argument: str, settings: ExtractorSettings, device: torch.device, threads: int | None) -> Extractor:
    """argument: the path of the file; settings next to it, or a preset of its name, complete those given.

    Raises DataError for a file that is no image network or does not run, and ConfigError for settings that are missing
    or do not fit it.
    """
    path, name = Path(argument), f"onnx:{argument}"
    model = _read(path)
    beside = sidecar(path)
    settings = settings.over(NOTHING if beside is None else read_settings(beside))
    settings = settings.over(preset("onnx", path.stem) or NOTHING)
    taken = _input(model.graph, name)
    settings = _completed(settings, taken, name)
    picture = picture_of(settings, name)
    output = _output(model.graph, settings.output, name)
    session, notes = _session(path, model, output, taken, picture.size, device, threads, name)
    pooling = settings.pooling or "pooled"
    network = _Network(session, taken, output, pooling, name)
    cpu = torch.device("cpu")  # onnxruntime moves the pictures to where it computes
    prepare = picture.bytes_of if taken.kind == np.uint8 else picture.prepare
    return Extractor(
        name,
        picture.side,
        picture.crop,
        prepare,
        network,
        cpu,
        measured_dim(network, prepare, picture.side, cpu, name),
        _hash(path, model),
        {**picture.plain(), "output": output, "pooling": pooling},
        trained_on=settings.trained_on,
        origin={"name": name, "source": settings.source},
        notes=notes,
    )


@dataclass(frozen=True, slots=True)
class _Input:
    """What the graph takes. batch, size: None where open; kind: of the numbers; channels_last: (B, H, W, C)."""

    name: str
    batch: int | None
    size: int | None
    channels: int
    channels_last: bool
    kind: Any


def _read(path: Path) -> onnx.ModelProto:
    """The file, without numbers that are in other files."""
    with read_errors(path, "is not a readable ONNX file", _REMEDY, (DecodeError, ValueError)):
        model = onnx.load(str(path), load_external_data=False)
        if not model.graph.node:
            raise ValueError("it has no operator")
    return model


def _input(graph: onnx.GraphProto, name: str) -> _Input:
    """Raises DataError for anything but one input of square pictures."""
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [each for each in graph.input if each.name not in constants]
    if len(inputs) != 1:
        names = [each.name for each in inputs]
        raise DataError(f"{name}: is no image network: it takes {len(inputs)} inputs ({listed(names)}); {_REMEDY}")
    kind = inputs[0].type.tensor_type
    shape = [dim.dim_value or None for dim in kind.shape.dim]
    shown = f"{inputs[0].name} {[dim.dim_value or dim.dim_param or '?' for dim in kind.shape.dim]}"
    if len(shape) != 4 or kind.elem_type not in _TYPES:
        raise DataError(
            f"{name}: is no image network: it takes {shown}, expected pictures (B, channels, H, W); {_REMEDY}"
        )
    channels_last = shape[1] not in (1, 3) and shape[3] in (1, 3)
    channels, height, width = (shape[3], *shape[1:3]) if channels_last else shape[1:]
    if channels not in (None, 1, 3):
        raise DataError(f"{name}: is no image network: it takes {shown}, expected 1 or 3 channels; {_REMEDY}")
    if height != width:
        raise DataError(f"{name}: takes {shown}; crops of faces are square, so give a network of square pictures")
    return _Input(inputs[0].name, shape[0], height, channels or 3, channels_last, _TYPES[kind.elem_type])


def _completed(settings: ExtractorSettings, taken: _Input, name: str) -> ExtractorSettings:
    """With what the graph says of its picture. Raises ConfigError when that contradicts the settings."""
    if taken.size is not None and settings.size not in (None, taken.size):
        raise ConfigError(f"{name}: extractor.size is {settings.size}, but it takes {taken.size} pixels; leave it out")
    settings = settings.over(ExtractorSettings(size=taken.size))
    if taken.channels == 1:
        settings = settings.over(ExtractorSettings(channel_order="grey"))
    if (settings.channel_order == "grey") != (taken.channels == 1):
        raise ConfigError(
            f"{name}: extractor.channel_order is {settings.channel_order or 'rgb'}, but it takes {taken.channels} "
            "channels"
        )
    if taken.kind != np.uint8:
        return settings
    if settings.mean or settings.std:
        raise ConfigError(f"{name}: takes whole numbers from 0 to 255; leave extractor.mean and extractor.std out")
    return replace(settings, mean=(0.0,) * taken.channels, std=(1.0,) * taken.channels)


def _output(graph: onnx.GraphProto, wanted: str | None, name: str) -> str:
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


def _session(
    path: Path,
    model: onnx.ModelProto,
    output: str,
    taken: _Input,
    size: int,
    device: torch.device,
    threads: int | None,
    name: str,
) -> tuple[onnxruntime.InferenceSession, tuple[str, ...]]:
    """A session on a provider that works, and a note when that is not the wanted one."""
    source: str | bytes = str(path)
    if [each.name for each in model.graph.output] != [output]:
        with read_errors(path, "cannot be read with its numbers", "copy all its files again", (Exception,)):
            whole = onnx.load(str(path))
            # Alone, so that onnxruntime drops what comes after it.
            del whole.graph.output[:]
            whole.graph.output.append(onnx.ValueInfoProto(name=output))
            source = whole.SerializeToString()
    notes: tuple[str, ...] = ()
    if device.type == "cuda":
        session, reason = _on_cuda(source, taken, size, threads)
        if session is not None:
            return session, ()
        notes = (f"{name}: computed on the processor, as onnxruntime cannot use the GPU ({reason}); see `abaw doctor`",)
    with read_errors(path, "does not run", _REMEDY, (Exception,)):
        return _start(source, [_CPU], threads), notes


def _on_cuda(
    source: str | bytes, taken: _Input, size: int, threads: int | None
) -> tuple[onnxruntime.InferenceSession | None, str]:
    """A session that has computed on the GPU, or the reason why there is none."""
    if _CUDA not in onnxruntime.get_available_providers():
        return None, "this onnxruntime is without CUDA"
    try:
        session = _start(source, [_CUDA, _CPU], threads)
        if session.get_providers()[0] != _CUDA:
            return None, "its CUDA libraries do not load"
        shape = (taken.batch or 1, taken.channels, size, size)
        session.run(None, {taken.name: np.zeros(_as_taken(shape, taken), taken.kind)})
    except Exception as error:  # why a provider does not work can be anything; the processor is tried next
        return None, one_line(error)
    return session, ""


def _as_taken(shape: tuple[int, int, int, int], taken: _Input) -> tuple[int, ...]:
    return (shape[0], shape[2], shape[3], shape[1]) if taken.channels_last else shape


def _start(source: str | bytes, providers: list[str], threads: int | None) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(source, session_options(threads), providers=providers)


class _Network:
    """Pictures (B, channels, S, S) -> features (B, D), in batches of the size that the graph takes."""

    def __init__(
        self, session: onnxruntime.InferenceSession, taken: _Input, output: str, pooling: Pooling, name: str
    ) -> None:
        self._session = session
        self._taken = taken
        self._output = output
        self._pooling = pooling
        self._name = name

    def __call__(self, pictures: Tensor) -> Tensor:
        if self._taken.channels_last:
            pictures = pictures.permute(0, 2, 3, 1)
        batch: NDArray[Any] = np.ascontiguousarray(pictures.numpy(), dtype=self._taken.kind)
        step = self._taken.batch
        if step is None:
            values = self._run(batch)
        else:
            parts = [self._run(_filled(batch[start : start + step], step)) for start in range(0, len(batch), step)]
            values = np.concatenate(parts)[: len(batch)]
        return self._features(torch.from_numpy(values))

    def _run(self, batch: NDArray[Any]) -> NDArray[Any]:
        try:
            found: NDArray[Any] = self._session.run([self._output], {self._taken.name: batch})[0]
        except Exception as error:  # onnxruntime's errors share no class
            raise RuntimeError(one_line(error)) from error
        return found

    def _features(self, values: Tensor) -> Tensor:
        if values.ndim > 2 and values[0].numel() == values.shape[1]:
            values = values.flatten(1)  # maps of one place: (B, D, 1, 1)
        if self._pooling == "pooled":
            return values
        return cls_token(values, self._name) if self._pooling == "cls" else mean_of_places(values, self._name)


def _filled(batch: NDArray[Any], size: int) -> NDArray[Any]:
    """The batch with zeros up to the size that the graph takes."""
    if len(batch) == size:
        return batch
    return np.concatenate([batch, np.zeros((size - len(batch), *batch.shape[1:]), batch.dtype)])


def _hash(path: Path, model: onnx.ModelProto) -> str:
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
