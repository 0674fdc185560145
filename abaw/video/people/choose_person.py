"""Which person a store shows: our reading, from the tracks of the whole video."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from abaw.core.errors import DataError
from abaw.protocol.layout import Side
from abaw.video.people.corrections import Correction
from abaw.video.people.join_tracks import Person

_NOT_ANOTHER = 0.75
"""Minimum cosine of two appearances that may be the same person if everything else fits; see docs/extraction.md."""


@dataclass(frozen=True, slots=True)
class ChosenTracks:
    """tracks: whose faces a store holds; runner_up: tracks of the heaviest person that might have been meant instead.

    margin: 1 - weight of the runner-up / weight of the chosen; 1 if there is no runner-up, None if nothing was chosen.
    """

    tracks: frozenset[int]
    margin: float | None
    runner_up: tuple[int, ...] = ()


def choose_main(people: Sequence[Person]) -> ChosenTracks:
    """The heaviest person, plus others that may be the same person while that one is absent.

    Those are the heaviest of all people present at their time, do not look like somebody else, and overlap in time with
    nobody chosen before.
    """
    return _fill(people, people)


def choose_side(people: Sequence[Person], side: Side) -> ChosenTracks:
    """The person on one side of a two-person video, no tracks if nobody is there.

    The two main people are the heaviest one and the heaviest that is present at the same time. The line between them
    (the middle of the picture if there is only one) divides all people into left and right. The person of each side is
    then chosen as in `choose_main`.
    """
    ranked = _by_weight(people)
    if not ranked:
        return ChosenTracks(frozenset(), None)
    partner = next((other for other in ranked[1:] if other.overlaps(ranked[0])), None)
    line = 0.5 if partner is None else (ranked[0].mean_x + partner.mean_x) / 2
    on_side = [person for person in ranked if (person.mean_x < line) == (side == "left")]
    return _fill(on_side, on_side)


def choose_corrected(people: Sequence[Person], corrections: Iterable[Correction]) -> ChosenTracks:
    """The people of the tracks in a correction file.

    Raises DataError for an unknown track, or for two people who are present at the same time.
    """
    owners = {number: person for person in people for number in person.numbers}
    taken: list[Person] = []
    for row in corrections:
        if row.track not in owners:
            tracks = ", ".join(map(str, sorted(owners))) or "none"
            raise DataError(f"{row.where}: no track {row.track} in {row.video}; its tracks are {tracks}")
        person = owners[row.track]
        for other in taken:
            if person is not other and person.overlaps(other):
                raise DataError(
                    f"{row.where}: track {row.track} is present at the same time as track {other.numbers[0]}, so they "
                    "are two people; keep the row of one of them"
                )
        taken.append(person)
    return ChosenTracks(frozenset(number for person in taken for number in person.numbers), None)


def choose_all(people: Sequence[Person], min_frames: int) -> list[ChosenTracks]:
    """The people who are visible on at least `min_frames` frames, the longest visible first."""
    long = sorted((-person.num_frames, person.numbers) for person in people if person.num_frames >= min_frames)
    return [ChosenTracks(frozenset(numbers), None) for _, numbers in long]


def _fill(candidates: Sequence[Person], everybody: Sequence[Person]) -> ChosenTracks:
    taken: list[Person] = []
    for person in _by_weight(candidates):
        free = not any(person.overlaps(other) for other in taken)
        heaviest = not any(other.weight > person.weight and other.overlaps(person) for other in everybody)
        if free and (not taken or (heaviest and person.alike(taken[0], unknown=1.0) >= _NOT_ANOTHER)):
            taken.append(person)
    if not taken:
        return ChosenTracks(frozenset(), None)
    tracks = frozenset(number for person in taken for number in person.numbers)
    runner_up = next((person for person in _by_weight(candidates) if person not in taken), None)
    if runner_up is None:
        return ChosenTracks(tracks, 1.0)
    weight = sum(person.weight for person in taken)
    margin = max(0.0, 1 - runner_up.weight / weight) if weight > 0 else 0.0
    return ChosenTracks(tracks, round(margin, 4), runner_up.numbers)


def _by_weight(people: Iterable[Person]) -> list[Person]:
    return sorted(people, key=lambda person: (-person.weight, person.numbers[0]))
