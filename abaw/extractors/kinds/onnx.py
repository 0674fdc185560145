"""`onnx:FILE`: any image network in an ONNX file, run by onnxruntime."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor

from abaw.core.device import Device
from abaw.core.errors import ConfigError
from abaw.core.onnx_session import on_the_processor, start_on_cuda, start_session
from abaw.core.reading import read_errors
from abaw.core.text import one_line
from abaw.extractors.extractor import Extractor, measured_dim
from abaw.extractors.onnx_graph import REMEDY, GraphInput, feature_tensor, graph_input, model_hash, read_model
from abaw.extractors.picture import picture_of
from abaw.extractors.settings import NOTHING, ExtractorSettings, Pooling, preset, read_settings, sidecar
from abaw.extractors.torch_network import cls_token, mean_of_places, on_arrays

USES: Final = frozenset(
    ("size", "resize", "mean", "std", "channel_order", "crop", "output", "pooling", "source", "trained_on")
)


def open_extractor(argument: str, settings: ExtractorSettings, device: Device, threads: int | None) -> Extractor:
    """argument: the path of the file; settings next to it, or a preset of its name, complete those given.

    Raises DataError for a file that is no image network or does not run, and ConfigError for settings that are missing
    or do not fit it.
    """
    path, name = Path(argument), f"onnx:{argument}"
    model = read_model(path)
    beside = sidecar(path)
    settings = settings.over(NOTHING if beside is None else read_settings(beside))
    settings = settings.over(preset("onnx", path.stem) or NOTHING)
    taken = graph_input(model.graph, name)
    settings = _completed(settings, taken, name)
    picture = picture_of(settings, name)
    output = feature_tensor(model.graph, settings.output, name)
    session, notes = _session(path, model, output, taken, picture.size, device, threads, name)
    pooling = settings.pooling or "pooled"
    network = _Network(session, taken, output, pooling, name)
    prepare = picture.bytes_of if taken.kind == np.uint8 else picture.prepare
    compute = on_arrays(network, prepare, "cpu")  # onnxruntime moves the pictures to where it computes
    return Extractor(
        name,
        picture.side,
        picture.crop,
        compute,
        measured_dim(compute, picture.side, name),
        model_hash(path, model),
        {**picture.plain(), "output": output, "pooling": pooling},
        trained_on=settings.trained_on,
        origin={"name": name, "source": settings.source},
        notes=notes,
    )


def _completed(settings: ExtractorSettings, taken: GraphInput, name: str) -> ExtractorSettings:
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


def _session(
    path: Path,
    model: onnx.ModelProto,
    output: str,
    taken: GraphInput,
    size: int,
    device: Device,
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
    if device == "cuda":
        shape = (taken.batch or 1, taken.channels, size, size)
        black = np.zeros(_as_taken(shape, taken), taken.kind)
        session, reason = start_on_cuda(source, threads, lambda session: session.run(None, {taken.name: black}))
        if session is not None:
            return session, ()
        notes = (on_the_processor(name, reason),)
    with read_errors(path, "does not run", REMEDY, (Exception,)):
        return start_session(source, threads, spinning=True), notes


def _as_taken(shape: tuple[int, int, int, int], taken: GraphInput) -> tuple[int, ...]:
    return (shape[0], shape[2], shape[3], shape[1]) if taken.channels_last else shape


class _Network:
    """Pictures (B, channels, S, S) -> features (B, D), in batches of the size that the graph takes."""

    def __init__(
        self, session: onnxruntime.InferenceSession, taken: GraphInput, output: str, pooling: Pooling, name: str
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
