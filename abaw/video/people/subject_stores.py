"""The stores that one video becomes: whose they are, where they lie, whether they are there already."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from abaw.core.artifacts import provenance, quick_hash, value_hash
from abaw.core.errors import DataError
from abaw.protocol.layout import Subject
from abaw.stores.arrow import SUFFIX, is_done, read_meta
from abaw.stores.faces import write_video_faces
from abaw.video.people.choose import Choice, TrackBook, choose_all, choose_corrected, choose_main, choose_side
from abaw.video.people.corrections import Corrections
from abaw.video.people.spill import FaceSpill

_TRACK = "track"
_CORRECTED = "corrected"
_PEOPLE_KEPT = 20
CLOSE_MARGIN = 0.3
"""Margin below which the choice of a person is called close: the runner-up weighs more than 70 % of the chosen."""


@dataclass(frozen=True, slots=True)
class Target:
    """A store to write. kind: `main`, `left`, `right` or `track`."""

    name: str
    kind: str
    choice: Choice


@dataclass(frozen=True, slots=True)
class ExtractedStore:
    """A store that is there. faces: frames of it that show the person; margin, runner_up: see Choice."""

    path: Path
    subject: str
    faces: int
    margin: float | None
    runner_up: tuple[int, ...]

    @property
    def is_close(self) -> bool:
        """True when somebody else might have been meant."""
        return self.margin is not None and self.margin < CLOSE_MARGIN


def close_calls(stores: Iterable[ExtractedStore]) -> list[str]:
    """One line for each store whose person somebody else might have been."""
    return [
        f"{store.subject}: close choice (margin {store.margin:.2f} over track {store.runner_up[0]}); --review shows it"
        for store in stores
        if store.is_close
    ]


class VideoTargets:
    """Stores of the video at `path` in the folder `out`.

    settings: what decides, beside the video itself, what the stores hold; it goes into metadata and fingerprints.
    corrections: whom a person chose; a store that was chosen otherwise is then made anew.
    """

    def __init__(
        self,
        path: Path,
        out: Path,
        settings: Mapping[str, Any],
        corrections: Corrections | None = None,
    ) -> None:
        self._video = path.stem
        self._out = out
        self._settings = {"source": path.name, "source_hash": _source_hash(path), **settings}
        self._corrections = corrections or {}

    def done_subjects(self, subjects: Sequence[Subject]) -> list[ExtractedStore] | None:
        """The stores when all are there, otherwise None. Raises StoreError when another one is in the way."""
        states = [self._is_done(subject.name, subject.side or "main") for subject in subjects]
        return [self._present(subject.name) for subject in subjects] if all(states) else None

    def done_tracks(self) -> list[ExtractedStore] | None:
        """The same for one store a track: each of them names them all."""
        pattern = re.compile(re.escape(self._video) + r"_track\d+")
        below = sorted(self._out.glob(f"{glob.escape(self._video)}_track*{SUFFIX}"))
        names = [path.stem for path in below if pattern.fullmatch(path.stem)]
        if not names and self._is_empty_video():
            return [self._present(self._video)]
        if not names or not all(self._is_done(name, _TRACK) for name in names):
            return None
        wanted: list[str] = (read_meta(self._path(names[0])) or {})["stores"]
        return [self._present(name) for name in wanted] if set(wanted) <= set(names) else None

    def _is_empty_video(self) -> bool:
        meta = read_meta(self._path(self._video))
        return meta is not None and meta.get("fingerprint") == self._fingerprint(self._video, _TRACK)

    def of_subjects(self, subjects: Sequence[Subject], book: TrackBook) -> list[Target]:
        """One store a subject. Raises DataError for a correction that does not fit the tracks."""
        people = book.people()
        targets = []
        for subject in subjects:
            if subject.name in self._corrections:
                choice = choose_corrected(people, self._corrections[subject.name])
            else:
                choice = choose_side(people, subject.side) if subject.side else choose_main(people)
            targets.append(Target(subject.name, subject.side or "main", choice))
        return targets

    def of_tracks(self, book: TrackBook, min_frames: int) -> list[Target]:
        """One store a track that is long enough; one without a face, named like the video, when there is none."""
        numbers = choose_all(book.summaries, min_frames)
        choices = {number: Choice(frozenset({number}), None) for number in numbers}
        targets = [Target(f"{self._video}_track{number}", _TRACK, choice) for number, choice in choices.items()]
        return targets or [Target(self._video, _TRACK, Choice(frozenset(), None))]

    def write(
        self, targets: Sequence[Target], spill: FaceSpill, book: TrackBook, facts: Mapping[str, Any]
    ) -> list[ExtractedStore]:
        """Write those that are not there yet. Raises StoreError when another store is in the way."""
        names = [target.name for target in targets]
        people = [
            {"tracks": person.numbers, "frames": person.num_frames, "weight": round(person.weight, 4)}
            for person in book.people()[:_PEOPLE_KEPT]
        ]
        written = []
        for target in targets:
            if not self._is_done(target.name, target.kind):
                choice = target.choice
                correction = self._correction(target.name)
                meta = provenance(
                    **self._settings,
                    **facts,
                    video=self._video,
                    subject=target.name,
                    choice=target.kind if correction is None else _CORRECTED,
                    correction=correction,
                    tracks=sorted(choice.tracks),
                    margin=choice.margin,
                    runner_up=choice.runner_up,
                    people=people,
                    faces=sum(book.summaries[number].num_frames for number in choice.tracks),
                    stores=names,
                    fingerprint=self._fingerprint(target.name, target.kind),
                    samples=book.samples.to_plain(),
                )
                write_video_faces(self._path(target.name), spill.rows(choice.tracks), meta)
            written.append(self._present(target.name))
        return written

    def _path(self, name: str) -> Path:
        return self._out / f"{name}{SUFFIX}"

    def _fingerprint(self, name: str, kind: str) -> str:
        return value_hash({**self._settings, "subject": name, "choice": kind})

    def _is_done(self, name: str, kind: str) -> bool:
        """Without a correction, a store that was corrected before stands."""
        path = self._path(name)
        wanted = self._correction(name)
        return is_done(path, self._fingerprint(name, kind)) and (
            wanted is None or (read_meta(path) or {}).get("correction") == wanted
        )

    def _correction(self, name: str) -> list[int] | None:
        rows = self._corrections.get(name)
        return None if rows is None else sorted({row.track for row in rows})

    def _present(self, name: str) -> ExtractedStore:
        path = self._path(name)
        meta = read_meta(path)
        if meta is None:
            raise DataError(f"{path}: vanished while it was read; does another command write to this folder?")
        return ExtractedStore(path, name, meta["faces"], meta.get("margin"), tuple(meta.get("runner_up", ())))


def _source_hash(path: Path) -> str:
    try:
        return quick_hash(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from error
