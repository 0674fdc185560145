"""What this machine has and lacks for the project: one check per line, with the remedy when something is broken."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from abaw.core.folders import is_system_file
from abaw.core.machine import usable_cores
from abaw.doctor import probes
from abaw.doctor.probes import CLIP_FRAMES, Outcome, Pending
from abaw.doctor.wheels import (
    Standing,
    find_distributions,
    find_nvidia_gpus,
    inspect,
    onnxruntime_family,
    opencv_family,
)

INSTALL = "in the project's folder: pip install -e '.[dev]' && abaw doctor --fix"
SETTLE = "abaw doctor --fix"
_TORCH_REMEDY = "pip install --force-reinstall torch torchvision && abaw doctor --fix"
_PROBE_TIMEOUT_S = 180.0
_FREE_WORK_GIB = 1.0
_FREE_TEMP_GIB = 0.25


class State(Enum):
    """ok: works; note: worth knowing, nothing is broken; broken: does not work, and the remedy is known."""

    OK = "ok"
    NOTE = "note"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report. remedy: a command or an action; empty unless the state is broken."""

    group: str
    name: str
    state: State
    detail: str
    remedy: str = ""


def examine(folder: Path, temp: Path, pack_folder: Path, builtin: Path) -> list[Check]:
    """Run every check of this machine, which takes about as long as importing torch.

    folder: the working folder; temp: the folder for temporary files; pack_folder: where insightface keeps its packs;
    builtin: the weights of the built-in detector.
    """
    torch = Pending(probes.probe_torch)
    opencv = Pending(probes.probe_opencv)
    providers = Pending(probes.probe_providers)
    decoders = {"pyav": Pending(probes.probe_pyav), "decord": Pending(probes.probe_decord)}
    found = find_distributions()
    installed = {name: distribution.version for name, distribution in found.items()}
    requirements = found["abaw"].requires or () if "abaw" in found else ()
    if "torchcodec" in installed:
        decoders["torchcodec"] = Pending(probes.probe_torchcodec)

    torch_found = torch.outcome(_PROBE_TIMEOUT_S)
    gpus = find_nvidia_gpus() or (torch_found.facts.gpus if torch_found.facts else ())
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1")
    decoded = {name: pending.outcome(_PROBE_TIMEOUT_S) for name, pending in decoders.items()}
    return [
        *check_packages(["abaw", *requirements], installed),
        *check_devices(gpus, torch_found, hidden),
        *check_onnxruntime(inspect(onnxruntime_family(gpus)), providers.outcome(_PROBE_TIMEOUT_S), hidden),
        check_opencv(inspect(opencv_family()), opencv.outcome(_PROBE_TIMEOUT_S)),
        *check_decoders(decoded),
        *check_detectors(pack_folder, folder, builtin),
        check_disk("working folder", folder, _FREE_WORK_GIB),
        check_disk("temporary files", temp, _FREE_TEMP_GIB),
    ]


def check_packages(requirements: Sequence[str], installed: Mapping[str, str]) -> list[Check]:
    """Python and the project's required packages (without its extras), compared with `installed` (name -> version)."""
    checks = [Check("packages", "python", State.OK, f"{platform.python_version()} on {platform.platform()}")]
    for requirement in map(Requirement, requirements):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        version = installed.get(canonicalize_name(requirement.name))
        if version is None:
            detail = f"not installed, needed: {requirement.name}{requirement.specifier}"
            checks.append(Check("packages", requirement.name, State.BROKEN, detail, INSTALL))
        elif not requirement.specifier.contains(version, prereleases=True):
            detail = f"{version}, needed: {requirement.specifier}"
            checks.append(Check("packages", requirement.name, State.BROKEN, detail, INSTALL))
        else:
            checks.append(Check("packages", requirement.name, State.OK, version))
    return checks


