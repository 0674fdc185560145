"""`abaw check-data`: do videos, labels, crops and template of Aff-Wild2 match each other and the published counts?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from abaw.core.errors import ConfigError, DataError
from pipelines.console import progress, say
from pipelines.inputs import InputPath

if TYPE_CHECKING:
    from abaw.check_data.counts import Finding, SubjectCounts
    from abaw.protocol.official import OfficialTree


@dataclass(frozen=True, kw_only=True)
class CheckDataConfig:
    """Check that the parts of Aff-Wild2 fit together, and say how to repair what does not.

    Args:
        root: folder with batch1, batch2, new_vids, annotations, cropped_aligned and so on, or some of them
        template: template of the test set; without it, videos without labels count as test videos
        faces: folder of faces stores made from the videos; they have one row per decoded frame
        decode: decode every video to count its frames (hours for the whole data set)
        out: CSV file with the counts of every video and what was found
        tolerance: frames by which labels, template and crops may differ from the video; 16 is the number that H.264
            lets a decoder hold back, and some decoders lose them at the end
        subset: only a part of the data set is here: missing parts and differing totals are not faults
        all: show every video in the table, not only those with findings

    Examples:
        abaw check-data --root Aff-Wild2/
        abaw check-data --root Aff-Wild2/ --template predictions_template.txt --faces faces/ --out counts.csv
    """

    root: InputPath
    template: InputPath | None = None
    faces: InputPath | None = None
    decode: bool = False
    out: Path = Path("reconciliation.csv")
    tolerance: int = 16
    subset: bool = False
    all: bool = False


def run(config: CheckDataConfig) -> int:
    """Exit status: 1 if there are faults, otherwise 0 (notes are listed)."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.check_data.counts import add_decoded_frames, count_subjects
    from abaw.check_data.published import compare_totals, totals
    from abaw.check_data.reconcile import Rules, reconcile
    from abaw.protocol.official import scan_tree
    from pipelines.check_data.report import print_report, write_csv

    if config.tolerance < 0:
        raise ConfigError(f"--tolerance {config.tolerance}: expected a number of frames, 0 or more")
    if config.faces is not None and config.decode:
        raise ConfigError("--faces and --decode both count the decoded frames; give one of them")
    rules = Rules(config.tolerance, config.subset)
    template = _template_rows(config.template)
    tree = scan_tree(config.root)
    subjects, findings = count_subjects(tree, template or {})
    if config.decode:
        decoded, faults = _decode_all(tree)
        findings += faults
        add_decoded_frames(subjects, decoded)
    elif config.faces is not None:
        findings += _add_stored_frames(config.faces, subjects)
    sums = totals(tree, subjects, template)
    findings += [*reconcile(tree, subjects, template, rules), *compare_totals(sums, rules)]
    write_csv(config.out, subjects, findings)
    print_report(subjects, sums, findings, show_all=config.all)
    say(f"counts of every video: {config.out}")
    return int(any(finding.severity == "error" for finding in findings))


def _template_rows(path: Path | None) -> dict[str, int] | None:
    if path is None:
        return None
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.protocol.template import read_template

    return read_template(path).videos()


def _decode_all(tree: OfficialTree) -> tuple[dict[str, int], list[Finding]]:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.check_data.counts import Finding, decode_frames

    found: dict[str, int] = {}
    faults: list[Finding] = []
    with progress("decoding", "videos") as hook:
        for done, (name, files) in enumerate(tree.videos.items(), 1):
            try:
                found[name] = decode_frames(files[0])
            except DataError as error:
                remedy = f"download {files[0].name} again"
                faults.append(Finding("error", "unreadable video", name, str(error), remedy))
            hook(done, len(tree.videos))
    return found, faults


def _add_stored_frames(folder: Path, subjects: Sequence[SubjectCounts]) -> list[Finding]:
    """Notes on the people without a store."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.check_data.counts import Finding, add_decoded_frames, stored_frames
    from abaw.stores.arrow import find_stores

    add_decoded_frames(subjects, stored_frames(find_stores([folder])))
    return [
        Finding("note", "no faces store", subject.name, f"{folder}: contains no store made from its video")
        for subject in subjects
        if subject.decoded_frames is None and (subject.lines or subject.template_rows is not None)
    ]
