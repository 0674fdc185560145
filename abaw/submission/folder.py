"""Finds every fault of a submission that is a folder with one `<video>.txt` per video and one line per frame."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from abaw.core.reading import read_errors
from abaw.protocol.editions import Edition
from abaw.protocol.template import VideoList
from abaw.submission.fault import Fault, FaultList, sort_by_file
from abaw.submission.numbers import integer_fault
from abaw.submission.text import check_header, check_line, open_text, without_mark

_SUFFIX = ".txt"
_SHOWN = 60


def check_folder(folder: Path, videos: VideoList, edition: Edition) -> list[Fault]:
    """All faults of the folder, by file and line; an empty list means that it can be submitted.

    Kinds: edition, missing, extra for the folder; empty, encoding, bom, line-end, header, edition, blank, spaces,
    fields, label, float, missing, extra in a file; and the warnings one-class and last-line. The number of lines is
    checked where the list says it. Raises DataError when the folder or one of its files cannot be read.
    """
    if folder.is_file():
        return [
            Fault(0, "edition", "error", f"is a file; {edition.name} expects a folder with one <video>.txt per video")
        ]
    with read_errors(folder, "not readable"):
        present = {entry.name: entry for entry in folder.iterdir()}
    due = {name + _SUFFIX: num_frames for name, num_frames in videos.num_frames.items()}
    faults = [Fault(0, "missing", "error", f"video missing: {name}", file=name) for name in due if name not in present]
    extra = [name for name in present if name not in due or not present[name].is_file()]
    faults += [Fault(0, "extra", "error", f"{name} belongs to none of the videos", file=name) for name in extra]
    seen: set[str] = set()
    for name in due.keys() & present.keys() - set(extra):
        faults += _check_file(present[name], due[name], edition, seen)
    if len(seen) == 1 and len(due) > 1:
        faults.append(Fault(0, "one-class", "warning", f"all lines have the same class, {seen.pop()}"))
    return sort_by_file(faults)


def _check_file(path: Path, due: int | None, edition: Edition, seen: set[str]) -> list[Fault]:
    """Faults of one file. due: expected lines after the header, or None; seen: the file's classes are added."""
    with read_errors(path, "not readable"):
        data = path.read_bytes()
    faults = FaultList(path.name)
    lines = open_text(data, faults)
    if lines is not None:
        _check_lines(iter(lines), due, edition, seen, faults)
    return faults.sorted()


def _check_lines(lines: Iterator[str], due: int | None, edition: Edition, seen: set[str], faults: FaultList) -> None:
    first = without_mark(next(lines), faults)
    is_row = not integer_fault(first.strip(), range(edition.num_classes))[0]
    check_header(first, edition, is_row, faults)
    good = {f"{label}\n" for label in range(edition.num_classes)}
    rows, number, extra_line = 0, 1, 0
    for number, line in enumerate(chain([first + "\n"], lines) if is_row else lines, 1 if is_row else 2):
        if line in good:
            seen.add(line[:-1])
        elif not _is_row(line, number, edition, seen, faults):
            continue
        rows += 1
        if rows - 1 == due:
            extra_line = number
    if due is not None and rows < due:
        faults.add(number + 1, "missing", f"video cut short: {rows} lines with a class; expected {due}, one per frame")
    elif due is not None and rows > due:
        faults.add(extra_line, "extra", f"{rows - due} more lines than the video has frames; expected {due}")


def _is_row(line: str, number: int, edition: Edition, seen: set[str], faults: FaultList) -> bool:
    """Note the faults of a line. Returns False for a blank line, which belongs to no frame."""
    text = check_line(line, number, faults)
    if text is None:
        return False
    kind, problem = integer_fault(text, range(edition.num_classes))
    if "," in text:
        kind, problem = "fields", f"expected one integer, found '{text[:_SHOWN]}'"
    if kind:
        faults.add(number, kind, problem)
    else:
        seen.add(text)
    return True