def check_devices(gpus: Sequence[str], torch: Outcome[probes.TorchFacts], hidden: bool) -> list[Check]:
    """Processor and GPUs, and whether torch uses them. hidden: CUDA_VISIBLE_DEVICES hides the GPUs."""
    cores = usable_cores()
    checks = [Check("devices", "cpu", State.OK, f"{cores} of {os.cpu_count()} cores usable")]
    if torch.facts is None:
        detail = f"torch and torchvision do not load together: {torch.fault}"
        return [*checks, Check("devices", "torch", State.BROKEN, detail, _TORCH_REMEDY)]
    facts = torch.facts
    build = f"CUDA {facts.cuda}" if facts.cuda else "CPU only"
    checks.append(Check("devices", "torch", State.OK, f"{facts.torch} ({build}) with torchvision {facts.torchvision}"))
    if facts.gpus:
        checks += [Check("devices", f"cuda:{index}", State.OK, gpu) for index, gpu in enumerate(facts.gpus)]
    elif not gpus:
        checks.append(Check("devices", "cuda", State.NOTE, "no NVIDIA GPU found; everything runs on the CPU"))
    elif hidden:
        checks.append(Check("devices", "cuda", State.NOTE, f"{gpus[0]} is hidden by CUDA_VISIBLE_DEVICES"))
    else:
        remedy = (
            f"install an NVIDIA driver for CUDA {facts.cuda}, or torch and torchvision built for the driver's CUDA"
            if facts.cuda
            else "install torch and torchvision built for the driver's CUDA version"
        )
        detail = f"{gpus[0]} found, but torch ({build}) does not use it"
        checks.append(Check("devices", "cuda", State.BROKEN, detail, remedy))
    return checks


def check_onnxruntime(
    standing: Standing, providers: Outcome[tuple[probes.ProviderRun, ...]], hidden: bool
) -> list[Check]:
    """Whether exactly the right onnxruntime is installed, and which of its providers run a network."""
    checks = [_check_onnxruntime_wheel(standing)]
    if providers.facts is None:
        detail = f"onnxruntime does not run: {providers.fault}"
        return [*checks, Check("onnxruntime", "providers", State.BROKEN, detail, SETTLE)]
    gpu_wanted = standing.family.wanted == "onnxruntime-gpu" and not hidden
    for run in providers.facts:
        if run.runs:
            checks.append(Check("onnxruntime", run.name, State.OK, "runs (a session used it)"))
            continue
        detail = f"does not run (the session used {run.used or 'none'}): {run.fault}"
        if run.name == "CPUExecutionProvider":
            checks.append(Check("onnxruntime", run.name, State.BROKEN, detail, SETTLE))
        elif run.name == "CUDAExecutionProvider" and gpu_wanted:
            remedy = f"{SETTLE}; if that does not help, install an NVIDIA driver for the CUDA of this onnxruntime"
            checks.append(Check("onnxruntime", run.name, State.BROKEN, detail, remedy))
        else:
            checks.append(Check("onnxruntime", run.name, State.NOTE, detail))
    return checks


def _check_onnxruntime_wheel(standing: Standing) -> Check:
    name, wanted = "installed", standing.family.wanted
    if len(standing.installed) > 1:
        detail = f"{standing.summary()} overwrite each other's files"
        return Check("onnxruntime", name, State.BROKEN, detail, SETTLE)
    if wanted not in standing.installed:
        detail = f"{standing.summary()}; {wanted} is the right one ({standing.family.reason})"
        works = bool(standing.installed) and wanted == "onnxruntime"
        return Check("onnxruntime", name, State.NOTE if works else State.BROKEN, detail, "" if works else SETTLE)
    if standing.damaged:
        detail = f"{standing.summary()}: {len(standing.damaged)} files missing or changed, e.g. {standing.damaged[0]}"
        return Check("onnxruntime", name, State.BROKEN, detail, SETTLE)
    if standing.missing:
        detail = f"{standing.summary()}: CUDA libraries missing: {', '.join(standing.missing)}"
        return Check("onnxruntime", name, State.BROKEN, detail, SETTLE)
    return Check("onnxruntime", name, State.OK, f"only {standing.summary()} ({standing.family.reason})")


