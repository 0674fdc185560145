from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from abaw.doctor.environment import (
    SETTLE,
    Check,
    State,
    check_decoders,
    check_detectors,
    check_devices,
    check_disk,
    check_onnxruntime,
    check_opencv,
    check_packages,
    examine,
)
from abaw.doctor.probes import CLIP_FRAMES, OpenCVFacts, Outcome, ProviderRun, TorchFacts
from abaw.doctor.wheels import Standing, onnxruntime_family, opencv_family
from abaw.weights import DETECTOR

OK, NOTE, BROKEN = State.OK, State.NOTE, State.BROKEN
GPU = ("NVIDIA X, 8192 MiB, 570.1",)
CPU_RUNS = ProviderRun("CPUExecutionProvider", "CPUExecutionProvider")
CUDA_RUNS = ProviderRun("CUDAExecutionProvider", "CUDAExecutionProvider")
CUDA_FALLS = ProviderRun("CUDAExecutionProvider", "CPUExecutionProvider", "OSError: libcudnn.so.9: no such file")


def _states(checks: Sequence[Check]) -> dict[str, State]:
    return {check.name: check.state for check in checks}


def _remedies_only_where_broken(checks: Sequence[Check]) -> bool:
    return all(bool(check.remedy) is (check.state is BROKEN) for check in checks)


@pytest.mark.parametrize(
    ("requirement", "installed", "state", "detail"),
    [
        pytest.param("torch>=2.3", {"torch": "2.15.0+cpu"}, OK, "2.15.0+cpu", id="met"),
        pytest.param("torch>=2.3", {"torch": "2.2"}, BROKEN, "2.2, needed: >=2.3", id="too old"),
        pytest.param("torch>=2.3", {}, BROKEN, "not installed, needed: torch>=2.3", id="absent"),
        pytest.param("torch>=2.3", {"torch": "2.4.0rc1"}, OK, "2.4.0rc1", id="pre-release"),
        pytest.param("Lightning_Fabric", {"lightning-fabric": "2.4"}, OK, "2.4", id="spelled differently"),
    ],
)
def test_packages(requirement: str, installed: dict[str, str], state: State, detail: str) -> None:
    checks = check_packages([requirement], installed)
    assert (checks[-1].state, checks[-1].detail) == (state, detail)
    assert _remedies_only_where_broken(checks)


@pytest.mark.parametrize("requirement", ["ruff; extra == 'dev'", "winfast; sys_platform == 'win32'"])
def test_packages_of_extras_and_other_systems_are_not_required(requirement: str) -> None:
    assert _states(check_packages([requirement], {})) == {"python": OK}


def _torch(cuda: str = "13.2", gpus: tuple[str, ...] = ()) -> Outcome[TorchFacts]:
    return Outcome(TorchFacts("2.15.0", "0.29.2", cuda, gpus))


@pytest.mark.parametrize(
    ("gpus", "torch", "hidden", "states", "remedy"),
    [
        pytest.param((), _torch(), False, {"torch": OK, "cuda": NOTE}, "", id="no GPU"),
        pytest.param(GPU, _torch(gpus=("X, 8 GiB",)), False, {"torch": OK, "cuda:0": OK}, "", id="GPU used"),
        pytest.param(GPU, _torch(), True, {"torch": OK, "cuda": NOTE}, "", id="GPU hidden on purpose"),
        pytest.param(GPU, _torch(), False, {"torch": OK, "cuda": BROKEN}, "driver for CUDA 13.2", id="old driver"),
        pytest.param(GPU, _torch(""), False, {"torch": OK, "cuda": BROKEN}, "install torch", id="torch for CPU only"),
        pytest.param(
            (),
            Outcome(None, "RuntimeError: operator torchvision::nms does not exist"),
            False,
            {"torch": BROKEN},
            "--force-reinstall torch torchvision",
            id="torch and torchvision mixed",
        ),
    ],
)
def test_devices(
    gpus: tuple[str, ...], torch: Outcome[TorchFacts], hidden: bool, states: dict[str, State], remedy: str
) -> None:
    checks = check_devices(gpus, torch, hidden)
    assert _states(checks) == {"cpu": OK} | states
    assert remedy in checks[-1].remedy
    assert _remedies_only_where_broken(checks)


def _onnxruntime(
    gpus: tuple[str, ...],
    *installed: str,
    damaged: tuple[str, ...] = (),
    missing: tuple[str, ...] = (),
) -> Standing:
    return Standing(onnxruntime_family(gpus), dict.fromkeys(installed, "1.0"), damaged, missing)


