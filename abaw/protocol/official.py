"""The contents of a folder of Aff-Wild2 as the organisers distribute it, in any edition; no file is opened.

Videos are in `batch1`, `batch2`, `new_vids`; crops in `cropped_aligned`, `cropped_aligned_new_50_vids` (aligned) and in
`cropped` or folders whose names begin with it (not aligned), directly or in batches; annotations in the tasks' folders.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.core.folders import is_system_file
from abaw.core.reading import read_errors
from abaw.protocol.annotations import TRAIN_SET, VALIDATION_SET, text_files
from abaw.protocol.classes import TASKS
from abaw.protocol.labels import FOLDERS, split_folders
from abaw.protocol.layout import IMAGE_SUFFIXES, VIDEO_SUFFIXES

SPLITS = (TRAIN_SET, VALIDATION_SET)
_ALIGNED = "cropped_aligned"
_CROPPED = "cropped"
_TASK_FOLDERS = frozenset(name for names in FOLDERS.values() for name in names)
_CROP = re.compile(r"(?:[0-9]{5}|[1-9][0-9]{5,8})\.jpg")
_KEPT = 3


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """The images of one folder.

    frames: (N,) int32 from 1, ascending; wrong: the first names of images that are not of the form `00001.jpg`;
    num_wrong: their number.
    """

    path: Path
    frames: NDArray[np.int32]
    wrong: tuple[str, ...]
    num_wrong: int

    @property
    def last_frame(self) -> int:
        return int(self.frames[-1]) if len(self.frames) else 0


@dataclass(frozen=True, slots=True)
class OfficialTree:
    """What exists, by name. More than one place for a name is a fault that the caller reports.

    videos: files by stem; aligned, plain: folders of crops by video; annotations: files by (task, split), then name.
    aligned_roots, plain_roots: the folders in which the crops were found; annotation_folders: all folders of a task
    and split, of which the first is read.
    """

    root: Path
    videos: Mapping[str, tuple[Path, ...]]
    aligned: Mapping[str, tuple[Crops, ...]]
    plain: Mapping[str, tuple[Crops, ...]]
    aligned_roots: tuple[Path, ...]
    plain_roots: tuple[Path, ...]
    annotation_folders: Mapping[tuple[str, str], tuple[Path, ...]]
    annotations: Mapping[tuple[str, str], Mapping[str, Path]]


def scan_tree(root: Path) -> OfficialTree:
    """List the data set below `root`. Raises DataError when it is not a folder or contains nothing of the data set."""
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give the folder with batch1, annotations, cropped_aligned, …")
    videos: dict[str, list[Path]] = {}
    crop_roots: list[Path] = []
    _walk(root, videos, crop_roots)
    aligned_roots = tuple(folder for folder in sorted(crop_roots) if folder.name.startswith(_ALIGNED))
    plain_roots = tuple(folder for folder in sorted(crop_roots) if not folder.name.startswith(_ALIGNED))
    folders = _annotation_folders(root)
    if not (videos or crop_roots or folders):
        raise DataError(
            f"{root}: nothing of Aff-Wild2 found; searched for videos, folders named cropped* and "
            f"{', '.join(sorted(_TASK_FOLDERS))}, also below annotations/"
        )
    return OfficialTree(
        root,
        {name: tuple(sorted(files)) for name, files in sorted(videos.items())},
        _by_name(aligned_roots),
        _by_name(plain_roots),
        aligned_roots,
        plain_roots,
        folders,
        {key: text_files(places[0]) for key, places in folders.items()},
    )


def _entries(folder: Path) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
    with read_errors(folder, "not a readable folder"):
        return os.scandir(folder)


def _walk(folder: Path, videos: dict[str, list[Path]], crop_roots: list[Path]) -> None:
    """Videos and the roots of crops; what is below such a root or below a task's annotations is not walked."""
    with _entries(folder) as entries:
        for entry in entries:
            if is_system_file(entry.name):
                continue
            if entry.is_dir():
                if entry.name.startswith(_CROPPED):
                    crop_roots.append(Path(entry.path))
                elif entry.name not in _TASK_FOLDERS:
                    _walk(Path(entry.path), videos, crop_roots)
            elif os.path.splitext(entry.name)[1].lower() in VIDEO_SUFFIXES:
                videos.setdefault(Path(entry.name).stem, []).append(Path(entry.path))


def _by_name(roots: tuple[Path, ...]) -> Mapping[str, tuple[Crops, ...]]:
    found: dict[str, list[Crops]] = {}
    for root in roots:
        for crops in _scan(root, is_root=True):
            found.setdefault(crops.path.name, []).append(crops)
    return {name: tuple(places) for name, places in sorted(found.items())}


def _scan(folder: Path, is_root: bool = False) -> Iterator[Crops]:
    """Folders of crops. For speed, the type of an entry is queried only when its name is not that of a crop."""
    frames: list[int] = []
    wrong: list[str] = []
    below: list[Path] = []
    with _entries(folder) as entries:
        for entry in entries:
            name = entry.name
            if _CROP.fullmatch(name) and name != "00000.jpg":
                frames.append(int(name[:-4]))
            elif is_system_file(name):
                continue
            elif entry.is_dir():
                below.append(Path(entry.path))
            elif os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES and not name.startswith("."):
                wrong.append(name)
    if frames or wrong or not (below or is_root):
        kept = tuple(sorted(wrong)[:_KEPT])
        yield Crops(folder, np.sort(np.array(frames, np.int32)), kept, len(wrong))
    for path in sorted(below):
        yield from _scan(path)


def _annotation_folders(root: Path) -> Mapping[tuple[str, str], tuple[Path, ...]]:
    found = {}
    for task in TASKS:
        for split in SPLITS:
            if places := split_folders(root, split, task):
                found[task, split] = places
    return found
