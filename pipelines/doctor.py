"""`abaw doctor`: what this machine has, what is broken and how to repair it; `--fix` repairs onnxruntime and OpenCV."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from abaw.core.errors import AbawError
from abaw.doctor.environment import Check, State, examine
from abaw.doctor.probes import Pending, probe_torch
from abaw.doctor.wheels import Pip, find_nvidia_gpus, inspect, onnxruntime_family, opencv_family, run_pip, settle
from abaw.weights import DETECTOR

_STYLES = {State.OK: "green", State.NOTE: "yellow", State.BROKEN: "bold red"}


@dataclass(frozen=True)
class DoctorConfig:
    """Check the installation: what works, what is broken, and how to repair it.

    Args:
        json: print JSON
        fix: instead of checking, leave exactly one onnxruntime (for an NVIDIA GPU if there is one) and headless OpenCV

    Examples:
        abaw doctor
        abaw doctor --fix
    """

    json: bool = False
    fix: bool = False


def run(config: DoctorConfig) -> int:
    """Return the exit status: 1 when something is broken, else 0. Raises AbawError when `fix` fails."""
    if config.fix:
        lines = fix(run_pip)
        print(json.dumps({"fixed": lines}, indent=2) if config.json else "\n".join(lines))
        return 0
    # insightface has no setting for its folder; it always uses this one.
    pack_folder = Path.home() / ".insightface" / "models"
    checks = examine(Path.cwd(), Path(tempfile.gettempdir()), pack_folder, DETECTOR)
    broken = [check for check in checks if check.state is State.BROKEN]
    if config.json:
        print(json.dumps(as_json(checks), indent=2, ensure_ascii=False))
    else:
        show(checks, Console(file=sys.stdout))
    return 1 if broken else 0


def fix(pip: Pip) -> list[str]:
    """Repair onnxruntime and OpenCV without importing them. Returns one line per action.

    Raises AbawError when pip fails, or when a package is still wrong afterwards.
    """
    gpus = find_nvidia_gpus()
    if not gpus:
        torch = Pending(probe_torch).outcome(timeout_s=180.0)
        gpus = torch.facts.gpus if torch.facts else ()
    lines = []
    for family in (onnxruntime_family(gpus), opencv_family()):
        lines += settle(inspect(family), pip)
        standing = inspect(family)
        if not standing.settled:
            raise AbawError(
                f"{family.folder}: pip reported success; expected only {family.wanted}, undamaged, "
                f"found {standing.summary()} with {len(standing.damaged)} damaged files; "
                "remove the folders in site-packages that begin with ~ and run `abaw doctor --fix` again"
            )
    return lines


def as_json(checks: Sequence[Check]) -> dict[str, object]:
    """The report as JSON values."""
    return {
        "ok": all(check.state is not State.BROKEN for check in checks),
        "checks": [asdict(check) | {"state": check.state.value} for check in checks],
    }


def show(checks: Sequence[Check], console: Console) -> None:
    """Print one line per check, then each broken thing with its remedy."""
    width = max(len(check.name) for check in checks)
    group = ""
    for check in checks:
        if check.group != group:
            group = check.group
            console.print(Text(group, style="bold"), soft_wrap=True)
        line = Text("  ").append(f"{check.state.value:<7}", style=_STYLES[check.state])
        console.print(line.append(f"{check.name:<{width}}  {check.detail}"), soft_wrap=True)
    broken = [check for check in checks if check.state is State.BROKEN]
    for check in broken:
        console.print(Text(f"broken: {check.group} {check.name}: {check.detail}", style="bold red"), soft_wrap=True)
        console.print(Text(f"  remedy: {check.remedy}"), soft_wrap=True)
    console.print(Text(f"{len(broken)} broken" if broken else "nothing is broken"), soft_wrap=True)
