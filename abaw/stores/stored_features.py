"""The features of whole videos, left in their stores: memory holds only the rows that were asked for.

Shapes: T time, S source, D feature.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abaw.core.artifacts import quick_hash
from abaw.stores.arrow import StoreError
from abaw.stores.features import FeatureStore, open_features

_IDENTIFYING_BYTES = 1 << 16
"""Of the beginning and the end of a store; they contain its provenance and its checksum."""


class MappedRows:
    """The features of one source in one video, copied row by row from the file that holds them.

    The pages of the file are shared by all processes, and the system takes them back when memory is short. A pickled
    object holds the path alone: another process maps the same file, which was checked when the store was opened here.
    """

    def __init__(self, store: FeatureStore) -> None:
        self.dim = store.feature_dim
        self._path = store.store.path
        self._identity = _identity(self._path)
        self._blocks = store.blocks()
        self._ends = np.cumsum([len(block) for block in self._blocks]).tolist()
        self._valid = store.valid

    @property
    def fingerprint(self) -> str:
        """That of the store."""
        return open_features(self._path, checked=True).fingerprint

    def read_into(self, rows: NDArray[np.float16], start: int) -> None:
        """Fill `rows` (N, D), which are 0, with the features from row `start` on; those of other rows stay 0."""
        stop = min(start + len(rows), len(self._valid))
        at = start
        for index in range(bisect_right(self._ends, start), len(self._blocks)):
            if at >= stop:
                break
            block, end = self._blocks[index], self._ends[index]
            first = at - (end - len(block))
            part = block[first : first + stop - at]
            rows[at - start : at - start + len(part)] = part
            at += len(part)
        if at > start:
            rows[: at - start][~self._valid[start:at]] = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return _mapped_again, (self._path, self._identity)


@dataclass(frozen=True, slots=True, eq=False)
class StoredFeatures:
    """(T, D) float16 features of a video from all its sources, side by side; 0 where a source has none.

    `features[first:last]` copies these rows, as an array. sources: S, a number D for a source that the video lacks;
    num_frames: T; rows after the end of the stores are 0.
    """

    sources: tuple[MappedRows | int, ...]
    num_frames: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.num_frames, sum(map(_dim, self.sources))

    @property
    def fingerprints(self) -> list[str]:
        """Of the store of each source, empty for a source that the video lacks."""
        return [source.fingerprint if isinstance(source, MappedRows) else "" for source in self.sources]

    def __len__(self) -> int:
        return self.num_frames

    def __getitem__(self, frames: slice) -> NDArray[np.float16]:
        start, stop, step = frames.indices(self.num_frames)
        if step != 1:
            raise IndexError(f"frames {frames}: expected neighbouring ones, in their order")
        rows = np.zeros((max(0, stop - start), self.shape[1]), dtype=np.float16)
        end = 0
        for source in self.sources:
            begin, end = end, end + _dim(source)
            if isinstance(source, MappedRows):
                source.read_into(rows[:, begin:end], start)
        return rows

    def of_sources(self, indices: Sequence[int]) -> StoredFeatures:
        """The features of some sources alone."""
        return StoredFeatures(tuple(self.sources[index] for index in indices), self.num_frames)


def _dim(source: MappedRows | int) -> int:
    return source if isinstance(source, int) else source.dim


def _identity(path: Path) -> str:
    return quick_hash(path, _IDENTIFYING_BYTES)


def _mapped_again(path: Path, identity: str) -> MappedRows:
    """Raises StoreError when another file is there now."""
    rows = MappedRows(open_features(path, checked=True))
    if rows._identity != identity:
        raise StoreError(f"{path}: was replaced while the command was running; run the command again")
    return rows
