"""Trials of the installed packages: each does a little real work, in its own process.

A package that is missing, mismatched, crashes or hangs is a finding here and never an error of the caller. Therefore
every probe imports the package that it tries inside its own function.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Generic, TypeVar

Facts = TypeVar("Facts")

PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
CLIP_FRAMES = 8
_CLIP_SIDE = 64


@dataclass(frozen=True)
class Outcome(Generic[Facts]):
    """What a probe found. facts: None when it failed; fault: the reason in one line, then."""

    facts: Facts | None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class TorchFacts:
    """Versions of torch and torchvision. cuda: the CUDA version that torch was built for, empty for a CPU build."""

    torch: str
    torchvision: str
    cuda: str
    gpus: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProviderRun:
    """One onnxruntime provider. used: the provider that the session ran on when `name` was requested; fault: why it
    was not `name`."""

    name: str
    used: str
    fault: str = ""

    @property
    def runs(self) -> bool:
        return self.used == self.name


@dataclass(frozen=True, slots=True)
class OpenCVFacts:
    """gui: the window system of this build, NONE for the headless one."""

    version: str
    gui: str


class Pending(Generic[Facts]):
    """A probe that has been running in a new process since this object was created."""

    def __init__(self, probe: Callable[[], Facts]) -> None:
        context = multiprocessing.get_context("spawn")
        self._receiver, sender = context.Pipe(duplex=False)
        self._process = context.Process(target=_answer, args=(probe, sender), daemon=True)
        self._process.start()
        sender.close()

    def outcome(self, timeout_s: float) -> Outcome[Facts]:
        """Wait at most `timeout_s` seconds for the answer; a process that does not answer is killed."""
        try:
            if not self._receiver.poll(timeout_s):
                return Outcome(None, f"no answer within {timeout_s:.0f} s")
            outcome: Outcome[Facts] = self._receiver.recv()
            return outcome
        except EOFError:
            self._process.join(timeout_s)
            return Outcome(None, f"the process ended without an answer (exit status {self._process.exitcode})")
        finally:
            self._receiver.close()
            self._process.kill()
            self._process.join()


def _answer(probe: Callable[[], Facts], sender: Connection) -> None:
    """Body of a probe's process. Native libraries write to both standard streams, so both go to the null device."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    try:
        outcome = Outcome(probe())
    except Exception as error:  # whatever a broken package raises is the finding
        outcome = Outcome(None, one_line(error))
    sender.send(outcome)


