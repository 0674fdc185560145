from __future__ import annotations

import io
import json
from collections.abc import Sequence

import pytest
from rich.console import Console

from abaw.core.errors import AbawError
from abaw.doctor.environment import Check, State
from abaw.doctor.probes import Outcome, TorchFacts, probe_torch
from abaw.doctor.wheels import Family, Standing
from pipelines import doctor
from pipelines.doctor import DoctorConfig, fix, run, show

GOOD = Check("decoders", "pyav", State.OK, "decoded 8 of 8 frames")
REMARK = Check("devices", "cuda", State.NOTE, "no NVIDIA GPU found")
BAD = Check("opencv", "cv2", State.BROKEN, "ImportError: [libGL] " + "far " * 60 + "end", "abaw doctor --fix")


def refuse_pip(arguments: Sequence[str]) -> None:
    raise AssertionError(f"pip was called: {arguments}")


@pytest.mark.parametrize(
    ("checks", "status"),
    [([GOOD, REMARK], 0), ([GOOD, BAD], 1), ([BAD, BAD], 1)],
    ids=["nothing broken", "one broken", "all broken"],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_exit_status(
    checks: list[Check],
    status: int,
    as_json: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda *folders: checks)
    assert run(DoctorConfig(json=as_json)) == status
    printed = capsys.readouterr().out
    if as_json:
        report = json.loads(printed)
        assert report["ok"] is (status == 0)
        assert [check["name"] for check in report["checks"]] == [check.name for check in checks]
        assert set(report["checks"][0]) == {"group", "name", "state", "detail", "remedy"}
    else:
        assert printed.count("remedy:") == checks.count(BAD)


def test_the_report_is_not_wrapped_and_names_each_remedy() -> None:
    out = io.StringIO()
    show([GOOD, REMARK, BAD], Console(file=out, width=40))
    lines = out.getvalue().splitlines()
    assert f"  broken cv2   {BAD.detail}" in lines
    assert f"broken: opencv cv2: {BAD.detail}" in lines
    assert "  remedy: abaw doctor --fix" in lines
    assert lines[-1] == "1 broken"


def test_a_report_without_faults_says_so() -> None:
    out = io.StringIO()
    show([GOOD, REMARK], Console(file=out))
    assert out.getvalue().splitlines()[-1] == "nothing is broken"


@pytest.mark.slow
def test_a_settled_environment_needs_neither_pip_nor_network(capsys: pytest.CaptureFixture[str]) -> None:
    lines = fix(refuse_pip)
    assert len(lines) == 2
    assert all("nothing to do" in line for line in lines)


class TorchSeesOne:
    """The probe of torch on a machine with a GPU but without nvidia-smi."""

    def __init__(self, probe: object) -> None:
        assert probe is probe_torch

    def outcome(self, timeout_s: float) -> Outcome[TorchFacts]:
        return Outcome(TorchFacts("2", "0", "13.2", ("by torch",)))


@pytest.mark.parametrize("listed", [("by nvidia-smi",), ()], ids=["nvidia-smi", "torch"])
def test_a_gpu_needs_the_gpu_wheel(listed: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Family] = []

    def settled(family: Family) -> Standing:
        seen.append(family)
        return Standing(family, {family.wanted: "1.0"}, (), ())

    monkeypatch.setattr(doctor, "find_nvidia_gpus", lambda: listed)
    monkeypatch.setattr(doctor, "Pending", TorchSeesOne)
    monkeypatch.setattr(doctor, "inspect", settled)
    lines = fix(refuse_pip)
    assert {family.wanted for family in seen} == {"onnxruntime-gpu", "opencv-python-headless"}
    assert (listed or ("by torch",))[0] in lines[0]


def test_fixing_that_changes_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    both = {"onnxruntime": "1.0", "onnxruntime-gpu": "1.0"}
    monkeypatch.setattr(doctor, "find_nvidia_gpus", lambda: ("NVIDIA X",))
    monkeypatch.setattr(doctor, "inspect", lambda family: Standing(family, both, (), ()))
    monkeypatch.setattr(doctor, "settle", lambda standing, pip: ["done"])
    with pytest.raises(AbawError, match="expected only onnxruntime-gpu, undamaged, found onnxruntime 1.0 and"):
        fix(refuse_pip)


@pytest.mark.parametrize(("as_json", "printed"), [(False, "one\ntwo\n"), (True, '{\n  "fixed": [\n    "one"')])
def test_fix_prints_what_it_did(
    as_json: bool, printed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "fix", lambda pip: ["one", "two"])
    assert run(DoctorConfig(json=as_json, fix=True)) == 0
    assert capsys.readouterr().out.startswith(printed)