def check_opencv(standing: Standing, opencv: Outcome[probes.OpenCVFacts]) -> Check:
    """Which variant of OpenCV is installed, and whether it works."""
    if standing.surplus:
        detail = f"{standing.summary()}: keep only the headless one ({standing.family.reason})"
        return Check("opencv", "cv2", State.BROKEN, detail, SETTLE)
    if standing.damaged or opencv.facts is None:
        fault = opencv.fault or f"{len(standing.damaged)} files missing or changed, e.g. {standing.damaged[0]}"
        return Check("opencv", "cv2", State.BROKEN, f"{standing.summary()}: {fault}", SETTLE)
    return Check("opencv", "cv2", State.OK, f"only {standing.summary()} (windows: {opencv.facts.gui})")


def check_decoders(decoded: Mapping[str, Outcome[int]]) -> list[Check]:
    """Video readers, by the number of frames each decoded from a clip of `CLIP_FRAMES` frames."""
    checks = []
    for name, outcome in decoded.items():
        if outcome.facts == CLIP_FRAMES:
            checks.append(Check("decoders", name, State.OK, f"decoded {CLIP_FRAMES} of {CLIP_FRAMES} frames of H.264"))
            continue
        fault = outcome.fault or f"decoded {outcome.facts} of {CLIP_FRAMES} frames of H.264"
        if name == "torchcodec":
            checks.append(Check("decoders", name, State.NOTE, f"does not work here (optional): {fault}"))
        else:
            package = {"pyav": "av"}.get(name, name)
            remedy = f"pip install --force-reinstall --no-deps {package}"
            checks.append(Check("decoders", name, State.BROKEN, fault, remedy))
    if "torchcodec" not in decoded:
        checks.append(Check("decoders", "torchcodec", State.NOTE, "not installed (optional)"))
    return checks


def check_detectors(pack_folder: Path, folder: Path, builtin: Path) -> list[Check]:
    """Face detectors with weights on this machine: insightface packs, .onnx files in and directly below `folder`, and
    the built-in one."""
    checks = []
    packs = sorted({weights.parent for weights in _weights_in(pack_folder, "*/*.onnx")})
    for pack in packs:
        files = ", ".join(weights.name for weights in _weights_in(pack, "*.onnx"))
        checks.append(Check("detectors", f"insightface:{pack.name}", State.OK, files))
    if not packs:
        detail = f"no pack in {pack_folder}; insightface downloads one on first use (non-commercial research only)"
        checks.append(Check("detectors", "insightface", State.NOTE, detail))
    for weights in _weights_in(folder, "*.onnx", "*/*.onnx"):
        size = f"{weights.stat().st_size / 2**20:.1f} MiB"
        checks.append(Check("detectors", str(weights.relative_to(folder)), State.OK, size))
    if builtin.is_file():
        detail = f"{builtin.stat().st_size / 2**20:.1f} MiB, ships with the package"
        checks.append(Check("detectors", "builtin", State.OK, detail))
    else:
        remedy = "pip install --force-reinstall --no-deps abaw"
        checks.append(Check("detectors", "builtin", State.BROKEN, f"{builtin}: no such file", remedy))
    return checks


def _weights_in(folder: Path, *patterns: str) -> list[Path]:
    found = {weights for pattern in patterns for weights in folder.glob(pattern)}
    return sorted(weights for weights in found if not is_system_file(weights.name))


def check_disk(name: str, folder: Path, needed_gib: float) -> Check:
    """Free space on the disk of `folder`, and whether the user can write there."""
    try:
        free_gib = shutil.disk_usage(folder).free / 2**30
    except OSError as error:
        return Check("disk", name, State.BROKEN, f"{folder}: {error.strerror}", "choose another folder")
    detail = f"{free_gib:.1f} GiB free in {folder}"
    if not os.access(folder, os.W_OK):
        return Check("disk", name, State.NOTE, f"{detail}, but you cannot write there")
    if free_gib < needed_gib:
        return Check("disk", name, State.BROKEN, detail, f"free at least {needed_gib:g} GiB, or use another folder")
    return Check("disk", name, State.OK, detail)
