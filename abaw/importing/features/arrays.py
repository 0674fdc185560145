"""Files of named arrays: one video, a video per name, or a vector per frame.

A file is read into a tree whose inner nodes are dictionaries and whose leaves load their array on use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.importing.features.exported import exported_meta
from abaw.importing.features.rows import (
    EXPORT_KEY,
    FEATURE_NAMES,
    FRAME_NAMES,
    TIME_NAMES,
    VALID_NAMES,
    ReadOptions,
    VideoRows,
    whole_numbers,
)

_FRAME_KEY = re.compile(r"(?:(?P<folder>.+)/)?(?P<number>[0-9]{1,9})(?P<suffix>\.(?:jpe?g|png|bmp|webp))?", re.I)
"""`video/00001.jpg`, `00001.jpg`, `video/17` or `17`."""


_MAX_DEPTH = 3
"""Folder, video, frame."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """An array that is loaded on use."""

    load: Callable[[], NDArray[Any]]


Node: TypeAlias = Leaf | Mapping[Any, "Node"]


@dataclass(frozen=True, slots=True)
class _Frame:
    """One vector of a dictionary by frame. key: as the file has it."""

    key: Any
    number: int
    is_image: bool
    leaf: Leaf


Part = Node | list[_Frame]
"""What a video has of the tree."""


@dataclass(frozen=True)
class ArrayFile:
    """A FeatureFile from a tree of arrays. release: closes what the leaves load from."""

    path: Path
    tree: Node
    options: ReadOptions
    release: Callable[[], None] = lambda: None

    def close(self) -> None:
        self.release()

    @property
    def videos(self) -> tuple[str, ...]:
        return tuple(name for name in self._videos if name is not None)

    @property
    def exported(self) -> Mapping[str, Any] | None:
        leaf = self.tree.get(EXPORT_KEY) if isinstance(self.tree, Mapping) else None
        if not isinstance(leaf, Leaf):
            return None
        return exported_meta(self.path, leaf.load().tobytes())

    def rows(self, video: str | None) -> VideoRows:
        where = str(self.path) if video is None else f"{self.path}: {video}"
        node = self._videos[video]
        return _framed(node, where) if isinstance(node, list) else _whole(node, where, self.exported is not None)

    @cached_property
    def _videos(self) -> dict[str | None, Part]:
        """The part of the tree that each video has; under None, a video that has no name."""
        if isinstance(self.tree, Leaf) or _array(self.tree, FEATURE_NAMES) is not None:
            return {None: self.tree}
        found: dict[str | None, Part] = {}
        for name, part in self._named(self.tree):
            earlier = found.setdefault(name, part)
            if earlier is not part:
                raise DataError(f"{self.path}: holds the video '{name}' twice; remove one of them")
        if not found:
            raise DataError(f"{self.path}: contains no array")
        if None in found and len(found) > 1:
            raise DataError(f"{self.path}: some of its keys name a video and some do not; name it in all of them")
        (name, part), *others = found.items()
        # The only name may be that of what the array is, such as `logits`.
        if isinstance(part, Leaf) and not others and name not in self.options.known:
            return {None: part}
        return found

    def _named(self, tree: Mapping[Any, Node]) -> Iterator[tuple[str | None, Part]]:
        """Videos and their parts of the tree; vectors by frame are collected by video."""
        by_video: dict[str | None, list[_Frame]] = {}
        for key, node in tree.items():
            text = str(key).replace("\\", "/")
            name = self._video_name(text)
            match = None if name in self.options.known else _FRAME_KEY.fullmatch(text)
            if match is not None and isinstance(node, Leaf):
                folder = PurePosixPath(match["folder"]).name if match["folder"] else None
                frame = _Frame(key, int(match["number"]), match["suffix"] is not None, node)
                by_video.setdefault(folder, []).append(frame)
            elif isinstance(node, Leaf) or _array(node, FEATURE_NAMES) is not None:
                yield name, node
            else:
                for inner, part in self._named(node):
                    yield (name if inner is None else inner), part
        yield from by_video.items()

    def _video_name(self, key: str) -> str:
        """The last part of a path, without the suffix of a video file if a faces store has that name."""
        name = PurePosixPath(key).name or key
        stem = PurePosixPath(name).stem
        return stem if name not in self.options.known and stem in self.options.known else name


def tree_of(path: Path, value: Any, leaf_of: Callable[[Any, str], Leaf | None], name: str = "", depth: int = 0) -> Node:
    """The tree of what a file was unpickled to. leaf_of: the array of a value, by name; None for other things.

    Raises DataError for anything but dictionaries and arrays, and for dictionaries within dictionaries without end.
    """
    what = f"its key '{name}'" if name else "the file"
    if isinstance(value, Mapping):
        if depth == _MAX_DEPTH:
            raise DataError(
                f"{path}: {what} holds dictionaries in dictionaries in dictionaries; expected videos, frames"
            )
        return {key: tree_of(path, inner, leaf_of, str(key), depth + 1) for key, inner in value.items()}
    leaf = leaf_of(value, name)
    if leaf is None:
        raise DataError(f"{path}: {what} holds {type(value).__name__.lstrip('_')}; expected an array of numbers")
    return leaf


def _array(node: Node, names: tuple[str, ...]) -> Leaf | None:
    """The array of a video that has one of these names."""
    if isinstance(node, Leaf):
        return None
    return next((part for name in names if isinstance(part := node.get(name), Leaf)), None)


def _whole(node: Node, where: str, from_one: bool) -> VideoRows:
    """A video whose features are one array, perhaps with arrays of frame numbers, times and validity."""
    if isinstance(node, Leaf):
        return VideoRows(where, node.load())
    leaf = _array(node, FEATURE_NAMES)
    assert leaf is not None
    features = leaf.load()
    frames, times, valid = (
        _numbers(_array(node, names), f"{where}: {names[0]}") for names in (FRAME_NAMES, TIME_NAMES, VALID_NAMES)
    )
    return VideoRows(
        where,
        features,
        None if frames is None else whole_numbers(frames, where),
        None if times is None else times.astype(np.float64),
        None if valid is None else valid == 1,
        from_one,
        unread=_unread(node, len(features)) if frames is None and features.ndim else (),
    )


_READ = frozenset((*FEATURE_NAMES, *FRAME_NAMES, *TIME_NAMES, *VALID_NAMES, EXPORT_KEY))


def _unread(node: Mapping[Any, Node], num_rows: int) -> tuple[str, ...]:
    """The arrays under other names that may say which frames the rows are."""
    others = [(str(key), leaf) for key, leaf in node.items() if isinstance(leaf, Leaf) and key not in _READ]
    return tuple(name for name, leaf in others if _may_number(leaf, num_rows))


def _may_number(leaf: Leaf, num_rows: int) -> bool:
    """Whether an array has a value per row, none of them twice, that is text, a whole number or larger than the last.

    Labels, masks and the like repeat values, which frame numbers and times may not; scores go up and down. An array
    that is not readable, as of objects, is something else too.
    """
    try:
        values = leaf.load().reshape(-1)
    except DataError:
        return False
    if not num_rows or len(values) != num_rows:
        return False
    given = values.tolist()
    if any(not isinstance(each, str | bytes | int | float) for each in given) or len(set(given)) < num_rows:
        return False
    return values.dtype.kind not in "fiu" or bool((values == np.rint(values)).all() or (np.diff(values) > 0).all())


def _numbers(leaf: Leaf | None, where: str) -> NDArray[Any] | None:
    """Raises DataError for values that are no numbers."""
    values = None if leaf is None else leaf.load()
    if values is not None and values.dtype.kind not in "fiub":
        raise DataError(f"{where}: expected numbers, found values of type {values.dtype}")
    return values


def _framed(frames: list[_Frame], where: str) -> VideoRows:
    """A video whose features are a vector per frame."""
    vectors = [np.atleast_1d(np.squeeze(frame.leaf.load())) for frame in frames]
    for frame, vector in zip(frames, vectors, strict=True):
        if vector.ndim != 1:
            raise DataError(f"{where}: key '{frame.key}': expected one vector, found the shape {vector.shape}")
        if vector.shape != vectors[0].shape:
            raise DataError(
                f"{where}: key '{frame.key}': expected {len(vectors[0])} numbers, as in '{frames[0].key}', found "
                f"{len(vector)}"
            )
    numbers = np.array([frame.number for frame in frames], dtype=np.int64)
    from_one = all(frame.is_image for frame in frames)
    return VideoRows(where, np.stack(vectors), numbers, from_one=from_one, place=lambda row: f"key '{frames[row].key}'")
