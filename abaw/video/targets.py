"""The stores that one video becomes: whose they are, where they lie, whether they are there already."""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from abaw.core.artifacts import provenance, quick_hash, value_hash
from abaw.core.errors import DataError
from abaw.protocol.layout import Subject
from abaw.stores.arrow import SUFFIX, is_done, read_meta
from abaw.stores.faces import write_video_faces
from abaw.video.spill import FaceSpill
from abaw.video.subjects import TrackSummary, choose_all, choose_main, choose_side

_TRACK = "track"


@dataclass(frozen=True, slots=True)
class Target:
    """A store to write. choice: `main`, `left`, `right` or `track`; tracks: whose faces go into it."""

    name: str
    choice: str
    tracks: frozenset[int]


@dataclass(frozen=True, slots=True)
class ExtractedStore:
    """A store that is there. faces: frames of it that show the person."""

    path: Path
    subject: str
    faces: int


class VideoTargets:
    """Stores of the video at `path` in the folder `out`.

    settings: what decides, beside the video itself, what the stores hold; it goes into metadata and fingerprints.
    """

    def __init__(self, path: Path, out: Path, settings: Mapping[str, Any]) -> None:
        self._video = path.stem
        self._out = out
        self._settings = {"source": path.name, "source_hash": _source_hash(path), **settings}

    def done_subjects(self, subjects: Sequence[Subject]) -> list[ExtractedStore] | None:
        """The stores when all are there, otherwise None. Raises StoreError when another one is in the way."""
        states = [self._done(subject.name, subject.side or "main") for subject in subjects]
        return [self._present(subject.name) for subject in subjects] if all(states) else None

    def done_tracks(self) -> list[ExtractedStore] | None:
        """The same for one store a track: each of them names them all."""
        pattern = re.compile(re.escape(self._video) + r"_track\d+")
        below = sorted(self._out.glob(f"{glob.escape(self._video)}_track*{SUFFIX}"))
        names = [path.stem for path in below if pattern.fullmatch(path.stem)]
        if not names and self._is_empty_video():
            return [self._present(self._video)]
        if not names or not all(self._done(name, _TRACK) for name in names):
            return None
        wanted: list[str] = (read_meta(self._path(names[0])) or {})["stores"]
        return [self._present(name) for name in wanted] if set(wanted) <= set(names) else None

    def _is_empty_video(self) -> bool:
        meta = read_meta(self._path(self._video))
        return meta is not None and meta.get("fingerprint") == self._fingerprint(self._video, _TRACK)

    def of_subjects(self, subjects: Sequence[Subject], summaries: Mapping[int, TrackSummary]) -> list[Target]:
        """One store a subject."""
        targets = []
        for subject in subjects:
            tracks = choose_side(summaries, subject.side) if subject.side else choose_main(summaries)
            targets.append(Target(subject.name, subject.side or "main", tracks))
        return targets

    def of_tracks(self, summaries: Mapping[int, TrackSummary], min_frames: int) -> list[Target]:
        """One store a track that is long enough; one without a face, named like the video, when there is none."""
        numbers = choose_all(summaries, min_frames)
        targets = [Target(f"{self._video}_track{number}", _TRACK, frozenset({number})) for number in numbers]
        return targets or [Target(self._video, _TRACK, frozenset())]

    def write(
        self,
        targets: Sequence[Target],
        spill: FaceSpill,
        summaries: Mapping[int, TrackSummary],
        facts: Mapping[str, Any],
    ) -> list[ExtractedStore]:
        """Write those that are not there yet. Raises StoreError when another store is in the way."""
        names = [target.name for target in targets]
        written = []
        for target in targets:
            if not self._done(target.name, target.choice):
                meta = provenance(
                    **self._settings,
                    **facts,
                    video=self._video,
                    subject=target.name,
                    choice=target.choice,
                    tracks=sorted(target.tracks),
                    faces=sum(summaries[number].num_frames for number in target.tracks),
                    stores=names,
                    fingerprint=self._fingerprint(target.name, target.choice),
                )
                write_video_faces(self._path(target.name), spill.rows(target.tracks), meta)
            written.append(self._present(target.name))
        return written

    def _path(self, name: str) -> Path:
        return self._out / f"{name}{SUFFIX}"

    def _fingerprint(self, name: str, choice: str) -> str:
        return value_hash({**self._settings, "subject": name, "choice": choice})

    def _done(self, name: str, choice: str) -> bool:
        return is_done(self._path(name), self._fingerprint(name, choice))

    def _present(self, name: str) -> ExtractedStore:
        path = self._path(name)
        meta = read_meta(path)
        if meta is None:
            raise DataError(f"{path}: vanished while it was read; does another command write to this folder?")
        return ExtractedStore(path, name, meta["faces"])


def _source_hash(path: Path) -> str:
    try:
        return quick_hash(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from error
