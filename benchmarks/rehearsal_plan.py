"""The shape of Aff-Wild2, drawn at random: videos, people, frames, labels and missing faces with the published totals.

Shapes: T frames, L label lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abaw.protocol.classes import EXPRESSION_CLASSES, UNLABELLED
from abaw.protocol.manifests import load_manifest

NUM_FRAMES = 2_700_000
SPLITS = ("train", "validation", "test")
_PAIRS = {"train": 12, "validation": 3, "test": 8}
"""Videos of two people: so many names end in `_left`, so many in `_right`."""
_FEWEST = {"train": 12, "validation": 6, "test": 4, "other": 1}
_SHORTEST = 40
_NO_FACE = 0.017
"""Share of frames without a crop, where the published counts say nothing."""
_ENDS_UNLABELLED = 8
"""Lines at the end of each label file: so many may lie after the last frame of the video."""


@dataclass(frozen=True)
class Person:
    """One name in the label files or the template. labels: (L,), -1 for none; faces: (T,) False without a crop.

    In the test set, L is the number of rows of the template.
    """

    name: str
    video: str
    split: str
    labels: NDArray[np.int8]
    faces: NDArray[np.bool_]

    @property
    def num_frames(self) -> int:
        return len(self.faces)


@dataclass(frozen=True)
class Plan:
    """videos: frames by name, of all videos; people: in the order of the label files and of the template."""

    videos: Mapping[str, int]
    people: tuple[Person, ...]

    def of(self, *splits: str) -> list[Person]:
        return [person for person in self.people if person.split in splits]


def make_plan(scale: float, seed: int = 0) -> Plan:
    """scale: the share of all videos and frames; there are a few videos of each split in any case."""
    rng = np.random.default_rng(seed)
    facts: Any = load_manifest("expression")
    totals = _frames_by_split(facts, scale)
    people: list[Person] = []
    for split in SPLITS:
        num_pairs = max(1, round(_PAIRS[split] * scale))
        # The test videos are counted as people, those of the other splits as videos.
        names = facts["videos"][split] - (num_pairs if split == "test" else 0)
        named = _names(split, max(_FEWEST[split], round(names * scale)), num_pairs, len(people))
        weights = _weights([video for _, video in named], rng)
        if split == "test":
            people += _test_people(named, shares(totals[split], weights), rng)
        else:
            people += _labelled_people(
                split, named, shares(totals[split], weights), _Counts.of(facts, split, scale), rng
            )
    videos: dict[str, int] = {}
    for person in people:
        videos[person.video] = max(videos.get(person.video, 0), person.num_frames)
    for number in range(max(_FEWEST["other"], round(facts["videos_in_all"] * scale) - len(videos))):
        videos[f"other{number + 1}-30-1280x720"] = int(rng.integers(_SHORTEST, 400))
    return Plan(videos, tuple(people))


def shares(total: int, weights: NDArray[np.floating] | Sequence[float]) -> NDArray[np.int64]:
    """Whole numbers in proportion to the weights, with exactly this sum."""
    ends = np.round(np.cumsum(weights) / np.sum(weights) * total)
    return np.diff(np.concatenate([[0], ends])).astype(np.int64)


def _frames_by_split(facts: Any, scale: float) -> dict[str, int]:
    annotated = facts["annotated_frames"]
    rest = NUM_FRAMES - facts["test_frames"]
    train = round(rest * annotated["train"] / (annotated["train"] + annotated["validation"]))
    whole = {"train": train, "validation": rest - train, "test": facts["test_frames"]}
    return {split: round(count * scale) for split, count in whole.items()}


def _names(split: str, num_videos: int, num_pairs: int, first: int) -> list[tuple[str, str]]:
    """(name, video) of each person."""
    named = []
    for number in range(num_videos):
        video = f"{split}{first + number + 1}-30-1280x720"
        sides = ("_left", "_right") if number < num_pairs else ("",)
        named += [(f"{video}{side}", video) for side in sides]
    return named


def _weights(videos: Sequence[str], rng: np.random.Generator) -> NDArray[np.float64]:
    """Lengths in any unit: videos differ by a factor of ten, both people of a video are in all of its frames."""
    by_video = {video: 0.15 + rng.gamma(2.0) for video in dict.fromkeys(videos)}
    return np.array([by_video[video] for video in videos])


@dataclass(frozen=True)
class _Counts:
    """Of one split: frames with a label, those of them with a crop, and those of each class (in proportion)."""

    annotated: int
    with_crop: int
    by_class: NDArray[np.int64]

    @classmethod
    def of(cls, facts: Any, split: str, scale: float) -> _Counts:
        annotated = round(facts["annotated_frames"][split] * scale)
        with_crop = round(facts["annotated_frames_with_aligned_image"][split] * scale)
        published = [facts["class_counts"][split][name] for name in EXPRESSION_CLASSES]
        return cls(annotated, with_crop, shares(annotated, published))


def _labelled_people(
    split: str, named: Sequence[tuple[str, str]], lengths: NDArray[np.int64], counts: _Counts, rng: np.random.Generator
) -> list[Person]:
    annotated = shares(counts.annotated, lengths)
    without_crop = shares(counts.annotated - counts.with_crop, annotated)
    sequences = np.split(_segments(counts.by_class, rng), np.cumsum(annotated)[:-1])
    people = []
    for (name, video), length, sequence, missing in zip(named, lengths, sequences, without_crop, strict=True):
        num_lines = max(int(length), len(sequence) + _ENDS_UNLABELLED)
        labels = _with_gaps(sequence, num_lines, rng)
        faces = np.ones(num_lines + _off(rng), dtype=bool)
        known = np.flatnonzero(labels > UNLABELLED)
        unknown = np.setdiff1d(np.arange(len(faces)), known)
        faces[_stretch(known, int(missing), rng)] = False
        faces[_stretch(unknown, round(_NO_FACE * len(unknown)), rng)] = False
        people.append(Person(name, video, split, labels, faces))
    return people


def _test_people(named: Sequence[tuple[str, str]], rows: NDArray[np.int64], rng: np.random.Generator) -> list[Person]:
    people = []
    for (name, video), num_rows in zip(named, rows, strict=True):
        faces = np.ones(int(num_rows) + _off(rng), dtype=bool)
        faces[_stretch(np.arange(len(faces)), round(_NO_FACE * len(faces)), rng)] = False
        people.append(Person(name, video, "test", np.full(int(num_rows), UNLABELLED, dtype=np.int8), faces))
    return people


def _off(rng: np.random.Generator) -> int:
    """By how many frames a video is longer than its label file: a few, in a tenth of the videos."""
    return int(rng.choice([-3, -1, 1, 2, 4])) if rng.random() < 0.1 else 0


def _segments(by_class: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int8]:
    """Labels of all people, one after the other, in segments of about five seconds. by_class: (C,) frames."""
    segments = []
    for label, count in enumerate(by_class.tolist()):
        while count > 0:
            length = min(count, int(rng.lognormal(np.log(150), 0.8)) + 1)
            segments.append(np.full(length, label, dtype=np.int8))
            count -= length
    return np.concatenate([segments[index] for index in rng.permutation(len(segments))])


def _with_gaps(labels: NDArray[np.int8], num_lines: int, rng: np.random.Generator) -> NDArray[np.int8]:
    """(num_lines,) the labels with stretches of -1 between them and at the end."""
    num_gaps = max(1, num_lines // 800)
    gaps = shares(num_lines - len(labels) - _ENDS_UNLABELLED, rng.random(num_gaps) + 0.1)
    places = np.sort(rng.integers(0, len(labels) + 1, num_gaps))
    filled = np.insert(labels, np.repeat(places, gaps), UNLABELLED)
    return np.concatenate([filled, np.full(num_lines - len(filled), UNLABELLED, dtype=np.int8)])


def _stretch(frames: NDArray[np.int64], length: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Neighbours among the frames."""
    start = int(rng.integers(0, max(1, len(frames) - length + 1)))
    return frames[start : start + length]
