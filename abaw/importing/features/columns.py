"""The columns of a table: which say what a row is, and which are features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pyarrow as pa

from abaw.core.errors import ConfigError, DataError, nearest
from abaw.core.text import listed
from abaw.importing.features.rows import FEATURE_NAMES, FRAME_NAMES, TIME_NAMES, VALID_NAMES, ReadOptions

_CONFIDENCE_NAMES = ("confidence", "facescore")
_VIDEO_NAMES = ("video",)
_OTHER_NAMES = ("face_id", "input", "approx_time", "identity", "", "unnamed: 0", "__index_level_0__")
"""Columns of OpenFace and py-feat that are no features, and those in which pandas writes the numbers of its rows."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The columns that are no features, by their names in the file; None for what the table lacks."""

    video: str | None
    frame: str | None
    time: str | None
    valid: str | None
    confidence: str | None

    @property
    def used(self) -> list[str]:
        found = (self.video, self.frame, self.time, self.valid, self.confidence)
        return [name for name in found if name is not None]


def plain_name(name: str) -> str:
    """OpenFace writes a space before the names of its columns, and other tools quotes around them."""
    return name.strip().strip("'\"")


def find_keys(path: Path, names: Sequence[str], options: ReadOptions) -> Keys:
    """Which columns say what a row is. Raises ConfigError for a column given by name that does not exist, and DataError
    for a name that occurs twice."""
    by_name = {plain_name(name): name for name in names}
    if len(by_name) < len(names):
        twice = next(name for name in by_name if [plain_name(each) for each in names].count(name) > 1)
        raise DataError(f"{path}: has two columns named '{twice}'; rename one of them")

    def key(given: str, setting: str, usual: Sequence[str]) -> str | None:
        if given and given not in by_name:
            raise ConfigError(
                f"--{setting} {given}: {path} has no such column; it has {listed(list(by_name))}."
                f"{nearest(given, by_name)}"
            )
        if given:
            return by_name[given]
        return next((name for plain, name in by_name.items() if plain.lower() in usual), None)

    return Keys(
        key(options.video_column, "video_column", _VIDEO_NAMES),
        key(options.frame_column, "frame_column", FRAME_NAMES),
        key(options.time_column, "time_column", TIME_NAMES),
        key("", "", VALID_NAMES),
        key("", "", _CONFIDENCE_NAMES),
    )


def feature_columns(path: Path, schema: pa.Schema, keys: Keys, options: ReadOptions) -> list[str]:
    """The columns of the features, in the order of the file. Raises ConfigError for a pattern without a column, and
    DataError when there is no column, or one of text."""
    others = [name for name in schema.names if name not in keys.used and plain_name(name).lower() not in _OTHER_NAMES]
    lists = [name for name in others if is_list(schema.field(name).type)]
    if options.columns:
        plain = [plain_name(name) for name in schema.names]
        for pattern in options.columns:
            if not any(fnmatchcase(name, pattern) for name in plain):
                raise ConfigError(f"--columns {pattern}: {path} has no such column.{nearest(pattern, plain)}")
        chosen = [
            name for name in schema.names if any(fnmatchcase(plain_name(name), pattern) for pattern in options.columns)
        ]
    else:
        usual = [name for name in lists if plain_name(name).lower() in FEATURE_NAMES]
        chosen = usual[:1] or lists or others
    if not chosen:
        raise DataError(f"{path}: has no columns of features, only {listed(schema.names)}")
    if len(chosen) > 1 and any(is_list(schema.field(name).type) for name in chosen):
        raise DataError(f"{path}: has several columns of lists: {listed(chosen)}; choose one with --columns")
    for name in chosen:
        kind = schema.field(name).type
        if not (is_number(kind) or is_list(kind)):
            raise DataError(f"{path}: column '{plain_name(name)}' holds {kind}, not numbers; choose with --columns")
    return chosen


def is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))
