"""The output of `abaw check-data`: tables on the screen and a CSV file."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from textwrap import fill

from rich.console import Console
from rich.table import Table
from rich.text import Text

from abaw.check_data.counts import Finding, SubjectCounts
from abaw.check_data.published import SPLIT_NAMES, Total
from abaw.core.artifacts import write_text
from abaw.core.text import csv_text, in_line
from abaw.protocol.classes import EXPRESSION_CLASSES

_SHOWN = 10
_WIDTH_OF_FILES = 80
_NUMBERS = (
    "expression_lines",
    "valence_arousal_lines",
    "action_unit_lines",
    "header_frames",
    "decoded_frames",
    "aligned_images",
    "last_aligned_image",
    "cropped_images",
    "template_rows",
    "labels_minus_frames",
    "template_minus_frames",
    "images_minus_labels",
)
_SHORT = (
    *("labels", "VA", "AU", "header", "decoded", "aligned", "last aligned", "cropped", "template"),
    *("labels-frames", "template-frames", "images-labels"),
)
"""What the printed lines call the numbers."""
_STYLES = {"error": "bold red", "note": "yellow"}
_LINES = ("expression", "valence_arousal", "action_units")


def numbers_of(subject: SubjectCounts) -> dict[str, int | None]:
    """The counts and their differences, by column; None if a part does not exist."""
    lines = [subject.lines.get(task) for task in _LINES]
    labels = lines[0] if lines[0] is not None else max((each for each in lines if each is not None), default=None)
    images = sum(len(crops.frames) for crops in subject.aligned) if subject.aligned else None
    last = max(crops.last_frame for crops in subject.aligned) if subject.aligned else None
    plain = sum(len(crops.frames) for crops in subject.plain) if subject.plain else None
    differences = [
        _minus(labels, subject.frames),
        _minus(subject.template_rows, subject.frames),
        _minus(images, labels),
    ]
    counts = [*lines, subject.header_frames, subject.decoded_frames, images, last, plain, subject.template_rows]
    return dict(zip(_NUMBERS, [*counts, *differences], strict=True))


def _minus(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one - other


def write_csv(path: Path, subjects: Iterable[SubjectCounts], findings: Sequence[Finding]) -> None:
    """One row per name: counts, frames per class and findings. The last row is for the whole data set."""
    header = ["name", "video", "split", *_NUMBERS, *EXPRESSION_CLASSES, "errors", "notes", "remedies"]
    rows: list[Sequence[object]] = [header]
    names = set()
    for subject in subjects:
        names.add(subject.name)
        classes = [""] * len(EXPRESSION_CLASSES) if subject.classes is None else subject.classes.tolist()
        listed = _joined([finding for finding in findings if finding.name == subject.name])
        split = SPLIT_NAMES.get(subject.split, "test" if subject.template_rows is not None else "")
        rows.append([subject.name, subject.video, split, *numbers_of(subject).values(), *classes, *listed])
    others = [finding for finding in findings if finding.name not in names]
    blank = [""] * (2 + len(_NUMBERS) + len(EXPRESSION_CLASSES))
    rows.append(["(data set)", *blank, *_joined(others)])
    write_text(path, csv_text(rows))


def _joined(findings: Sequence[Finding]) -> list[str]:
    """Errors, notes and remedies, each in one field."""
    by_severity = [
        "; ".join(f"{finding.kind}: {finding.message}" for finding in findings if finding.severity == severity)
        for severity in _STYLES
    ]
    return [*by_severity, "; ".join(dict.fromkeys(finding.remedy for finding in findings if finding.remedy))]


def print_report(
    subjects: Sequence[SubjectCounts], sums: Sequence[Total], findings: Sequence[Finding], show_all: bool
) -> None:
    """Print the counts of videos, classes, totals and findings on standard output.

    Lines have the width of the terminal, or 80 columns in files.
    """
    width = None if sys.stdout.isatty() else _WIDTH_OF_FILES
    console = Console(file=sys.stdout, width=width, highlight=False)
    named = {finding.name for finding in findings}
    faulty = {finding.name for finding in findings if finding.severity == "error"}
    for subject in subjects:
        if show_all or subject.name in named:
            _print_wrapped(console, _counts_line(subject), _STYLES["error"] if subject.name in faulty else "")
    console.print(_classes(subjects))
    console.print(_totals(sums))
    _list_findings(console, findings, show_all)
    errors = sum(finding.severity == "error" for finding in findings)
    parts = f"{len(subjects)} names ({', '.join(_parts(subjects)) or 'no part of any video'})"
    _print_wrapped(console, f"{parts}: {f'{errors} faults' if errors else 'no faults'}, {len(findings) - errors} notes")


def _print_wrapped(console: Console, line: str, style: str = "") -> None:
    """Print a line in the width of the console; the lines that continue it are indented."""
    text = fill(in_line(line), console.width, subsequent_indent="  ", break_on_hyphens=False)
    console.print(Text(text, style=style), soft_wrap=True)


def _parts(subjects: Sequence[SubjectCounts]) -> list[str]:
    """How many names each part of the data set has."""
    counts = {
        "with labels": sum(bool(subject.lines) for subject in subjects),
        "with a video": sum(subject.header_frames is not None for subject in subjects),
        "with aligned crops": sum(bool(subject.aligned) for subject in subjects),
        "with other crops": sum(bool(subject.plain) for subject in subjects),
        "in the template": sum(subject.template_rows is not None for subject in subjects),
    }
    return [f"{count} {what}" for what, count in counts.items() if count]


def _counts_line(subject: SubjectCounts) -> str:
    """The counts of the parts that exist, and how they differ."""
    split = SPLIT_NAMES.get(subject.split, "test" if subject.template_rows is not None else "no split")
    counts = zip(_SHORT, numbers_of(subject).values(), strict=True)
    return f"{subject.name} ({split}): {', '.join(f'{name} {count}' for name, count in counts if count is not None)}"


def _classes(subjects: Sequence[SubjectCounts]) -> Table:
    table = Table(title="Annotated frames by class")
    table.add_column("class")
    for name in SPLIT_NAMES.values():
        table.add_column(name, justify="right")
    for index, label in enumerate(EXPRESSION_CLASSES):
        counts = [
            sum(int(s.classes[index]) for s in subjects if s.classes is not None and s.split == split)
            for split in SPLIT_NAMES
        ]
        table.add_row(label, *(f"{count:,}" for count in counts))
    return table


def _totals(sums: Iterable[Total]) -> Table:
    table = Table(title="Compared with the published numbers")
    table.add_column("what")
    for heading in ("found", "published", "difference"):
        table.add_column(heading, justify="right")
    for total in sums:
        found = "missing" if total.found is None else f"{total.found:,}"
        difference = "" if total.found is None else f"{total.found - total.published:+,}"
        table.add_row(total.what, found, f"{total.published:,}", difference, style=None if total.fits else "yellow")
    return table


def _list_findings(console: Console, findings: Sequence[Finding], show_all: bool) -> None:
    """Faults first; of each kind, the first few and the total number."""
    for severity in _STYLES:
        kinds: dict[str, list[Finding]] = {}
        for finding in findings:
            if finding.severity == severity:
                kinds.setdefault(finding.kind, []).append(finding)
        for kind, of_kind in kinds.items():
            for finding in of_kind if show_all else of_kind[:_SHOWN]:
                name = f"{finding.name}: " if finding.name else ""
                remedy = f" -> {finding.remedy}" if finding.remedy else ""
                line = f"{severity}: {kind}: {name}{finding.message}{remedy}"
                _print_wrapped(console, line, _STYLES[severity])
            if not show_all and len(of_kind) > _SHOWN:
                line = f"{severity}: {kind}: {len(of_kind)} in total, {_SHOWN} shown; --all shows all"
                _print_wrapped(console, line)