CPU_WHEEL, GPU_WHEEL = "onnxruntime", "onnxruntime-gpu"


@pytest.mark.parametrize(
    ("standing", "runs", "hidden", "states", "detail"),
    [
        pytest.param(_onnxruntime((), CPU_WHEEL), [CPU_RUNS], False, [OK, OK], "only onnxruntime 1.0", id="CPU"),
        pytest.param(_onnxruntime(GPU, GPU_WHEEL), [CUDA_RUNS, CPU_RUNS], False, [OK, OK, OK], "only", id="GPU"),
        pytest.param(
            _onnxruntime(GPU, CPU_WHEEL, GPU_WHEEL),
            [CPU_RUNS],
            False,
            [BROKEN, OK],
            "onnxruntime 1.0 and onnxruntime-gpu 1.0 overwrite each other",
            id="two at once",
        ),
        pytest.param(
            _onnxruntime(GPU, CPU_WHEEL), [CPU_RUNS], False, [BROKEN, OK], "-gpu is the right one", id="GPU unused"
        ),
        pytest.param(
            _onnxruntime((), GPU_WHEEL),
            [CUDA_FALLS, CPU_RUNS],
            False,
            [NOTE, NOTE, OK],
            "onnxruntime is the right one",
            id="GPU wheel without a GPU still works",
        ),
        pytest.param(_onnxruntime(()), [], False, [BROKEN], "none; onnxruntime is the right one", id="none"),
        pytest.param(
            _onnxruntime((), CPU_WHEEL, damaged=("onnxruntime/a.so",)),
            [CPU_RUNS],
            False,
            [BROKEN, OK],
            "1 files missing or changed, e.g. onnxruntime/a.so",
            id="damaged",
        ),
        pytest.param(
            _onnxruntime(GPU, GPU_WHEEL, missing=("nvidia-curand~=10.0",)),
            [CUDA_FALLS, CPU_RUNS],
            False,
            [BROKEN, BROKEN, OK],
            "CUDA libraries missing: nvidia-curand~=10.0",
            id="CUDA libraries missing",
        ),
        pytest.param(
            _onnxruntime(GPU, GPU_WHEEL), [CUDA_FALLS, CPU_RUNS], True, [OK, NOTE, OK], "only", id="GPU hidden"
        ),
    ],
)
def test_onnxruntime(
    standing: Standing, runs: list[ProviderRun], hidden: bool, states: list[State], detail: str
) -> None:
    checks = check_onnxruntime(standing, Outcome(tuple(runs)), hidden)
    assert [check.state for check in checks] == states
    assert detail in checks[0].detail
    assert _remedies_only_where_broken(checks)


def test_a_provider_that_does_not_run_is_reported_with_the_reason() -> None:
    checks = check_onnxruntime(_onnxruntime(GPU, GPU_WHEEL), Outcome((CUDA_FALLS,)), hidden=False)
    assert checks[1].state is BROKEN
    assert "the session used CPUExecutionProvider" in checks[1].detail
    assert "libcudnn.so.9" in checks[1].detail


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(None, "ImportError: half removed"),
        Outcome((ProviderRun("CPUExecutionProvider", "", "Fail: unreadable model"),)),
    ],
    ids=["does not load", "does not compute"],
)
def test_an_onnxruntime_that_does_not_run_is_broken(outcome: Outcome[tuple[ProviderRun, ...]]) -> None:
    check = check_onnxruntime(_onnxruntime((), CPU_WHEEL), outcome, hidden=False)[1]
    assert (check.state, check.remedy) == (BROKEN, SETTLE)


HEADLESS = {"opencv-python-headless": "5.0"}


@pytest.mark.parametrize(
    ("installed", "damaged", "outcome", "state", "detail"),
    [
        pytest.param(
            HEADLESS, (), Outcome(OpenCVFacts("5.0", "NONE")), OK, "only opencv-python-headless 5.0", id="headless"
        ),
        pytest.param(
            HEADLESS | {"opencv-python": "5.0"},
            (),
            Outcome(OpenCVFacts("5.0", "QT5")),
            BROKEN,
            "opencv-python-headless 5.0 and opencv-python 5.0",
            id="both",
        ),
        pytest.param(
            HEADLESS, (), Outcome(None, "ImportError: libGL.so.1"), BROKEN, "ImportError: libGL.so.1", id="no libGL"
        ),
        pytest.param(
            HEADLESS,
            ("cv2/cv2.so",),
            Outcome(OpenCVFacts("5.0", "QT5")),
            BROKEN,
            "1 files missing or changed, e.g. cv2/cv2.so",
            id="overwritten",
        ),
        pytest.param({}, (), Outcome(None, "ModuleNotFoundError: cv2"), BROKEN, "none: ModuleNotFound", id="none"),
    ],
)
def test_opencv(
    installed: dict[str, str], damaged: tuple[str, ...], outcome: Outcome[OpenCVFacts], state: State, detail: str
) -> None:
    check = check_opencv(Standing(opencv_family(), installed, damaged, ()), outcome)
    assert check.state is state
    assert detail in check.detail
    assert check.remedy == (SETTLE if state is BROKEN else "")


