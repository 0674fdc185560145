"""Tracks that shot cuts and long gaps parted, joined into people where their appearance agrees clearly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from abaw.video.people.track_summary import TrackSummary

_SAME = 0.93
_CLEARLY = 0.03
"""Cosine of two appearances that only one person gives, and by how much it must exceed the next best of the same time:
see docs/extraction.md for what was measured."""
_MIN_FRAMES = 5
_MAX_TRACKS = 500


@dataclass(frozen=True, eq=False)
class Person:
    """One or more tracks that never were there at once, by number."""

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
        """Where the person is across the picture, 0 to 1 from the viewer's left."""
        return sum(track.sum_x for track in self.tracks) / self.num_frames

    @cached_property
    def look(self) -> NDArray[np.float64] | None:
        """Mean appearance (D,) as a unit vector, None when it is unknown."""
        known = [track.sum_look for track in self.tracks if track.sum_look is not None]
        return _unit(np.sum(known, axis=0)) if known else None

    def alike(self, other: Person, unknown: float) -> float:
        """Cosine of the appearances, `unknown` when one of them is."""
        return unknown if self.look is None or other.look is None else float(self.look @ other.look)

    def overlaps(self, other: Person) -> bool:
        """True when both were there at once."""
        return any(mine.overlaps(theirs) for mine in self.tracks for theirs in other.tracks)


def join_tracks(summaries: Iterable[TrackSummary]) -> list[Person]:
    """People, heaviest first.

    Tracks are joined, the most alike first, when every one is like every other, none were there at once, and no third
    one that was there at the time is nearly as like. Short tracks and those beyond the heaviest few hundred stay alone.
    """
    ranked = sorted(summaries, key=lambda track: (-track.weight, track.number))
    known = [track for track in ranked if track.sum_look is not None and track.num_frames >= _MIN_FRAMES][:_MAX_TRACKS]
    groups = _joined(known)
    inside = {known[row].number for group in groups for row in group}
    parts = [[known[row] for row in group] for group in groups]
    parts += [[track] for track in ranked if track.number not in inside]
    people = [Person(tuple(sorted(part, key=lambda track: track.number))) for part in parts]
    return sorted(people, key=lambda person: (-person.weight, person.numbers[0]))


def _joined(tracks: Sequence[TrackSummary]) -> list[list[int]]:
    """Rows of `tracks` that are one person."""
    if not tracks:
        return []
    looks = np.stack([_unit(track.sum_look) for track in tracks if track.sum_look is not None])
    alike = looks @ looks.T
    first, last = (np.array([getattr(track, end) for track in tracks]) for end in ("first", "last"))
    at_once = (first[:, None] <= last[None]) & (first[None] <= last[:, None])
    group = {row: [row] for row in range(len(tracks))}
    pairs = np.argwhere(np.triu((alike >= _SAME) & ~at_once, 1))
    for a, b in sorted(pairs.tolist(), key=lambda pair: -alike[pair[0], pair[1]]):
        mine, theirs = group[a], group[b]
        if mine is theirs or at_once[np.ix_(mine, theirs)].any() or (alike[np.ix_(mine, theirs)] < _SAME).any():
            continue
        if _clear(alike, at_once, a, b) and _clear(alike, at_once, b, a):
            mine += theirs
            group.update(dict.fromkeys(theirs, mine))
    return list({id(rows): rows for rows in group.values()}.values())


def _clear(alike: NDArray[np.float64], at_once: NDArray[np.bool_], a: int, b: int) -> bool:
    """True when nobody who was there with b is nearly as like a."""
    rivals = at_once[b].copy()
    rivals[[a, b]] = False
    return not rivals.any() or float(alike[a, b] - alike[a, rivals].max()) >= _CLEARLY


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)
