from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abaw.doctor import probes
from abaw.doctor.probes import Pending


def _module(folder: Path, name: str, text: str) -> None:
    package = folder / name
    package.mkdir()
    (package / "__init__.py").write_text(text)


def test_an_answer_comes_back_from_another_process() -> None:
    outcome = Pending(os.getpid).outcome(60)
    assert outcome.fault == ""
    assert outcome.facts not in (None, os.getpid())


@pytest.mark.parametrize(
    ("probe", "fault"),
    [
        pytest.param(partial(int, "x"), "ValueError: invalid literal for int()", id="raises"),
        pytest.param(os.abort, "exit status -6", id="crashes"),
        pytest.param(partial(os._exit, 3), "exit status 3", id="leaves"),
    ],
)
def test_a_failing_probe_is_a_finding(probe: Callable[[], object], fault: str) -> None:
    outcome = Pending(probe).outcome(60)
    assert outcome.facts is None
    assert fault in outcome.fault


def test_a_hanging_probe_is_ended() -> None:
    pending = Pending(partial(time.sleep, 600))
    started = time.monotonic()
    assert pending.outcome(0.5).fault == "no answer within 0 s"
    assert time.monotonic() - started < 30
    assert not pending._process.is_alive()


def test_output_of_a_probe_reaches_neither_stream(capfd: pytest.CaptureFixture[str]) -> None:
    assert Pending(partial(os.system, "echo noise; echo noise >&2")).outcome(60).facts == 0
    assert capfd.readouterr() == ("", "")


@given(st.text(), st.integers(min_value=20, max_value=80))
def test_one_line_is_one_line(message: str, limit: int) -> None:
    line = probes.one_line(ValueError(message), limit)
    assert len(line) <= limit
    assert len(line.splitlines()) == 1
    assert line.startswith("ValueError:")


@pytest.mark.slow
def test_the_installed_packages_work() -> None:
    torch = Pending(probes.probe_torch)
    opencv = Pending(probes.probe_opencv)
    providers = Pending(probes.probe_providers)
    decoders = [Pending(probes.probe_pyav), Pending(probes.probe_decord)]

    loaded = torch.outcome(180)
    assert loaded.facts is not None, loaded.fault
    seen = opencv.outcome(180)
    assert seen.facts is not None, seen.fault
    assert seen.facts.gui == "NONE"
    runs = providers.outcome(180)
    assert runs.facts is not None, runs.fault
    assert {run.name: run.runs for run in runs.facts}["CPUExecutionProvider"]
    assert [decoder.outcome(180).facts for decoder in decoders] == [probes.CLIP_FRAMES] * 2


@pytest.mark.parametrize(
    ("module", "text", "probe", "fault"),
    [
        pytest.param(
            "torchvision",
            "raise RuntimeError('operator torchvision::nms does not exist')",
            probes.probe_torch,
            "RuntimeError: operator torchvision::nms does not exist",
            id="torchvision of another torch",
        ),
        pytest.param(
            "cv2",
            "raise ImportError('libGL.so.1: cannot open shared object file')",
            probes.probe_opencv,
            "ImportError: libGL.so.1: cannot open",
            id="OpenCV without libGL",
        ),
        pytest.param(
            "decord",
            "class VideoReader(list):\n    def __init__(self, path): raise OSError('cannot find video stream')",
            probes.probe_decord,
            "OSError: cannot find video stream",
            id="decord that cannot read H.264",
        ),
        pytest.param("av", "", probes.probe_pyav, "AttributeError", id="PyAV without its library"),
        pytest.param("onnxruntime", "", probes.probe_providers, "AttributeError", id="emptied onnxruntime"),
    ],
)
def test_broken_packages(
    module: str,
    text: str,
    probe: Callable[[], object],
    fault: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _module(tmp_path, module, text)
    monkeypatch.syspath_prepend(tmp_path)
    outcome = Pending(probe).outcome(180)
    assert outcome.facts is None
    assert outcome.fault.startswith(fault)


_FALLS_BACK = """
class InferenceSession:
    def __init__(self, model, providers): pass
    def run(self, names, feed):
        import numpy
        return [numpy.full((1, 1, 6, 6), 9.0, numpy.float32)]
    def get_providers(self): return ["CPUExecutionProvider"]
def set_default_logger_severity(level): pass
def get_available_providers(): return ["CUDAExecutionProvider", "CPUExecutionProvider"]
"""


def test_a_provider_that_falls_back_does_not_count_as_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _module(tmp_path, "onnxruntime", _FALLS_BACK)
    monkeypatch.syspath_prepend(tmp_path)
    runs = Pending(probes.probe_providers).outcome(180).facts
    assert runs is not None
    cuda, cpu = runs
    assert (cuda.runs, cuda.used) == (False, "CPUExecutionProvider")
    assert "libonnxruntime_providers_shared.so" in cuda.fault
    assert (cpu.runs, cpu.fault) == (True, "")


def test_torchcodec_is_counted_frame_by_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _module(tmp_path, "torchcodec", "")
    decoders = "class VideoDecoder(list):\n    def __init__(self, path): super().__init__(range(5))"
    (tmp_path / "torchcodec" / "decoders.py").write_text(decoders)
    monkeypatch.syspath_prepend(tmp_path)
    assert Pending(probes.probe_torchcodec).outcome(180).facts == 5