def one_line(error: Exception, limit: int = 300) -> str:
    """The error's type and message without line breaks, at most `limit` characters."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def probe_torch() -> TorchFacts:
    """Import torch and torchvision, run one operator of torchvision and a matrix product on every CUDA device."""
    # Loaded on use: this probe tries it.
    import torch
    import torchvision

    corners = torch.tensor([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 4.0]])
    kept = torchvision.ops.nms(corners, torch.tensor([0.9, 0.8]), 0.5)
    if kept.tolist() != [0]:
        raise RuntimeError(f"torchvision.ops.nms kept boxes {kept.tolist()}, expected [0]")
    gpus = []
    for index in range(torch.cuda.device_count()):
        matrix = torch.ones(4, 4, device=f"cuda:{index}")
        if (matrix @ matrix).sum().item() != 64.0:
            raise RuntimeError(f"a matrix product on cuda:{index} returned a wrong result")
        properties = torch.cuda.get_device_properties(index)
        gpus.append(f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB")
    return TorchFacts(torch.__version__, torchvision.__version__, torch.version.cuda or "", tuple(gpus))


def probe_opencv() -> OpenCVFacts:
    """Import cv2, warp a picture, and read the window system of the build."""
    # Loaded on use: this probe tries it.
    import cv2
    import numpy as np

    picture = np.full((8, 8, 3), 7, np.uint8)
    warped = cv2.warpAffine(picture, np.eye(2, 3), (8, 8))
    if int(warped[4, 4, 0]) != 7:
        raise RuntimeError("cv2.warpAffine changed a picture that the identity should keep")
    gui = [line.split(":", 1)[1].strip() for line in cv2.getBuildInformation().splitlines() if "GUI:" in line]
    return OpenCVFacts(cv2.__version__, gui[0] if gui else "unknown")


def probe_providers() -> tuple[ProviderRun, ...]:
    """Run a one-layer ONNX network once on each provider that this project uses and the wheel contains."""
    # Loaded on use: this probe tries it.
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    if hasattr(onnxruntime, "preload_dlls"):  # since 1.21: finds the CUDA libraries that pip has installed
        onnxruntime.preload_dlls()
    model = _convolution()
    available = onnxruntime.get_available_providers()
    return tuple(_run_provider(model, name) for name in PROVIDERS if name in available)


def _run_provider(model: bytes, name: str) -> ProviderRun:
    # Loaded on use: this probe tries it.
    import numpy as np
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(model, providers=[name])
        (answer,) = session.run(None, {"x": np.ones((1, 1, 8, 8), np.float32)})
    except Exception as error:  # why this provider does not run is the finding
        return ProviderRun(name, "", one_line(error))
    if not np.array_equal(answer, np.full((1, 1, 6, 6), 9.0, np.float32)):
        return ProviderRun(name, "", "a convolution returned a wrong result")
    used = session.get_providers()[0]
    return ProviderRun(name, used, "" if used == name else _why_not_loaded(name))


def _why_not_loaded(name: str) -> str:
    """Why onnxruntime silently fell back to another provider: usually its library needs another one that is missing."""
    # Loaded on use: this probe tries it.
    import onnxruntime

    folder = Path(onnxruntime.__file__).parent / "capi"
    kind = name.removesuffix("ExecutionProvider").lower()
    try:
        ctypes.CDLL(str(folder / "libonnxruntime_providers_shared.so"), ctypes.RTLD_GLOBAL)
        ctypes.CDLL(str(folder / f"libonnxruntime_providers_{kind}.so"))
    except OSError as error:
        return one_line(error)
    return "its library loads, so the GPU or its driver refused"


def _convolution() -> bytes:
    """An ONNX network: one 3×3 convolution with ones, x (1, 1, 8, 8) -> y (1, 1, 6, 6).

    A convolution, because face detectors consist of them and the CUDA provider needs cuDNN for them.
    """
    # Loaded on use: this probe tries it.
    from onnx import TensorProto, checker, helper

    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        "probe",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 6, 6])],
        [helper.make_tensor("w", TensorProto.FLOAT, [1, 1, 3, 3], [1.0] * 9)],
    )
    # Old format versions: the onnx package may be newer than the installed onnxruntime can read.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    checker.check_model(model)
    serialized: bytes = model.SerializeToString()
    return serialized


def write_clip(path: Path, num_frames: int = CLIP_FRAMES) -> None:
    """Write an H.264 video of plain grey frames of increasing brightness, with PyAV."""
    # Loaded on use: this probe tries it.
    import av
    import numpy as np

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = _CLIP_SIDE
        stream.pix_fmt = "yuv420p"
        for index in range(num_frames):
            grey = np.full((_CLIP_SIDE, _CLIP_SIDE, 3), 20 + 20 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(stream.encode())


def probe_pyav() -> int:
    """Number of frames that PyAV decodes from a newly written clip of `CLIP_FRAMES` frames."""
    return _decode_clip(_decode_with_pyav)


def probe_decord() -> int:
    """Same as `probe_pyav`, with decord."""
    return _decode_clip(_decode_with_decord)


def probe_torchcodec() -> int:
    """Same as `probe_pyav`, with torchcodec."""
    return _decode_clip(_decode_with_torchcodec)


def _decode_clip(decode: Callable[[Path], int]) -> int:
    with tempfile.TemporaryDirectory(prefix="abaw-doctor-") as folder:
        clip = Path(folder) / "clip.mp4"
        write_clip(clip)
        return decode(clip)


def _decode_with_pyav(path: Path) -> int:
    # Loaded on use: this probe tries it.
    import av

    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def _decode_with_decord(path: Path) -> int:
    # Loaded on use: this probe tries it.
    import decord

    reader: Any = decord.VideoReader(str(path))
    return sum(1 for index in range(len(reader)) if reader[index].shape[2] == 3)


def _decode_with_torchcodec(path: Path) -> int:
    # Loaded on use: this probe tries it.
    from torchcodec.decoders import VideoDecoder

    return sum(1 for _ in VideoDecoder(str(path)))
