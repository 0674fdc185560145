"""The multi-task annotation files (ABAW 4 and 7): one file per split, a row for each chosen frame of all videos.

A row is `<video>/00001.jpg,valence,arousal,expression,au1,…,au12`; -5 means no valence and arousal, -1 no expression or
no action unit. Only some frames of a video have a row.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.protocol.annotations import TRAIN_SET, VALIDATION_SET
from abaw.protocol.classes import NUM_ACTION_UNITS, NUM_EXPRESSIONS, UNLABELLED
from abaw.protocol.tables import (
    NO_VALUE,
    RowFormat,
    Values,
    decode_lines,
    is_action_unit,
    is_valence_arousal,
    parse_columns,
    parse_fields,
    read_body,
)
from abaw.protocol.template import LOCATION, parse_location

HEADER = ("image", "valence", "arousal", "expression", "aus")
NUM_VALUES = 3 + NUM_ACTION_UNITS
FILES = {
    TRAIN_SET: ("training_set_annotations.txt", "training_set_annotations_22.txt", "train_set.txt"),
    VALIDATION_SET: ("validation_set_annotations.txt", "validation_set_annotations_22.txt", "validation_set.txt"),
}
"""File names by split, as used by the editions."""

_FOLDERS = ("", "MTL_Challenge", "annotations", "annotations/MTL_Challenge")
_PLAUSIBLE_GAP = 100_000
"""Frames without a row: more than this and 100 times the rows of a video is no video."""


def find_multitask_file(root: Path, split: str) -> Path | None:
    """The file of a split: `root` itself, or a file below it with one of the known names; None when there is none.

    Raises DataError when `root` is the file of the other split.
    """
    if root.is_file():
        others = [name for other, names in FILES.items() if other != split for name in names]
        if root.name in others:
            raise DataError(f"{root}: not the file of {split}; give the folder with {FILES[split][0]}")
        return root
    places = (root / folder / name for folder in _FOLDERS for name in FILES.get(split, ()))
    return next((place for place in places if place.is_file()), None)


def read_multitask(path: Path) -> dict[str, Values]:
    """Video -> (T, 15) valence, arousal, expression and action units per frame, up to the last frame with a row.

    Raises DataError that names file and line for an invalid row, or a frame that occurs twice.
    """
    videos, frames, values = _read_rows(path)
    names, of_row = np.unique(videos, return_inverse=True)
    order = np.argsort(of_row, kind="stable")
    found = {}
    for name, rows in zip(names, np.split(order, np.searchsorted(of_row[order], range(1, len(names)))), strict=True):
        _require_single(path, str(name), frames, rows)
        _require_plausible(path, str(name), frames, rows)
        table = np.tile(_MISSING, (int(frames[rows].max()), 1))
        table[frames[rows] - 1] = values[rows]
        found[str(name)] = table
    return found


def multitask_names(path: Path) -> set[str]:
    """The videos of a file, by the locations of its rows; nothing else is checked. Raises DataError as `read_body`."""
    locations = (line.partition(",")[0] for line in decode_lines(path, read_body(path, HEADER)))
    return {location.strip().rpartition("/")[0] for location in locations} - {""}


def _require_single(path: Path, video: str, frames: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
    unique, first = np.unique(frames[rows], return_index=True)
    if len(unique) < len(rows):
        row = int(np.delete(rows, first)[0])
        raise DataError(f"{path}:{row + 2}: frame {frames[row]} of {video} already has a row; remove one of them")


def _require_plausible(path: Path, video: str, frames: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
    last = rows[frames[rows].argmax()]
    if frames[last] > _PLAUSIBLE_GAP + 100 * len(rows):
        raise DataError(
            f"{path}:{last + 2}: frame {frames[last]} of {video}, which has {len(rows)} rows; correct the frame number"
        )


def _read_rows(path: Path) -> tuple[NDArray[np.str_], NDArray[np.int64], Values]:
    """Video (N,), frame (N,) and values (N, 15) of each row."""
    body = read_body(path, HEADER)
    if not body:
        raise DataError(f"{path}: no row after the header; expected '<video>/00001.jpg,valence,arousal,…'")
    columns = parse_columns(body, [pa.string()] + [pa.float32()] * NUM_VALUES)
    if columns is not None:
        parts = pc.extract_regex(columns[0], LOCATION).combine_chunks()
        values = np.stack([column.to_numpy() for column in columns[1:]], axis=1)
        if not parts.null_count and _valid(values).all():
            frames = pc.cast(parts.field("frame"), pa.int64()).to_numpy()
            if frames.min() >= 1:
                return parts.field("video").to_numpy(zero_copy_only=False).astype(np.str_), frames, values
    return _walk_rows(path, body)


def _walk_rows(path: Path, body: bytes) -> tuple[NDArray[np.str_], NDArray[np.int64], Values]:
    videos, frames, values = [], [], []
    for number, line in enumerate(decode_lines(path, body), 2):
        if not line.strip():
            raise DataError(f"{path}:{number}: blank line; remove it")
        location, _, rest = line.partition(",")
        parsed = parse_location(location.strip())
        if parsed is None or parsed[1] < 1:
            raise DataError(
                f"{path}:{number}: expected '<video>/00001.jpg' before the first comma, found '{location[:60]}'"
            )
        values.append(parse_fields(rest.split(","), _ROW_FORMAT, path, number))
        videos.append(parsed[0])
        frames.append(parsed[1])
    return np.array(videos), np.array(frames, np.int64), np.stack(values)


def _valid(values: Values) -> NDArray[np.bool_]:
    expression = values[..., 2:3]
    is_expression = (expression >= UNLABELLED) & (expression < NUM_EXPRESSIONS) & (expression == np.floor(expression))
    return np.concatenate(
        [is_valence_arousal(values[..., :2]), is_expression, is_action_unit(values[..., 3:])], axis=-1
    )


_MISSING = np.array([NO_VALUE, NO_VALUE] + [UNLABELLED] * (1 + NUM_ACTION_UNITS), np.float32)
_ROW_FORMAT = RowFormat(
    NUM_VALUES,
    _valid,
    missing=np.nan,
    expected=f"{NUM_VALUES} values: valence, arousal in [-1, 1] or -5, expression from -1 to 7, 12 times -1, 0 or 1",
)
