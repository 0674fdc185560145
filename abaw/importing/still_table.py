"""Sets of stills listed in a table: splits, labels or votes, boxes."""

from __future__ import annotations

import csv
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from abaw.core.errors import ConfigError, DataError, nearest
from abaw.core.folders import is_system_file
from abaw.core.reading import read_errors
from abaw.importing.descriptor import BOX_SIDES, ClassMap, Descriptor, TableLayout
from abaw.importing.still import Still, key_of
from abaw.protocol.classes import EXPRESSION_CLASSES, UNLABELLED

_SHOWN = 8


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of a table. where: `file:line`, for messages; split: empty if the table has none."""

    where: str
    split: str
    fields: Mapping[str, str]


def table_stills(descriptor: Descriptor, table: TableLayout, root: Path, subset: str) -> dict[str, list[Still]]:
    """Split -> its images, in the order of the table; all splits if `subset` is empty, otherwise only that one.

    Raises DataError for a missing table, column or image, and for an invalid field; ConfigError for a subset that the
    table does not have.
    """
    rows = [row for file in _files(descriptor, table, root) for row in _rows(table, file)]
    splits = sorted({row.split for row in rows})
    if subset and subset not in splits:
        has = ", ".join(filter(None, splits))
        known = f"has {has}.{nearest(subset, splits)}" if has else "has no splits"
        raise ConfigError(f"subset '{subset}': {table.file} {known}")
    if subset:
        rows = [row for row in rows if row.split == subset]
    if not rows:
        raise DataError(f"{root}: {table.file} lists no image")
    return _stills(descriptor, table, root, rows)


def _files(descriptor: Descriptor, table: TableLayout, root: Path) -> list[Path]:
    found = _of_the_user(root.glob(table.file))
    if found:
        return found
    deeper = _of_the_user(root.glob(f"*/{table.file}")) or _of_the_user(root.glob(f"*/*/{table.file}"))
    if deeper:
        folder = deeper[0].parents[len(PurePosixPath(table.file).parts) - 1]
        raise DataError(f"{root}: no {table.file}, which lists the images of {descriptor.name}; give {folder}")
    present = [entry.name for entry in _of_the_user(root.iterdir())]
    shown = ", ".join(present[:_SHOWN]) + (", …" if len(present) > _SHOWN else "")
    raise DataError(
        f"{root}: no {table.file}, which lists the images of {descriptor.name}; found {shown or 'nothing'}. "
        "Give the folder that contains it"
    )


def _of_the_user(paths: Iterable[Path]) -> list[Path]:
    """In order, without what operating systems leave."""
    return sorted(path for path in paths if not any(map(is_system_file, path.parts)))


def _rows(table: TableLayout, file: Path) -> Iterator[_Row]:
    with read_errors(file, "not readable as text", contents=(UnicodeDecodeError,)):
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    reader = csv.reader(lines, delimiter=table.delimiter, skipinitialspace=table.delimiter == " ")
    header = table.columns or tuple(_next(reader, file) or ())
    for name in table.used():
        if name not in header:
            raise DataError(f"{file}: no column '{name}'; it has {', '.join(header) or 'none'}.{nearest(name, header)}")
    several = any(sign in table.file for sign in "*?[")
    named_by_file = file.stem if several and not table.split_column else ""
    while (values := _next(reader, file)) is not None:
        if not values:
            continue
        where = f"{file}:{reader.line_num}"
        if len(values) != len(header):
            raise DataError(f"{where}: expected {len(header)} fields ({', '.join(header)}), found {len(values)}")
        row = {name: value.strip() for name, value in zip(header, values, strict=True)}
        yield _Row(where, named_by_file or _split(table, row, where), row)


def _next(reader: Any, file: Path) -> list[str] | None:
    """The fields of the next row of a csv reader; None at the end."""
    try:
        row: list[str] | None = next(reader, None)
    except csv.Error as error:
        raise DataError(f"{file}:{reader.line_num}: not readable as a table ({error})") from error
    return row


def _split(table: TableLayout, fields: Mapping[str, str], where: str) -> str:
    if not table.split_column:
        return ""
    value = fields[table.split_column]
    if not table.splits:
        return value
    for name, pattern in table.splits.items():
        if fnmatchcase(value, pattern):
            return name
    raise DataError(
        f"{where}: {table.split_column} is '{value}', which belongs to no split; the splits are "
        + ", ".join(f"{name} ({pattern})" for name, pattern in table.splits.items())
    )


def _stills(descriptor: Descriptor, table: TableLayout, root: Path, rows: Sequence[_Row]) -> dict[str, list[Still]]:
    folder = root / table.image_folder
    if not folder.is_dir():
        raise DataError(
            f"{folder}: no such folder, though {descriptor.name} has its images in it. Give the folder that contains it"
        )
    by_split: dict[str, list[Still]] = {}
    faces: Counter[str] = Counter()
    missing = []
    for row in rows:
        path = _image_path(table, folder, row)
        if not os.path.isfile(path):  # unlike Path.is_file, also for a name of any length
            missing.append(f"{path} ({row.where})")
            continue
        key = key_of(path, root)
        faces[key] += 1
        if table.box_columns:
            key = f"{key}#{faces[key]}"
        elif faces[key] > 1:
            raise DataError(f"{row.where}: {key} is in the table more than once; remove one of its lines")
        label, votes = _label(descriptor, table, row)
        by_split.setdefault(row.split, []).append(Still(key, path, label, votes, _box(table, row)))
    if missing:
        raise DataError(
            f"{folder}: {len(missing)} of the {len(rows)} images listed in {table.file} are missing, the first is "
            f"{missing[0]}; download the set again, or remove the lines from the table"
        )
    return by_split


def _image_path(table: TableLayout, folder: Path, row: _Row) -> Path:
    """The image of a row, which must be inside the folder of the images."""
    field = row.fields[table.image_column]
    named = PurePosixPath(field)
    if not named.name or named.is_absolute() or ".." in named.parts or "\0" in field:
        found = f"'{field[:60]}'" if field else "nothing"
        raise DataError(
            f"{row.where}: {table.image_column}: expected the path of an image below {folder}, found {found}; correct "
            "or remove the line"
        )
    return folder / named.with_name(table.image_name.format(stem=named.stem, suffix=named.suffix))


def _label(descriptor: Descriptor, table: TableLayout, row: _Row) -> tuple[int, tuple[float, ...] | None]:
    if table.vote_columns:
        counts = {name: _number(row, name) for name in table.vote_columns}
        if min(counts.values()) < 0:
            raise DataError(f"{row.where}: expected counts of votes, found {min(counts.values()):g}")
        return majority(counts, table.vote_columns), shares(counts, table.vote_columns)
    value = row.fields[table.label_column]
    if value not in descriptor.labels:
        raise DataError(
            f"{row.where}: {table.label_column} is '{value}', which is not in the label map of {descriptor.name}; "
            f"it has {', '.join(descriptor.labels)}.{nearest(value, descriptor.labels)}"
        )
    label = descriptor.labels[value]
    return UNLABELLED if label is None else EXPRESSION_CLASSES.index(label), None


def majority(counts: Mapping[str, float], classes: ClassMap) -> int:
    """The class with the most votes; UNLABELLED on a tie, without a vote, and if most votes are for no class.

    counts: column -> votes; classes: column -> class. Columns of the same class are added.
    """
    total: dict[str, float] = {}
    for name, count in counts.items():
        key = classes[name] or f"({name})"
        total[key] = total.get(key, 0.0) + count
    best = max(total.values())
    winners = [key for key, count in total.items() if count == best]
    if best <= 0 or len(winners) > 1 or winners[0] not in EXPRESSION_CLASSES:
        return UNLABELLED
    return EXPRESSION_CLASSES.index(winners[0])


def shares(counts: Mapping[str, float], classes: ClassMap) -> tuple[float, ...] | None:
    """(C,) shares of the votes for classes, summing to 1; None if no vote is for a class."""
    votes = [0.0] * len(EXPRESSION_CLASSES)
    for name, count in counts.items():
        label = classes[name]
        if label is not None:
            votes[EXPRESSION_CLASSES.index(label)] += count
    total = sum(votes)
    return tuple(vote / total for vote in votes) if total > 0 else None


def _box(table: TableLayout, row: _Row) -> tuple[float, float, float, float] | None:
    if not table.box_columns:
        return None
    left, top, right, bottom = (_number(row, table.box_columns[side]) for side in BOX_SIDES)
    if right <= left or bottom <= top:
        raise DataError(f"{row.where}: the box ends before it begins: {left:g} to {right:g}, {top:g} to {bottom:g}")
    return left, top, right, bottom


def _number(row: _Row, name: str) -> float:
    try:
        number = float(row.fields[name])
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise DataError(f"{row.where}: {name}: expected a number, found '{row.fields[name]}'")
    return number
