"""The totals of Aff-Wild2 compared with the published ones (`data_manifests/expression.yaml`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from abaw.check_data.counts import Finding, SubjectCounts
from abaw.check_data.reconcile import Rules
from abaw.protocol.annotations import TRAIN_SET, VALIDATION_SET
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.protocol.manifests import load_manifest
from abaw.protocol.official import OfficialTree

SPLIT_NAMES: Mapping[str, str] = {TRAIN_SET: "train", VALIDATION_SET: "validation"}


@dataclass(frozen=True, slots=True)
class Total:
    """One sum over the data set. found: None if the part that it is counted from does not exist."""

    what: str
    found: int | None
    published: int
    remedy: str

    @property
    def fits(self) -> bool:
        return self.found is None or self.found == self.published


def totals(tree: OfficialTree, subjects: Sequence[SubjectCounts], template: Mapping[str, int] | None) -> list[Total]:
    """Every published number next to ours."""
    facts = load_manifest("expression")
    found = [
        Total("videos", len(tree.videos) or None, facts["videos_in_all"], "download batch1, batch2 and new_vids again")
    ]
    for split, name in SPLIT_NAMES.items():
        found += _of_split([subject for subject in subjects if subject.split == split], name, facts, tree)
    rows = None if template is None else sum(template.values())
    remedy = "use the template of the 6th edition; other editions have other numbers (--subset)"
    found.append(Total("test videos", None if template is None else len(template), facts["videos"]["test"], remedy))
    found.append(Total("template rows", rows, facts["test_frames"], remedy))
    return found


def _of_split(
    subjects: Sequence[SubjectCounts], name: str, facts: Mapping[str, Mapping[str, int]], tree: OfficialTree
) -> Iterator[Total]:
    annotated = sum(int(subject.classes.sum()) for subject in subjects if subject.classes is not None)
    aligned = sum(subject.with_aligned or 0 for subject in subjects)
    labels, crops = "download the annotations again", "download cropped_aligned and cropped_aligned_new_50_vids again"
    has_subjects = bool(subjects)
    yield Total(
        f"{name}: annotated frames", annotated if has_subjects else None, facts["annotated_frames"][name], labels
    )
    yield Total(
        f"{name}: with an aligned image",
        aligned if has_subjects and tree.aligned_roots else None,
        facts["annotated_frames_with_aligned_image"][name],
        crops,
    )
    counted = [subject.with_plain for subject in subjects if subject.with_plain is not None]
    by_class = np.sum(counted, axis=0) if counted else None
    published: Mapping[str, int] = facts["class_counts"][name]  # type: ignore[assignment]
    for index, label in enumerate(EXPRESSION_CLASSES):
        number = None if by_class is None else int(by_class[index])
        remedy = "download the batches of cropped again"
        yield Total(f"{name}: {label} with an image in cropped", number, published[label], remedy)


def compare_totals(found: Sequence[Total], rules: Rules) -> list[Finding]:
    """A finding for each number that differs from the published one."""
    remedy_of_subset = "; give --subset if you have only a part of the data set"
    return [
        Finding(
            rules.missing,
            "published number",
            "",
            f"{total.what}: {total.found:,} found, {total.published:,} published",
            "" if rules.subset else total.remedy + remedy_of_subset,
        )
        for total in found
        if not total.fits
    ]
