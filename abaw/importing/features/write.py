"""The rows of one video -> its features store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from abaw.core.artifacts import provenance, value_hash
from abaw.core.config import to_plain
from abaw.core.errors import ConfigError, DataError
from abaw.core.progress import Progress, silent
from abaw.core.text import listed
from abaw.importing.features.exported import require_unchanged
from abaw.importing.features.matching import Match, MatchRules, match_rows, matched_features, way_of
from abaw.importing.features.plan import ImportItem, OpenFiles
from abaw.importing.features.rows import ReadOptions, VideoRows, rows_of
from abaw.stores.arrow import StoreError, is_done
from abaw.stores.faces import FaceStore, open_faces
from abaw.stores.features import feature_batch, open_features, write_features
from abaw.stores.sources import FACE

_ROWS = 1024
_TRIED = 3
_EXPORTED = (".npz", ".parquet")
_FORBIDDEN = "+/\\:"


@dataclass(frozen=True, slots=True)
class Imported:
    """What is imported: all stores of one name are one source of features.

    name: of what computed the features; empty to restore what `abaw export-features` wrote; modality: what they
    describe; trained_on: data sets or videos on which it was trained; faces_only: features of frames that have no face
    in the faces store are left out; dim and columns: what every video must have, None for anything.
    Raises ConfigError for a name with characters that separate names elsewhere, and for facts of features without one.
    """

    name: str
    rules: MatchRules
    modality: str = ""
    trained_on: tuple[str, ...] = ()
    faces_only: bool = False
    dim: int | None = None
    columns: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for field, text in (("name", self.name), ("modality", self.modality)):
            if any(each in _FORBIDDEN or each.isspace() for each in text):
                raise ConfigError(f"--{field} '{text}': expected one word without {' '.join(_FORBIDDEN)}")
        for field, given in (("modality", self.modality), ("trained_on", self.trained_on)):
            if given and not self.name:
                raise ConfigError(
                    f"--{field} has no meaning without --name: files of `abaw export-features` are restored with what "
                    "they record; leave it out, or import them as other features with --name NAME"
                )
        if self.dim is not None and self.dim < 1:
            raise ConfigError(f"--width {self.dim}: expected at least 1")
        if self.rules.tolerance < 0:
            raise ConfigError(f"--tolerance {self.rules.tolerance}: expected a number of frames, 0 or more")


@dataclass(frozen=True, slots=True)
class ImportReport:
    """The result of one video."""

    num_frames: int
    num_valid: int
    notes: tuple[str, ...]


def identity(imported: Imported, rows: VideoRows, modality: str) -> str:
    """What stores hold as `backbone`: the same for all videos of one import and for later ones like it.

    It depends on the name, the width, the names of the columns, the modality, and how rows at other times were
    combined; not on the files.
    """
    by_time = way_of(rows, imported.rules) == "time"
    facts = {
        "dim": rows.dim,
        "columns": list(rows.columns),
        "modality": modality,
        "resample": imported.rules.resample if by_time else None,
    }
    return f"{imported.name}:{value_hash(facts)}"


def import_video(
    item: ImportItem, opened: OpenFiles, imported: Imported, path: Path, progress: Progress = silent
) -> ImportReport | None:
    """Write the features of one video to `path`; None when they already exist, made from the same files.

    Raises DataError for anything that is wrong with the rows, and StoreError when `path` has other features, or another
    number of them.
    """
    faces = open_faces(item.faces)
    if not faces.is_video:
        raise StoreError(f"{faces.store.path}: holds stills; features need the frames of a video")
    meta = (_named if imported.name else _restored)(item, opened, imported, faces)
    if is_done(path, meta["fingerprint"]):
        _require_length(path, faces)
        return None
    rows = rows_of(opened.open(item.file), item.file, item.video)
    _require_same(rows, imported)
    if imported.name:
        meta = {**meta, "backbone": identity(imported, rows, meta["modality"]), **_facts_of(rows, imported.rules)}
    else:
        require_unchanged(rows, opened.open(item.file).exported or {})
    match = match_rows(rows, len(faces), faces.times, imported.rules)
    notes = match.notes
    if imported.faces_only:
        match = match.within(faces.valid)
    elif meta.get("modality", FACE) == FACE:
        notes += _without_a_face(match, faces)
    write_features(path, rows.dim, _batches(rows, match, len(faces), progress), meta)
    return ImportReport(len(faces), len(np.unique(match.frames)), notes)


def _require_length(path: Path, faces: FaceStore) -> None:
    """Raise StoreError for a store of another length than the video's: restored features do not record the faces."""
    num_rows = len(open_features(path, checked=True))
    if num_rows != len(faces):
        raise StoreError(
            f"{path}: has {num_rows} rows, expected {len(faces)}, one per frame of {faces.store.path}; choose another "
            "--out or remove it"
        )


def _without_a_face(match: Match, faces: FaceStore) -> tuple[str, ...]:
    """That frames have a feature of a face, but no face: what the tool wrote there may stand for nothing."""
    number = int((~faces.valid[np.unique(match.frames)]).sum())
    return (f"{number} frames with a feature have no face in the faces store",) if number else ()


