"""`abaw check-submission`: list every fault of a submission file, with line numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.console import result

if TYPE_CHECKING:
    from abaw.submission.fault import Fault

_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class CheckSubmissionConfig:
    """Check a submission file against the organisers' template.

    Args:
        file: the file to be handed in
        template: the template of the edition
        edition: edition of the challenge
        all: list every fault; otherwise the first ten of each kind and the number of the others
    """

    file: Path
    template: Path
    edition: str = "abaw6"
    all: bool = False


def run(config: CheckSubmissionConfig) -> int:
    """Exit status: 1 when the file has an error, else 0 (warnings are listed)."""
    from abaw.protocol.editions import edition
    from abaw.protocol.template import read_template
    from abaw.submission.check import check_submission

    template = read_template(config.template)
    faults = check_submission(config.file, template, edition(config.edition))
    return tell_faults(config.file, len(template.locations), faults, show_all=config.all)


def tell_faults(file: Path, num_rows: int, faults: Sequence[Fault], show_all: bool = False) -> int:
    """Print the faults and what they amount to; returns the exit status."""
    shown: dict[str, int] = {}
    for fault in faults:
        shown[fault.kind] = shown.get(fault.kind, 0) + 1
        if show_all or shown[fault.kind] <= _SHOWN:
            result(f"{file}:{fault.line}: {_text(fault)}")
    if not show_all:
        for kind, count in shown.items():
            if count > _SHOWN:
                lines = sum(fault.num_lines for fault in faults if fault.kind == kind)
                result(f"{file}: {kind}: {lines} lines in all, {_SHOWN} shown; --all lists them")
    errors = sum(fault.num_lines for fault in faults if fault.severity == "error")
    warnings = sum(fault.num_lines for fault in faults if fault.severity == "warning")
    if not errors:
        result(f"{file}: ok, {num_rows} rows as in the template{f', {warnings} to look at' if warnings else ''}")
        return 0
    result(
        f"{file}: {errors} {'fault' if errors == 1 else 'faults'}{f', {warnings} more to look at' if warnings else ''}"
    )
    return 1


def _text(fault: Fault) -> str:
    more = f" (and so on to line {fault.last_line})" if fault.last_line else ""
    return f"{fault.severity}: {fault.kind}: {fault.message}{more}"
