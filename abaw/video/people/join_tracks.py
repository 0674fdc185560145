"""Tracks that shot cuts and long gaps have separated, joined into people where their appearances clearly agree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from abaw.video.people.track_book import TrackSummary

_MIN_COSINE = 0.93
_MIN_LEAD = 0.03
"""Minimum cosine of two appearances of one person, and by how much it must exceed that of anyone else present at the
same time; docs/extraction.md has the measurements."""
_MIN_FRAMES = 5
_MAX_TRACKS = 500


@dataclass(frozen=True, eq=False)
class Person:
    """One or more tracks that never exist at the same time, by number."""

    tracks: tuple[TrackSummary, ...]

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        return tuple(track.number for track in self.tracks)

    @cached_property
    def num_frames(self) -> int:
        return sum(track.num_frames for track in self.tracks)

    @cached_property
    def weight(self) -> float:
        return sum(track.weight for track in self.tracks)

    @cached_property
    def mean_x(self) -> float:
        """Mean horizontal position, 0 to 1 from the viewer's left."""
        return sum(track.sum_x for track in self.tracks) / self.num_frames

    @cached_property
    def appearance(self) -> NDArray[np.float64] | None:
        """Mean appearance (D,) as a unit vector, None if unknown."""
        known = [track.sum_appearance for track in self.tracks if track.sum_appearance is not None]
        return _unit(np.sum(known, axis=0)) if known else None

    def alike(self, other: Person, unknown: float) -> float:
        """Cosine of the appearances; `unknown` if one of them is unknown."""
        return (
            unknown
            if self.appearance is None or other.appearance is None
            else float(self.appearance @ other.appearance)
        )

    def overlaps(self, other: Person) -> bool:
        """True if both are present at the same time."""
        return any(mine.overlaps(theirs) for mine in self.tracks for theirs in other.tracks)


def join_tracks(summaries: Iterable[TrackSummary]) -> list[Person]:
    """People, heaviest first.

    Tracks are joined, the most similar first, if every pair is similar, none exist at the same time, and no third track
    of that time is nearly as similar. Short tracks and those beyond the heaviest few hundred stay separate.
    """
    ranked = sorted(summaries, key=lambda track: (-track.weight, track.number))
    known = [track for track in ranked if track.sum_appearance is not None and track.num_frames >= _MIN_FRAMES][
        :_MAX_TRACKS
    ]
    groups = _joined(known)
    inside = {known[row].number for group in groups for row in group}
    parts = [[known[row] for row in group] for group in groups]
    parts += [[track] for track in ranked if track.number not in inside]
    people = [Person(tuple(sorted(part, key=lambda track: track.number))) for part in parts]
    return sorted(people, key=lambda person: (-person.weight, person.numbers[0]))


def _joined(tracks: Sequence[TrackSummary]) -> list[list[int]]:
    """For each person, the rows of `tracks`."""
    if not tracks:
        return []
    units = np.stack([_unit(track.sum_appearance) for track in tracks if track.sum_appearance is not None])
    alike = units @ units.T
    first, last = (np.array([getattr(track, end) for track in tracks]) for end in ("first", "last"))
    together = (first[:, None] <= last[None]) & (first[None] <= last[:, None])
    group = {row: [row] for row in range(len(tracks))}
    pairs = np.argwhere(np.triu((alike >= _MIN_COSINE) & ~together, 1))
    for a, b in sorted(pairs.tolist(), key=lambda pair: -alike[pair[0], pair[1]]):
        mine, theirs = group[a], group[b]
        if mine is theirs or together[np.ix_(mine, theirs)].any() or (alike[np.ix_(mine, theirs)] < _MIN_COSINE).any():
            continue
        if _clear(alike, together, a, b) and _clear(alike, together, b, a):
            mine += theirs
            group.update(dict.fromkeys(theirs, mine))
    return list({id(rows): rows for rows in group.values()}.values())


def _clear(alike: NDArray[np.float64], together: NDArray[np.bool_], a: int, b: int) -> bool:
    """True if nobody who is present at the same time as b is nearly as similar to a."""
    rivals = together[b].copy()
    rivals[[a, b]] = False
    return not rivals.any() or float(alike[a, b] - alike[a, rivals].max()) >= _MIN_LEAD


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)
