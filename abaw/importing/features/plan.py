"""Which files hold which videos, and to which faces stores these belong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from abaw.core.artifacts import file_hash
from abaw.core.errors import DataError
from abaw.core.folders import user_files
from abaw.core.text import listed
from abaw.importing.features.registry import SUFFIXES, is_feature_file, open_feature_file
from abaw.importing.features.rows import FeatureFile, ReadOptions
from abaw.protocol.layout import video_of
from abaw.stores.sources import FACE


@dataclass(frozen=True, slots=True)
class ImportItem:
    """One store to write. video: its name in the file; faces: the store whose frames it gets."""

    file: Path
    video: str
    faces: Path


@dataclass(slots=True)
class OpenFiles:
    """Opens files one at a time and keeps the last one open, because a file may hold all videos.

    In another process, where it arrives pickled, it starts without an open file.
    """

    options: ReadOptions
    _opened: tuple[Path, FeatureFile] | None = None
    _hashed: tuple[Path, str] | None = None

    def open(self, path: Path) -> FeatureFile:
        if self._opened is None or path != self._opened[0]:
            self.close()
            self._opened = path, open_feature_file(path, self.options)
        return self._opened[1]

    def sha256(self, path: Path) -> str:
        """The hash of a file, which is kept like an open file."""
        if self._hashed is None or path != self._hashed[0]:
            self._hashed = path, file_hash(path)
        return self._hashed[1]

    def close(self) -> None:
        if self._opened is not None:
            self._opened[1].close()
        self._opened = None

    def __reduce__(self) -> tuple[type[OpenFiles], tuple[ReadOptions]]:
        return OpenFiles, (self.options,)


@dataclass(slots=True)
class ImportPlan:
    """What to import. Names to report: unmatched: videos in the files that have no faces store; without: faces stores
    without features; notes: one line each; faults: why files could not be read."""

    items: list[ImportItem] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_feature_files(paths: Iterable[Path], unknown: list[str]) -> list[Path]:
    """Files of features among the paths and below the folders. unknown: gets the names of other files in folders.

    A file given by its path is always among them. Raises DataError for a folder without such files.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        files = list(user_files(path))
        below = [file for file in files if is_feature_file(file)]
        others = [str(file.relative_to(path)) for file in files if not is_feature_file(file)]
        if not below:
            has = f"; it has {listed(others, 3)}" if others else ""
            raise DataError(f"{path}: contains no file of features ({', '.join(SUFFIXES)}){has}")
        found += below
        unknown += others
    return found


def plan_import(files: Sequence[Path], faces: Mapping[str, Path], opened: OpenFiles, modality: str) -> ImportPlan:
    """Match the videos in the files to the faces stores, by name.

    faces: by name. A file that is named after a faces store belongs to it and is not opened here. Features of anything
    but a face (modality) that are named after a video belong to all people of the video that have none of their own.
    Raises DataError for a video in two files, and when no name matches.
    """
    plan, places = ImportPlan(), dict[str, Path]()
    for file in files:
        for video in [file.stem] if file.stem in faces else _videos_in(file, opened, plan):
            other = places.setdefault(video, file)
            if other != file:
                raise DataError(f"two files hold the video '{video}': {other} and {file}; import one of them")
    if plan.faults and not places:
        raise DataError(plan.faults[0])
    subjects = {name: video_of(name) for name in faces}
    for name, path in faces.items():
        video = name if name in places or modality == FACE else subjects[name]
        if video in places:
            plan.items.append(ImportItem(places[video], video, path))
        else:
            plan.without.append(name)
    used = {item.video for item in plan.items}
    plan.unmatched += [video for video in places if video not in used]
    if not plan.items:
        raise DataError(
            f"no name in the files is that of a faces store: there are features of {listed(plan.unmatched, 3)}, and "
            f"faces of {listed(list(faces), 3)}; rename the files, the keys or the videos in the table"
        )
    order = {file: index for index, file in enumerate(files)}
    plan.items.sort(key=lambda item: order[item.file])
    return plan


def _videos_in(file: Path, opened: OpenFiles, plan: ImportPlan) -> Sequence[str]:
    """The names in a file; the file's own where it holds none. A file that cannot be read is added to the faults."""
    try:
        videos = opened.open(file).videos or (file.stem,)
    except DataError as error:
        plan.faults.append(str(error))
        return ()
    if list(videos) != sorted(videos):
        plan.notes.append(f"{file}: its videos are in another order than the faces stores; they are matched by name")
    return videos
