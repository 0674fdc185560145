"""`abaw check-submission`: list every fault of a submission, with line numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from abaw.core.errors import ConfigError
from pipelines.console import result
from pipelines.inputs import InputPath

if TYPE_CHECKING:
    from abaw.protocol.editions import Edition
    from abaw.submission.fault import Fault

_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class CheckSubmissionConfig:
    """Check a submission against the organisers' template.

    Args:
        file: the submission file; for edition abaw3, the folder of files
        template: the template of the edition; for abaw3, a list of the test videos is enough
        edition: edition of the challenge, see docs/submission.md
        predictions: folder of prediction stores, for the number of frames of each video if the list of videos does not
            have it (abaw3)
        all: list every fault, not only the first ten of each kind and the number of the others

    Examples:
        abaw check-submission predictions.txt --template predictions_template.txt
        abaw check-submission predictions.txt --template predictions_template.txt --all
    """

    file: InputPath
    template: InputPath
    edition: str = "abaw6"
    predictions: InputPath | None = None
    all: bool = False


def run(config: CheckSubmissionConfig) -> int:
    """Return the exit status: 1 when the submission has an error, else 0 (warnings are only listed)."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.protocol.editions import edition

    chosen = edition(config.edition)
    if chosen.layout == "files":
        return _check_folder(config, chosen)
    if config.predictions is not None:
        raise ConfigError(
            f"--predictions: not needed, the template of {chosen.name} lists the rows of each video; leave it out"
        )
    return _check_file(config, chosen)


def _check_file(config: CheckSubmissionConfig, edition: Edition) -> int:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.protocol.template import read_template, require_edition
    from abaw.submission.check import check_submission

    template = read_template(config.template)
    require_edition(template, edition)
    faults = check_submission(config.file, template, edition)
    return report_faults(config.file, f"{len(template.locations)} rows as in the template", faults, config.all)


def _check_folder(config: CheckSubmissionConfig, edition: Edition) -> int:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.protocol.template import read_video_list
    from abaw.submission.folder import check_folder

    videos = read_video_list(config.template)
    if config.predictions is not None:
        if videos.tells_frames:
            raise ConfigError(
                f"--predictions: not needed, {config.template} lists the frames of each video; leave it out"
            )
        videos = videos.with_frames(_num_frames(config.predictions, videos.num_frames))
    faults = check_folder(config.file, videos, edition)
    what = f"{len(videos.num_frames)} files as in the list"
    unknown = sum(number is None for number in videos.num_frames.values())
    if unknown:
        what += f"; the number of lines was not checked for {unknown} of them (give --predictions to check it)"
    return report_faults(config.file, what, faults, config.all)


def _num_frames(predictions: Path, names: Iterable[str]) -> dict[str, int]:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.stores.arrow import find_stores
    from abaw.stores.predictions import read_predictions

    wanted = set(names)
    return {path.stem: len(read_predictions(path)) for path in find_stores([predictions]) if path.stem in wanted}


def report_faults(file: Path, what: str, faults: Sequence[Fault], show_all: bool = False) -> int:
    """Print the faults and a summary, and return the exit status. what: what was checked, for the summary."""
    shown: dict[str, int] = {}
    for fault in faults:
        shown[fault.kind] = shown.get(fault.kind, 0) + 1
        if show_all or shown[fault.kind] <= _SHOWN:
            result(_text(file, fault))
    if not show_all:
        for kind, count in shown.items():
            if count > _SHOWN:
                lines = sum(fault.num_lines for fault in faults if fault.kind == kind)
                result(f"{file}: {kind}: {lines} lines in total, {_SHOWN} shown; --all lists them")
    errors = sum(fault.num_lines for fault in faults if fault.severity == "error")
    warnings = sum(fault.num_lines for fault in faults if fault.severity == "warning")
    if not errors:
        result(f"{file}: ok, {what}{_and_warnings(warnings)}")
        return 0
    result(f"{file}: {errors} {'error' if errors == 1 else 'errors'}{_and_warnings(warnings)}")
    return 1


def _and_warnings(count: int) -> str:
    return f", {count} {'warning' if count == 1 else 'warnings'}" if count else ""


def _text(file: Path, fault: Fault) -> str:
    place = f"{file / fault.file if fault.file else file}{f':{fault.line}' if fault.line else ''}"
    more = f" (and so on to line {fault.last_line})" if fault.last_line else ""
    return f"{place}: {fault.severity}: {fault.kind}: {fault.message}{more}"