def _named(item: ImportItem, opened: OpenFiles, imported: Imported, faces: FaceStore) -> dict[str, Any]:
    """The metadata of features from elsewhere, without what is known from their rows."""
    exported = opened.open(item.file).exported if item.file.suffix.lower() in _EXPORTED else None
    before = exported["meta"] if exported else {}
    modality = imported.modality or str(before.get("modality", FACE))
    trained_on = list(imported.trained_on or before.get("trained_on", ()))
    sha256 = opened.sha256(item.file)
    settings = [
        imported.name,
        modality,
        trained_on,
        imported.faces_only,
        imported.columns,
        imported.dim,
        to_plain(imported.rules),
        *_reading(imported, opened.options),
    ]
    origin = {"file": sha256, "video": item.video, "faces": faces.fingerprint, "settings": settings}
    return dict(
        provenance(
            fingerprint=value_hash(origin),
            imported={"name": imported.name, "file": item.file.name, "kind": item.file.suffix[1:], "sha256": sha256},
            modality=modality,
            trained_on=trained_on,
            fps=faces.meta.get("fps"),
            faces={key: value for key, value in faces.meta.items() if key != "kind"},
        )
    )


def _reading(imported: Imported, options: ReadOptions) -> list[dict[str, Any]]:
    """The options by which a table is read that are not the default; empty if there is none, as in earlier versions.

    Columns of numbers are recorded by their names; the patterns that chose them count only where there are no names.
    """
    changed = replace(options, columns=() if imported.columns else options.columns)
    usual = ReadOptions(options.known)
    given = {field.name: getattr(changed, field.name) for field in fields(ReadOptions)}
    given = {name: value for name, value in given.items() if value != getattr(usual, name)}
    return [given] if given else []


def _facts_of(rows: VideoRows, rules: MatchRules) -> dict[str, Any]:
    """How the rows were matched, and the names of their columns."""
    way = way_of(rows, rules)
    facts: dict[str, Any] = {"matched_by": way}
    if way == "time":
        facts["resample"] = rules.resample
    if way == "frame":
        facts["first_frame"] = 1 if rules.first_frame is None else rules.first_frame
    return facts | ({"columns": list(rows.columns)} if rows.columns else {})


def _restored(item: ImportItem, opened: OpenFiles, imported: Imported, faces: FaceStore) -> dict[str, Any]:
    """The metadata of the store from which a file was exported; with other rules than the default, of another origin.

    Raises ConfigError for a file from elsewhere.
    """
    exported = opened.open(item.file).exported
    if exported is None:
        raise ConfigError(f"{item.file}: was not written by `abaw export-features`; name its features: --name NAME")
    meta = exported["meta"]
    restored = {key: value for key, value in meta.items() if key not in _OWN_KEYS}
    if not isinstance(restored.get("fingerprint"), str):
        restored["fingerprint"] = value_hash(meta)
    rules = [imported.faces_only, to_plain(imported.rules), *_reading(imported, opened.options)]
    if rules != [False, to_plain(MatchRules())]:
        origin = {"restored": restored["fingerprint"], "faces": faces.fingerprint, "settings": rules}
        restored["fingerprint"] = value_hash(origin)
    return restored


_OWN_KEYS = ("kind", "feature_dim")
"""What `write_features` adds itself."""


def with_expected(imported: Imported, items: Sequence[ImportItem], opened: OpenFiles) -> Imported:
    """With the width and the columns of the first video that can be read, which all others must have.

    Raises ConfigError where the user must say more of how rows are matched.
    """
    for item in items[:_TRIED]:
        try:
            rows = rows_of(opened.open(item.file), item.file, item.video)
            way_of(rows, imported.rules)
        except DataError:
            continue
        return replace(imported, dim=imported.dim or rows.dim, columns=rows.columns)
    return imported


def _require_same(rows: VideoRows, imported: Imported) -> None:
    """Raise DataError for another width or other columns than those of the other videos."""
    if imported.dim is not None and rows.dim != imported.dim:
        raise DataError(
            f"{rows.where}: has {rows.dim} numbers per row, expected {imported.dim}, as in the first video or --width"
        )
    if imported.columns is not None and rows.columns != imported.columns:
        others = [name for name in rows.columns if name not in imported.columns]
        what = (
            f"has columns that the first video lacks ({listed(others, 3)})"
            if others
            else "has its columns in another order"
        )
        raise DataError(f"{rows.where}: {what}; choose common columns with --columns, or save them in one order")


def _batches(rows: VideoRows, match: Match, num_frames: int, progress: Progress) -> Iterator[pa.RecordBatch]:
    progress(0, num_frames)
    for start in range(0, num_frames, _ROWS):
        stop = min(start + _ROWS, num_frames)
        features, valid = matched_features(rows, match, start, stop, rows.dim)
        yield feature_batch(np.arange(start + 1, stop + 1, dtype=np.int32), valid, features)
        progress(stop, num_frames)
