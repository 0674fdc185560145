from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abaw.core.errors import AbawError
from abaw.doctor.wheels import (
    Family,
    find_distributions,
    find_nvidia_gpus,
    inspect,
    onnxruntime_family,
    opencv_family,
    run_pip,
    settle,
)

FAMILIES = [opencv_family(), onnxruntime_family(()), onnxruntime_family(("NVIDIA X",))]
CUDA_LIBRARY = "nvidia-curand~=10.0"


def _dist_info(site: Path, name: str, version: str) -> Path:
    return site / f"{name.replace('-', '_')}-{version}.dist-info"


def install(site: Path, name: str, version: str, files: Mapping[str, str], requires: Sequence[str] = ()) -> None:
    """Install a package in `site` as pip does: its files, overwriting existing ones, and its metadata."""
    info = _dist_info(site, name, version)
    info.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)
    needs = "".join(f"Requires-Dist: {line}\n" for line in requires)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}")
    record = "".join(f"{path},sha256=x,{len(text)}\n" for path, text in files.items())
    (info / "RECORD").write_text(f"{record}{info.name}/METADATA,,\n{info.name}/RECORD,,\n")


class SitePip:
    """A stand-in for pip that changes files of a folder as the commands of `settle` would, and records its calls."""

    def __init__(self, site: Path, family: Family, online: bool = True) -> None:
        self.site, self.family, self.online = site, family, online
        self.calls: list[Sequence[str]] = []

    def __call__(self, arguments: Sequence[str]) -> None:
        self.calls.append(arguments)
        match arguments:
            case ["download", *_, folder, spec]:
                if not self.online:
                    raise AbawError("no network")
                name, _, version = spec.partition("==")
                (Path(folder) / f"{name}-{version or '2.0'}.whl").touch()
            case ["uninstall", "--yes", *names]:
                for name in names:
                    self._remove(name)
            case ["install", "--no-deps", "--force-reinstall", wheel]:
                name, _, version = Path(wheel).stem.rpartition("-")
                self.lay_down(name, version)
            case ["install", spec]:
                assert spec == "onnxruntime-gpu[cuda,cudnn]"
                install(self.site, "nvidia-curand", "10.4", {})
            case _:
                raise AssertionError(f"unexpected pip {arguments}")

    def lay_down(self, name: str, version: str) -> None:
        files = {f"{self.family.folder}/__init__.py": "", f"{self.family.folder}/core.so": name}
        requires = [f"{CUDA_LIBRARY}; extra == 'cuda'"] if name == "onnxruntime-gpu" else []
        install(self.site, name, version, files, requires)

    def _remove(self, name: str) -> None:
        distribution = find_distributions([str(self.site)])[name]
        info = _dist_info(self.site, name, distribution.version)
        for file in distribution.files or ():
            Path(str(file.locate())).unlink(missing_ok=True)
        shutil.rmtree(info)


@settings(max_examples=120, deadline=None)
@given(data=st.data(), family=st.sampled_from(FAMILIES), damage=st.booleans())
def test_settling_keeps_exactly_the_wanted_variant_undamaged(data: st.DataObject, family: Family, damage: bool) -> None:
    order = data.draw(st.lists(st.sampled_from(family.variants), unique=True))
    with TemporaryDirectory() as folder:
        site = Path(folder)
        pip = SitePip(site, family)
        for name in order:
            pip.lay_down(name, "1.0")
        if damage and order:
            (site / family.folder / "core.so").unlink()

        settle(inspect(family, [folder]), pip)
        after = inspect(family, [folder])
        assert after.settled
        assert set(after.installed) == {family.wanted}
        assert (site / family.folder / "core.so").read_text() == family.wanted
        assert after.installed[family.wanted] == ("1.0" if family.wanted in order else "2.0")

        pip.calls.clear()
        (line,) = settle(after, pip)
        assert pip.calls == []
        assert "nothing to do" in line
        assert family.reason in line


def test_lines_say_what_was_done_and_why(tmp_path: Path) -> None:
    family = opencv_family()
    pip = SitePip(tmp_path, family)
    pip.lay_down("opencv-python-headless", "5.0")
    pip.lay_down("opencv-python", "5.0")
    assert settle(inspect(family, [str(tmp_path)]), pip) == [
        "removed opencv-python, which shares the folder cv2/ with opencv-python-headless",
        "installed opencv-python-headless-5.0.whl: again, because removing the other variant also removed its files",
    ]


def test_without_network_nothing_is_removed(tmp_path: Path) -> None:
    family = onnxruntime_family(("NVIDIA X",))
    pip = SitePip(tmp_path, family, online=False)
    pip.lay_down("onnxruntime", "1.0")
    with pytest.raises(AbawError, match="no network"):
        settle(inspect(family, [str(tmp_path)]), pip)
    assert inspect(family, [str(tmp_path)]).installed == {"onnxruntime": "1.0"}
    assert len(pip.calls) == 1


@pytest.mark.parametrize(
    ("version", "missing"),
    [(None, (CUDA_LIBRARY,)), ("9.1", (CUDA_LIBRARY,)), ("10.4", ())],
    ids=["absent", "too old", "there"],
)
def test_cuda_libraries_are_required_only_with_a_gpu(tmp_path: Path, version: str | None, missing: object) -> None:
    SitePip(tmp_path, FAMILIES[2]).lay_down("onnxruntime-gpu", "1.0")
    if version:
        install(tmp_path, "nvidia-curand", version, {})
    assert inspect(FAMILIES[2], [str(tmp_path)]).missing == missing
    assert inspect(FAMILIES[1], [str(tmp_path)]).missing == ()


@pytest.mark.parametrize(
    ("text", "damaged"),
    [("opencv-python-headless", ()), ("other", ("cv2/core.so",)), (None, ("cv2/core.so",))],
    ids=["whole", "overwritten", "gone"],
)
def test_damage_is_found_by_file_size(tmp_path: Path, text: str | None, damaged: tuple[str, ...]) -> None:
    SitePip(tmp_path, opencv_family()).lay_down("opencv-python-headless", "5.0")
    library = tmp_path / "cv2" / "core.so"
    library.unlink() if text is None else library.write_text(text)
    standing = inspect(opencv_family(), [str(tmp_path)])
    assert standing.damaged == damaged
    assert standing.settled is (not damaged)


def test_leftovers_without_a_name_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "half_removed-1.0.dist-info").mkdir()
    assert find_distributions([str(tmp_path)]) == {}


def test_a_failing_pip_is_quoted() -> None:
    with pytest.raises(AbawError, match=r"(?s)`pip download .*failed with status 1.*No matching distribution"):
        run_pip(["download", "--no-index", "--no-deps", "abaw-no-such-package"])


_TWO = "echo 'NVIDIA A, 8192 MiB, 570.1'\necho 'NVIDIA B, 8192 MiB, 570.1'"


@pytest.mark.parametrize(
    ("script", "gpus"),
    [
        pytest.param(None, (), id="not installed"),
        pytest.param("echo 'Failed to initialize NVML'; exit 9", (), id="no driver"),
        pytest.param("exit 0", (), id="no GPU"),
        pytest.param(_TWO, ("NVIDIA A, 8192 MiB, 570.1", "NVIDIA B, 8192 MiB, 570.1"), id="two GPUs"),
    ],
)
def test_gpus_by_nvidia_smi(
    script: str | None, gpus: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if script is not None:
        tool = tmp_path / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    assert find_nvidia_gpus() == gpus
