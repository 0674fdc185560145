"""The stores of one video with one kind of crop: their subjects, their paths, and whether they exist already."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from abaw.core.artifacts import provenance, quick_hash, value_hash
from abaw.core.config import to_plain
from abaw.core.errors import DataError
from abaw.protocol.layout import Subject
from abaw.stores.arrow import SUFFIX, StoreError, is_done, read_meta
from abaw.stores.crop import Crop, crop_identity
from abaw.stores.faces import write_video_faces
from abaw.video.people.choose_person import ChosenTracks, choose_all, choose_corrected, choose_main, choose_side
from abaw.video.people.corrections import Corrections
from abaw.video.people.join_tracks import join_tracks
from abaw.video.people.track_book import TrackBook

_PERSON = "person"
_CORRECTED = "corrected"
_MAX_PEOPLE = 20
CLOSE_MARGIN = 0.3
"""Below this margin the choice of a person is called close: the runner-up weighs more than 70 % of the chosen."""


@dataclass(frozen=True, slots=True)
class PlannedStore:
    """A store to write. kind: `main`, `left`, `right` or `person`."""

    name: str
    kind: str
    chosen: ChosenTracks


@dataclass(frozen=True, slots=True)
class ExtractedStore:
    """A store that exists. faces: number of its frames that show the person; margin, runner_up: see ChosenTracks."""

    path: Path
    subject: str
    crop: Crop
    faces: int
    margin: float | None
    runner_up: tuple[int, ...]

    @property
    def is_close(self) -> bool:
        """True if somebody else might have been meant."""
        return self.margin is not None and self.margin < CLOSE_MARGIN


def close_calls(stores: Iterable[ExtractedStore]) -> list[str]:
    """One line for each store with a close choice."""
    return [
        f"{store.subject}: close choice (margin {store.margin:.2f} over track {store.runner_up[0]}); --review shows it"
        for store in stores
        if store.is_close
    ]


class SubjectStores:
    """Stores of the video at `path` with one kind of crop, in the folder `out`.

    settings: what, in addition to the video, determines the contents of the stores; part of metadata and fingerprints.
    corrections: people chosen in a correction file; a store that shows somebody else is then written again.
    """

    def __init__(
        self,
        path: Path,
        out: Path,
        crop: Crop,
        settings: Mapping[str, Any],
        corrections: Corrections | None = None,
    ) -> None:
        self._video = path.stem
        self._out = out
        self._crop = crop
        source = {"source": path.name, "source_hash": quick_hash(path)}
        self._settings = {**source, **settings, "crop_size": crop.pixels}
        self._corrections = corrections or {}

    def done_subjects(self, subjects: Sequence[Subject]) -> list[ExtractedStore] | None:
        """The stores if all exist, otherwise None. Raises StoreError if a different store has one of the names."""
        states = [self._is_done(subject.name, subject.side or "main") for subject in subjects]
        return [self._present(subject.name) for subject in subjects] if all(states) else None

    def done_people(self) -> list[ExtractedStore] | None:
        """The same for one store per person: each of them lists all."""
        pattern = re.compile(re.escape(self._video) + r"_person\d+")
        below = sorted(self._out.glob(f"{glob.escape(self._video)}_person*{SUFFIX}"))
        names = [path.stem for path in below if pattern.fullmatch(path.stem)]
        if not names and self._is_empty_video():
            return [self._present(self._video)]
        if not names or not all(self._is_done(name, _PERSON) for name in names):
            return None
        wanted: list[str] = (read_meta(self._path(names[0])) or {})["stores"]
        return [self._present(name) for name in wanted] if set(wanted) <= set(names) else None

    def require_automatic_choice(self, subjects: Sequence[Subject]) -> None:
        """Raise StoreError if a store shows a person chosen by hand, and no correction is given for it now.

        To be called before stores with other crops are made, which would show somebody else.
        """
        for subject in subjects:
            meta = read_meta(self._path(subject.name)) or {}
            if meta.get("correction") is not None and subject.name not in self._corrections:
                raise StoreError(
                    f"{self._path(subject.name)}: shows a person chosen by hand; give the same --corrections again to "
                    "make its other kinds of crop"
                )

    def _is_empty_video(self) -> bool:
        meta = read_meta(self._path(self._video))
        return meta is not None and meta.get("fingerprint") == self._fingerprint(self._video, _PERSON)

    def plan_subjects(self, subjects: Sequence[Subject], book: TrackBook) -> list[PlannedStore]:
        """One store per subject. Raises DataError for a correction that does not fit the tracks."""
        people = join_tracks(book.summaries.values())
        planned = []
        for subject in subjects:
            if subject.name in self._corrections:
                chosen = choose_corrected(people, self._corrections[subject.name])
            else:
                chosen = choose_side(people, subject.side) if subject.side else choose_main(people)
            planned.append(PlannedStore(subject.name, subject.side or "main", chosen))
        return planned

    def plan_people(self, book: TrackBook, min_frames: int) -> list[PlannedStore]:
        """One store per person who is visible long enough, numbered from the longest visible; if there is none, one
        without faces, named after the video.
        """
        people = choose_all(join_tracks(book.summaries.values()), min_frames)
        planned = [
            PlannedStore(f"{self._video}_person{number}", _PERSON, chosen) for number, chosen in enumerate(people, 1)
        ]
        return planned or [PlannedStore(self._video, _PERSON, ChosenTracks(frozenset(), None))]

    def write(
        self,
        planned: Sequence[PlannedStore],
        rows: Callable[[Collection[int]], Iterator[pa.RecordBatch]],
        book: TrackBook,
        facts: Mapping[str, Any],
    ) -> list[ExtractedStore]:
        """Write those that do not exist yet. Raises StoreError if a different store has one of the names.

        rows: from tracks to the rows of a store, see FaceSpill.
        """
        names = [store.name for store in planned]
        people = [
            {"tracks": person.numbers, "frames": person.num_frames, "weight": round(person.weight, 4)}
            for person in join_tracks(book.summaries.values())[:_MAX_PEOPLE]
        ]
        written = []
        for store in planned:
            if not self._is_done(store.name, store.kind):
                chosen = store.chosen
                correction = self._correction(store.name)
                meta = provenance(
                    **self._settings,
                    crop=to_plain(self._crop),
                    **facts,
                    video=self._video,
                    subject=store.name,
                    choice=store.kind if correction is None else _CORRECTED,
                    correction=correction,
                    tracks=sorted(chosen.tracks),
                    margin=chosen.margin,
                    runner_up=chosen.runner_up,
                    people=people,
                    faces=sum(book.summaries[number].num_frames for number in chosen.tracks),
                    stores=names,
                    fingerprint=self._fingerprint(store.name, store.kind),
                    samples=book.samples.to_plain(),
                )
                write_video_faces(self._path(store.name), rows(chosen.tracks), meta)
            written.append(self._present(store.name))
        return written

    def _path(self, name: str) -> Path:
        return self._out / f"{name}{SUFFIX}"

    def _fingerprint(self, name: str, kind: str) -> str:
        return value_hash({**self._settings, **crop_identity(self._crop), "subject": name, "choice": kind})

    def _is_done(self, name: str, kind: str) -> bool:
        """Without a correction, a store that was corrected earlier counts as done."""
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
            raise DataError(f"{path}: disappeared while it was read; is another command writing to this folder?")
        return ExtractedStore(
            path, name, self._crop, meta["faces"], meta.get("margin"), tuple(meta.get("runner_up", ()))
        )
