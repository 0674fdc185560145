"""Do the parts of Aff-Wild2 match each other? Each fault comes with its remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from abaw.check_data.counts import Finding, Severity, SubjectCounts, splits_of
from abaw.protocol.classes import TASKS
from abaw.protocol.lengths import TOLERANCE, length_difference
from abaw.protocol.official import OfficialTree


@dataclass(frozen=True, slots=True)
class Rules:
    """How strict to be.

    tolerance: maximum difference in frames between labels, crops, template and video.
    subset: only a part of the data set exists, and what is missing completely is not a fault.
    """

    tolerance: int = TOLERANCE
    subset: bool = False

    @property
    def missing(self) -> Severity:
        return "note" if self.subset else "error"


def reconcile(
    tree: OfficialTree, subjects: Sequence[SubjectCounts], template: Mapping[str, int] | None, rules: Rules
) -> list[Finding]:
    """Every fault and note on the existing parts. template: rows by name, None if no template was given."""
    findings = [*_places(tree, rules), *_in_both_splits(tree), *_doubled_videos(tree)]
    for subject in subjects:
        findings += _crop_names(subject)
        findings += _doubled_crops(subject)
        findings += _missing_parts(subject, tree, template is not None, rules)
        findings += _lengths(subject, rules)
    return findings


def _places(tree: OfficialTree, rules: Rules) -> Iterator[Finding]:
    root = tree.root
    if not any(task == "expression" for task, _ in tree.annotations):
        remedy = (
            ""
            if rules.subset
            else "download the annotations and unpack them there, or give --subset to continue without"
        )
        where = "EXPR_Recognition_Challenge or EXPR_Classification_Challenge"
        yield Finding(rules.missing, "no annotations", "", f"{root}: no {where}, not even below annotations/", remedy)
    if not tree.videos:
        remedy = (
            "" if rules.subset else "unpack batch1, batch2 and new_vids there, or give --subset if only crops are used"
        )
        yield Finding(rules.missing, "no videos", "", f"{root}: contains no video", remedy)
    for (task, split), folders in tree.annotation_folders.items():
        if len(folders) > 1:
            message = f"{split} of {task} is in {folders[0]} and in {folders[1]}; the first is read"
            yield Finding(
                "error", "two annotation folders", "", message, "keep those of one edition and move the others"
            )
        if not tree.annotations[task, split]:
            remedy = "unpack the annotations again"
            yield Finding("error", "empty annotation folder", "", f"{folders[0]}: contains no <video>.txt", remedy)


def _in_both_splits(tree: OfficialTree) -> Iterator[Finding]:
    for task in TASKS:
        for name, splits in splits_of(tree, task).items():
            if len(splits) > 1:
                files = " and ".join(str(tree.annotations[task, split][name]) for split in splits)
                remedy = "a video belongs to one split: remove the file that is not in the official download"
                yield Finding("error", "in both splits", name, f"labels in {files}", remedy)


def _doubled_videos(tree: OfficialTree) -> Iterator[Finding]:
    for name, files in tree.videos.items():
        if len(files) > 1:
            yield Finding("error", "video twice", name, _list(files), "keep one of them")


def _crop_names(subject: SubjectCounts) -> Iterator[Finding]:
    for crops in (*subject.aligned, *subject.plain):
        if crops.num_wrong:
            message = f"{crops.path}: {crops.num_wrong} images are not named like 00001.jpg: {', '.join(crops.wrong)}"
            remedy = "give them the official names (frames from 1, five digits, .jpg), or remove them"
            yield Finding("error", "wrong crop name", subject.name, message, remedy)
        elif not len(crops.frames):
            remedy = "unpack the crops again, unless no face was found in the whole video"
            yield Finding("note", "empty crops folder", subject.name, f"{crops.path}: contains no image", remedy)


def _doubled_crops(subject: SubjectCounts) -> Iterator[Finding]:
    for places in (subject.aligned, subject.plain):
        if len(places) > 1:
            remedy = "keep one of them; import-crops refuses both"
            yield Finding("error", "crops twice", subject.name, _list([crops.path for crops in places]), remedy)


def _missing_parts(subject: SubjectCounts, tree: OfficialTree, has_template: bool, rules: Rules) -> Iterator[Finding]:
    labelled = any(subject.name in files for files in tree.annotations.values())
    in_template = subject.template_rows is not None
    has_crops = bool(subject.aligned or subject.plain)
    has_video = subject.video in tree.videos
    if in_template and not has_video and not has_crops:
        message = f"the template has {subject.template_rows} rows of it, but its video and crops are missing"
        remedy = "download the test videos, or give the template of the downloaded edition"
        yield Finding(rules.missing, "unknown video in template", subject.name, message, remedy)
    elif tree.videos and not has_video:
        of = "labels" if labelled else "template rows" if in_template else "crops"
        remedy = f"download the batch (batch1, batch2 or new_vids) that holds {subject.video}.mp4 or .avi"
        yield Finding(rules.missing, "missing video", subject.name, f"has {of} but no video {subject.video}", remedy)
    if tree.aligned_roots and not subject.aligned and (labelled or in_template):
        message = f"no folder of this name in {_list(tree.aligned_roots)}"
        remedy = "download cropped_aligned (and cropped_aligned_new_50_vids) again, or run `abaw extract` on the video"
        yield Finding(rules.missing, "missing crops", subject.name, message, remedy)
    if labelled or in_template:
        return
    if not has_crops:
        yield Finding("note", "video without labels", subject.name, "has no label file and no template row")
    elif has_template:
        remedy = "download the annotations of all tasks, or remove the folder if it belongs to another data set"
        message = f"{_list([crops.path for crops in (*subject.aligned, *subject.plain)])}: no labels, no template rows"
        yield Finding("error", "crops without labels", subject.name, message, remedy)
    else:
        remedy = "give --template, which distinguishes test videos from those with missing labels"
        yield Finding("note", "crops without labels", subject.name, "not in the annotations", remedy)


def _lengths(subject: SubjectCounts, rules: Rules) -> Iterator[Finding]:
    """Differences between label lines, frames, template rows and the last image."""
    frames, decoded = subject.frames, subject.decoded_frames is not None
    of_video = "decoded frames" if decoded else "frames in the video's header"
    doubt = "" if decoded else "count the frames with --decode, since a header may be wrong; then "
    if decoded and subject.header_frames not in (None, subject.decoded_frames):
        message = f"the header states {subject.header_frames} frames, {subject.decoded_frames} were decoded"
        yield Finding("note", "wrong header count", subject.name, message)
    for task, lines in subject.lines.items():
        remedy = f"{doubt}download {subject.video} or its label file again, or leave it out"
        yield from _differs(
            "labels and frames", subject.name, (lines, f"{task} label lines"), (frames, of_video), remedy, rules
        )
    rows = (subject.template_rows, "template rows")
    remedy = f"{doubt}download {subject.video} again, or use the template of the right edition"
    yield from _differs("template and frames", subject.name, rows, (frames, of_video), remedy, rules)
    longest = max((length for length in (frames, *subject.lines.values(), rows[0]) if length is not None), default=None)
    for crops in (*subject.aligned, *subject.plain):
        if longest is not None and crops.last_frame > longest:
            beyond = crops.last_frame - longest
            severity: Severity = "error" if beyond > rules.tolerance else "note"
            message = f"{crops.path}: image {crops.last_frame} is {beyond} beyond the last frame ({longest})"
            remedy = f"{doubt}the crops may belong to another video: download them again" if severity == "error" else ""
            yield Finding(severity, "crops beyond the end", subject.name, message, remedy)


def _differs(
    kind: str, name: str, one: tuple[int | None, str], other: tuple[int | None, str], remedy: str, rules: Rules
) -> Iterator[Finding]:
    if one[0] is None or other[0] is None or one[0] == other[0]:
        return
    message, too_large = length_difference((one[0], one[1]), (other[0], other[1]), rules.tolerance)
    if too_large:
        yield Finding("error", kind, name, message, remedy)
    else:
        yield Finding("note", kind, name, message)


def _list(paths: Sequence[Path]) -> str:
    return " and ".join(map(str, paths))
