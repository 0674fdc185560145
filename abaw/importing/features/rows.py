"""What every format is read into: the rows of one video, with whatever says which frames they describe.

Shapes: N rows, D numbers per row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError

EXPORT_KEY = "abaw"
"""Where files of `abaw export-features` hold the metadata of the store, as JSON."""

FEATURE_NAMES = ("features", "feature", "embeddings", "embedding", "arr_0", "data", "x")
FRAME_NAMES = ("frame", "frames")
TIME_NAMES = ("time_s", "timestamp", "timestamps", "time", "times", "frametime")
VALID_NAMES = ("valid", "success")
"""Names, in lower case, of the arrays or columns of one video."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How files are read.

    known: names of the faces stores. For tables: columns: patterns (`AU*_r`) of the columns to use, none for all
    numbers; frame_column, time_column, video_column: names other than the usual ones; min_confidence: rows whose
    detection is less confident are not valid.
    """

    known: Collection[str] = ()
    columns: tuple[str, ...] = ()
    frame_column: str = ""
    time_column: str = ""
    video_column: str = ""
    min_confidence: float = 0.0


def row_place(row: int) -> str:
    """What messages call a row, counted from 0 in the code."""
    return f"row {row + 1}"


@dataclass(frozen=True, slots=True, eq=False)
class VideoRows:
    """The rows of one video in the order of the file.

    where: the file and the video, for messages; values: (N, D) real numbers. What the file lacks is None: numbers: (N,)
    the frame numbers that it states; times: (N,) in seconds; valid: (N,) False where the tool found no face or sound.
    from_one: the numbers are those of image names, `00001.jpg`, which count from 1; columns: names of the D numbers,
    empty where they have none; place: what messages call a row; unread: names of arrays that may say which frames
    the rows are, but are not read. Raises DataError for values of another shape or type, and for parts of different
    lengths.
    """

    where: str
    values: NDArray[Any]
    numbers: NDArray[np.int64] | None = None
    times: NDArray[np.float64] | None = None
    valid: NDArray[np.bool_] | None = None
    from_one: bool = False
    columns: tuple[str, ...] = ()
    place: Callable[[int], str] = row_place
    unread: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape, dtype = self.values.shape, self.values.dtype
        if len(shape) != 2 or not shape[1]:
            raise DataError(f"{self.where}: expected numbers of shape (frames, width), found the shape {shape}")
        if dtype.kind not in "fiub" or dtype.itemsize > 8:
            raise DataError(f"{self.where}: expected numbers of at most 64 bits, found values of type {dtype}")
        for name, part in (("frame", self.numbers), ("time", self.times), ("valid", self.valid)):
            if part is not None and part.shape != (len(self),):
                raise DataError(f"{self.where}: {len(self)} rows of features, but '{name}' has the shape {part.shape}")

    def __len__(self) -> int:
        return len(self.values)

    @property
    def dim(self) -> int:
        """D, numbers per row."""
        return int(self.values.shape[1])


class FeatureFile(Protocol):
    """An open file of features."""

    @property
    def videos(self) -> tuple[str, ...]:
        """The videos that it names, in its order; empty when it holds one video without a name."""

    @property
    def exported(self) -> Mapping[str, Any] | None:
        """The metadata of the store from which `abaw export-features` wrote it; None for a file of another program."""

    def rows(self, video: str | None) -> VideoRows:
        """The rows of a video, None for the one without a name. Raises DataError for anything that is not features."""

    def close(self) -> None:
        """Release the file."""


def whole_numbers(values: NDArray[Any], where: str, place: Callable[[int], str] = row_place) -> NDArray[np.int64]:
    """Frame numbers as integers. Raises DataError for the first that is none."""
    numbers = values.astype(np.float64)
    wrong = np.flatnonzero(~np.isfinite(numbers) | (numbers != np.rint(numbers)) | (np.abs(numbers) > 1e9))
    if len(wrong):
        row = int(wrong[0])
        raise DataError(f"{where}: {place(row)}: expected the number of a frame, found {numbers[row]:g}")
    return numbers.astype(np.int64)


def rows_of(file: FeatureFile, path: Path, video: str) -> VideoRows:
    """The rows of a video that the file names, or after which it is named. Raises DataError when it is neither."""
    if video in file.videos:
        return file.rows(video)
    if file.videos or path.stem != video:
        raise DataError(f"{path}: holds no video '{video}'; it has {', '.join(file.videos[:3]) or 'no names'}")
    return file.rows(None)