def test_decoders() -> None:
    found = {"pyav": Outcome(CLIP_FRAMES - 1), "decord": Outcome(None, "no answer within 180 s")}
    pyav, decord, torchcodec = check_decoders(found)
    assert (pyav.state, pyav.detail) == (BROKEN, f"decoded {CLIP_FRAMES - 1} of {CLIP_FRAMES} frames of H.264")
    assert pyav.remedy.endswith(" av")
    assert (decord.state, decord.detail) == (BROKEN, "no answer within 180 s")
    assert decord.remedy.endswith(" decord")
    assert (torchcodec.state, torchcodec.detail) == (NOTE, "not installed (optional)")


def test_a_broken_torchcodec_is_only_a_note() -> None:
    (check,) = check_decoders({"torchcodec": Outcome(None, "OSError: libavutil")})
    assert (check.state, check.remedy) == (NOTE, "")
    assert "libavutil" in check.detail


def test_detectors_found(tmp_path: Path) -> None:
    packs, here = tmp_path / "packs", tmp_path / "here"
    for weights in (
        packs / "buffalo_l" / "det_10g.onnx",
        packs / "buffalo_l" / "w600k.onnx",
        here / "a.onnx",
        here / "models" / "yunet.onnx",
        here / "too" / "deep" / "b.onnx",
    ):
        weights.parent.mkdir(parents=True, exist_ok=True)
        weights.write_bytes(bytes(2**20))
    (packs / "empty").mkdir()
    ships = tmp_path / "detector.onnx"
    ships.write_bytes(bytes(2**19))
    checks = check_detectors(packs, here, ships)
    assert [check.name for check in checks] == ["insightface:buffalo_l", "a.onnx", "models/yunet.onnx", "builtin"]
    assert checks[0].detail == "det_10g.onnx, w600k.onnx"
    assert checks[1].detail == "1.0 MiB"
    assert {check.state for check in checks} == {OK}


def test_detectors_absent(tmp_path: Path) -> None:
    pack, builtin = check_detectors(tmp_path / "nowhere", tmp_path, tmp_path / "gone" / "detector.onnx")
    assert pack.state is NOTE
    assert "non-commercial" in pack.detail
    assert builtin.state is BROKEN
    assert "detector.onnx" in builtin.detail
    assert "abaw" in builtin.remedy


@pytest.mark.parametrize(("needed_gib", "state"), [(0.0, OK), (1e9, BROKEN)], ids=["enough", "too little"])
def test_disk(tmp_path: Path, needed_gib: float, state: State) -> None:
    check = check_disk("work", tmp_path, needed_gib)
    assert check.state is state
    assert re.search(r"\d+\.\d GiB free", check.detail)
    assert bool(check.remedy) is (state is BROKEN)


def test_missing_disk_folder(tmp_path: Path) -> None:
    assert check_disk("work", tmp_path / "gone", 1.0).state is BROKEN


@pytest.mark.slow
def test_this_environment(tmp_path: Path) -> None:
    """The environment that run.sh sets up works on any machine; GPUs and free space depend on the machine."""
    checks = examine(tmp_path, tmp_path, tmp_path, DETECTOR)
    assert _remedies_only_where_broken(checks)
    by_group: dict[str, list[Check]] = {}
    for check in checks:
        by_group.setdefault(check.group, []).append(check)
    assert list(by_group) == ["packages", "devices", "onnxruntime", "opencv", "decoders", "detectors", "disk"]
    for group in ("packages", "opencv", "decoders", "detectors"):
        assert [check for check in by_group[group] if check.state is BROKEN] == []
    assert {"abaw", "torch", "insightface"} <= {check.name for check in by_group["packages"]}
    assert _states(by_group["onnxruntime"])["CPUExecutionProvider"] is OK
