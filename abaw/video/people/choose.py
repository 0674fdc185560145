"""Which people of a video a store is about: our reading, over the whole video at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.protocol.layout import Side
from abaw.video.people.corrections import Correction
from abaw.video.people.join_tracks import Person, join_tracks
from abaw.video.people.samples import Samples
from abaw.video.people.track_summary import TrackSummary

_NOT_ANOTHER = 0.75
"""Cosine of two appearances from which on they may be one person, when all else speaks for it; docs/extraction.md."""


@dataclass(frozen=True, slots=True)
class Choice:
    """tracks: whose faces a store holds; runner_up: tracks of the heaviest person who might have been meant instead.

    margin: 1 - weight of the runner-up / weight of the chosen; 1 when there is no other, None when nothing was chosen.
    """

    tracks: frozenset[int]
    margin: float | None
    runner_up: tuple[int, ...] = ()


class TrackBook:
    """Summaries of all tracks and a sample of their boxes, kept while the video goes by."""

    def __init__(self) -> None:
        self.summaries: dict[int, TrackSummary] = {}
        self.samples = Samples()

    def add(
        self,
        frame: int,
        numbers: NDArray[np.int32],
        box_xyxy: NDArray[np.float32],
        image_wh: tuple[int, int],
        looks: NDArray[np.float32] | None = None,
    ) -> None:
        """Note the faces of one frame: track numbers (N,), 0 for nobody's, boxes (N, 4), appearances (N, D)."""
        weights = size_times_centrality(box_xyxy, image_wh)
        middles = (box_xyxy[:, 0] + box_xyxy[:, 2]) / 2 / image_wh[0]
        for row, number in enumerate(numbers.tolist()):
            if number:
                summary = self.summaries.setdefault(number, TrackSummary(number, frame, frame))
                summary.add(frame, float(weights[row]), float(middles[row]), None if looks is None else looks[row])
        self.samples.add(frame, numbers, box_xyxy)

    def people(self) -> list[Person]:
        """The people that the tracks show, heaviest first."""
        return join_tracks(self.summaries.values())


def size_times_centrality(box_xyxy: NDArray[np.float32], image_wh: tuple[int, int]) -> NDArray[np.float64]:
    """(N,) how much each face of a frame is in the foreground.

    Size: square root of the box's part of the picture. Centrality: 1 in the middle, 0 in the corners.
    """
    boxes = box_xyxy.astype(np.float64)
    wh = np.array(image_wh, np.float64)
    sides = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None)
    off_centre = np.linalg.norm((boxes[:, :2] + boxes[:, 2:]) / 2 - wh / 2, axis=1) / np.linalg.norm(wh / 2)
    size = np.sqrt(sides.prod(axis=1) / wh.prod())
    return np.asarray(size * np.clip(1 - off_centre, 0, None), np.float64)


def choose_main(people: Sequence[Person]) -> Choice:
    """The heaviest person, and where that one is not there, others who may be the same.

    Such are the heaviest of all who were there at their time, do not look like somebody else, and overlap in time with
    nobody taken before.
    """
    return _fill(people, people)


def choose_side(people: Sequence[Person], side: Side) -> Choice:
    """The person on one side of a two-person video, nobody's tracks when nobody is there.

    The two main people are the heaviest and the heaviest that was there at the same time; the line between them (the
    middle of the picture, when there is only one) parts all people into left and right; each side is then filled as for
    the main person.
    """
    ranked = _by_weight(people)
    if not ranked:
        return Choice(frozenset(), None)
    partner = next((other for other in ranked[1:] if other.overlaps(ranked[0])), None)
    line = 0.5 if partner is None else (ranked[0].mean_x + partner.mean_x) / 2
    on_side = [person for person in ranked if (person.mean_x < line) == (side == "left")]
    return _fill(on_side, on_side)


def choose_corrected(people: Sequence[Person], corrections: Iterable[Correction]) -> Choice:
    """The people of the tracks that a person chose. Raises DataError for an unknown track or two people at once."""
    owners = {number: person for person in people for number in person.numbers}
    taken: list[Person] = []
    for row in corrections:
        if row.track not in owners:
            there = ", ".join(map(str, sorted(owners))) or "none"
            raise DataError(f"{row.where}: no track {row.track} in {row.video}; its tracks are {there}")
        person = owners[row.track]
        for other in taken:
            if person is not other and person.overlaps(other):
                raise DataError(f"{row.where}: track {row.track} was there at once with {other.numbers[0]}: two people")
        taken.append(person)
    return Choice(frozenset(number for person in taken for number in person.numbers), None)


def choose_all(summaries: Mapping[int, TrackSummary], min_frames: int) -> list[int]:
    """Numbers of the tracks that were seen on at least `min_frames` frames, in order."""
    return sorted(number for number, summary in summaries.items() if summary.num_frames >= min_frames)


def _fill(candidates: Sequence[Person], everybody: Sequence[Person]) -> Choice:
    taken: list[Person] = []
    for person in _by_weight(candidates):
        free = not any(person.overlaps(other) for other in taken)
        heaviest = not any(other.weight > person.weight and other.overlaps(person) for other in everybody)
        if free and (not taken or (heaviest and person.alike(taken[0], unknown=1.0) >= _NOT_ANOTHER)):
            taken.append(person)
    if not taken:
        return Choice(frozenset(), None)
    tracks = frozenset(number for person in taken for number in person.numbers)
    runner_up = next((person for person in _by_weight(candidates) if person not in taken), None)
    if runner_up is None:
        return Choice(tracks, 1.0)
    weight = sum(person.weight for person in taken)
    margin = max(0.0, 1 - runner_up.weight / weight) if weight > 0 else 0.0
    return Choice(tracks, round(margin, 4), runner_up.numbers)


def _by_weight(people: Iterable[Person]) -> list[Person]:
    return sorted(people, key=lambda person: (-person.weight, person.numbers[0]))
