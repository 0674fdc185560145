"""Packages with several variants that overwrite each other's files, and how to keep exactly one variant.

onnxruntime and onnxruntime-gpu both install into the folder `onnxruntime`, and all four OpenCV wheels into `cv2`. The
one installed last silently wins, and removing one of them also removes files of the other.
"""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from abaw.core.errors import AbawError

Pip = Callable[[Sequence[str]], None]


@dataclass(frozen=True, slots=True)
class Family:
    """Variants of one package. wanted: the variant to keep; reason: why; extras: the extras it needs here."""

    folder: str
    variants: tuple[str, ...]
    wanted: str
    reason: str
    extras: tuple[str, ...] = ()


def onnxruntime_family(gpus: Sequence[str]) -> Family:
    """The onnxruntime that this machine needs. gpus: names of its NVIDIA GPUs."""
    variants = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-training")
    if gpus:
        # The extras install the CUDA libraries that the wheel links to and torch does not include.
        return Family("onnxruntime", variants, "onnxruntime-gpu", f"NVIDIA GPU: {gpus[0]}", ("cuda", "cudnn"))
    return Family("onnxruntime", variants, "onnxruntime", "no NVIDIA GPU here")


def opencv_family() -> Family:
    """OpenCV without windows; it needs neither libGL nor X libraries."""
    headless = "opencv-python-headless"
    variants = (headless, "opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless")
    return Family("cv2", variants, headless, "needs no libGL and no X libraries")


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of a family in an environment.

    installed: variant -> version; damaged: files of the wanted variant that are missing or have a different size;
    missing: unmet requirements of the extras.
    """

    family: Family
    installed: Mapping[str, str]
    damaged: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def surplus(self) -> tuple[str, ...]:
        """Installed variants to remove."""
        return tuple(name for name in self.installed if name != self.family.wanted)

    @property
    def needs_install(self) -> bool:
        return bool(self.surplus or self.damaged) or self.family.wanted not in self.installed

    @property
    def settled(self) -> bool:
        return not (self.needs_install or self.missing)

    def summary(self) -> str:
        """What is installed, e.g. `onnxruntime 1.20.1 and onnxruntime-gpu 1.20.1`."""
        return " and ".join(f"{name} {version}" for name, version in self.installed.items()) or "none"


def find_distributions(site: Sequence[str] | None = None) -> dict[str, Distribution]:
    """Installed packages by canonical name, read from their metadata. site: folders to search, sys.path by default."""
    importlib.invalidate_caches()
    found: dict[str, Distribution] = {}
    for distribution in distributions(path=list(sys.path if site is None else site)):
        if "Name" in distribution.metadata:  # an interrupted removal leaves folders without a name
            found.setdefault(canonicalize_name(distribution.metadata["Name"]), distribution)
    return found


def inspect(family: Family, site: Sequence[str] | None = None) -> Standing:
    """The state of the family, found without importing it. site: as for `find_distributions`."""
    found = find_distributions(site)
    installed = {name: found[name].version for name in family.variants if name in found}
    wanted = found.get(family.wanted)
    return Standing(
        family,
        installed,
        damaged=_damaged_files(wanted, family.folder) if wanted else (),
        missing=_unmet(wanted, family.extras, found) if wanted else (),
    )


def _damaged_files(distribution: Distribution, folder: str) -> tuple[str, ...]:
    damaged = []
    for file in distribution.files or ():
        if file.parts[0] != folder or file.suffix == ".pyc" or file.size is None:
            continue
        path = Path(str(file.locate()))
        if not path.is_file() or path.stat().st_size != file.size:
            damaged.append(str(file))
    return tuple(damaged)


def _unmet(distribution: Distribution, extras: Sequence[str], found: Mapping[str, Distribution]) -> tuple[str, ...]:
    unmet = set()
    for line in distribution.requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or not any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
            continue
        other = found.get(canonicalize_name(requirement.name))
        if other is None or not requirement.specifier.contains(other.version, prereleases=True):
            unmet.add(f"{requirement.name}{requirement.specifier}")
    return tuple(sorted(unmet))


def settle(standing: Standing, pip: Pip) -> list[str]:
    """Keep exactly the wanted variant, undamaged. Returns one line per action, or one line when nothing is to do.

    The wheel is downloaded before anything is removed, so a machine without network keeps what it has.
    Raises AbawError when pip fails.
    """
    family = standing.family
    if standing.settled:
        return [f"only {standing.summary()} is installed in {family.folder}/, nothing to do ({family.reason})"]
    lines = []
    if standing.needs_install:
        version = standing.installed.get(family.wanted)
        with tempfile.TemporaryDirectory(prefix="abaw-wheel-") as folder:
            wanted = f"{family.wanted}=={version}" if version else family.wanted
            pip(["download", "--no-deps", "--only-binary=:all:", "--dest", folder, wanted])
            (wheel,) = Path(folder).iterdir()
            if standing.surplus:
                pip(["uninstall", "--yes", *standing.surplus])
                names = " and ".join(standing.surplus)
                lines.append(f"removed {names}, which shares the folder {family.folder}/ with {family.wanted}")
            pip(["install", "--no-deps", "--force-reinstall", str(wheel)])
        lines.append(f"installed {wheel.name}: {_why_installed(standing)}")
    if family.extras:
        pip(["install", f"{family.wanted}[{','.join(family.extras)}]"])
        lines.append(f"installed missing CUDA libraries that {family.wanted} links to")
    return lines


def _why_installed(standing: Standing) -> str:
    if standing.family.wanted not in standing.installed:
        return standing.family.reason
    if standing.surplus:
        return "again, because removing the other variant also removed its files"
    return f"again, because {len(standing.damaged)} of its files were missing or changed"


def run_pip(arguments: Sequence[str]) -> None:
    """Run this environment's pip quietly. Raises AbawError with pip's last lines when it fails."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet", *arguments]
    # Settings that would make pip install somewhere else than in this environment.
    elsewhere = {"PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_DRY_RUN"}
    settings = {name: value for name, value in os.environ.items() if name not in elsewhere} | {"PIP_USER": "0"}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=settings)
    if done.returncode != 0:
        tail = "\n".join((done.stderr or done.stdout).strip().splitlines()[-6:])
        raise AbawError(
            f"`pip {' '.join(arguments)}` failed with status {done.returncode}; "
            f"fix the cause and run `abaw doctor --fix` again. pip said:\n{tail}"
        )


def find_nvidia_gpus() -> tuple[str, ...]:
    """Name, memory and driver of each NVIDIA GPU, as listed by nvidia-smi; empty without nvidia-smi or GPU."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    query = [tool, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(line.strip() for line in done.stdout.splitlines() if line.strip()) if done.returncode == 0 else ()
