"""Descriptors: YAML files that say how a set of still images is laid out on disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from abaw.core.errors import ConfigError, nearest
from abaw.core.yaml_file import read_yaml
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.protocol.manifests import load_manifest, manifests_folder

Role = Literal["labelled", "unlabelled"]
Layout = Literal["folder_per_class", "flat", "csv", "npy"]
ClassMap = Mapping[str, str | None]

BOX_SIDES = ("left", "top", "right", "bottom")


@dataclass(frozen=True, slots=True)
class TableLayout:
    """For layout csv: where the table is and what its columns mean.

    file: path or glob below the root; several tables are read in the order of their names.
    delimiter: one character; a space stands for any number of spaces.
    columns: names of the columns, for a file without a header line.
    image_column: name of the image below image_folder; image_name: the file's name if it differs from the one in the
    table, of which `{stem}` and `{suffix}` are the parts.
    split_column: the split of a row; without it, each of several tables is a split, named after its file.
    splits: split -> pattern (`*`, `?`) of its values in split_column; without it, the values are the splits.
    label_column: contains keys of the descriptor's `labels`; or vote_columns: column of vote counts -> class, None for
    votes for no class.
    box_columns: left, top, right, bottom -> column (pixels), for pictures that may show several faces.
    """

    file: str
    image_column: str
    image_folder: str = "."
    image_name: str = "{stem}{suffix}"
    delimiter: str = ","
    columns: tuple[str, ...] = ()
    split_column: str = ""
    splits: Mapping[str, str] = field(default_factory=dict)
    label_column: str = ""
    vote_columns: ClassMap = field(default_factory=dict)
    box_columns: Mapping[str, str] = field(default_factory=dict)

    def used(self) -> list[str]:
        """The columns to read."""
        named = (self.image_column, self.split_column, self.label_column)
        return [name for name in (*named, *self.vote_columns, *self.box_columns.values()) if name]


@dataclass(frozen=True, slots=True)
class LabelFiles:
    """For layout npy: one .npy file per image, with its label.

    label_file: path below the root, where `{stem}` is the image's name; image_folder: below the root.
    """

    label_file: str
    image_folder: str = "."


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A set of still images.

    name: the descriptor file's; layout: `folder_per_class` (one folder per class below the root), `flat` (every image
    below the root), `csv` (a table of images) or `npy` (one label file per image); labels: folder, or value in the
    table or file -> class name. None leaves a folder out; with the other layouts, the image has no label. expected:
    folder or split -> number of images (`.` for the whole set), checked if given. Raises ConfigError for values that
    contradict each other.
    """

    name: str
    role: Role
    layout: Layout
    title: str = ""
    labels: ClassMap = field(default_factory=dict)
    expected: Mapping[str, int] = field(default_factory=dict)
    table: TableLayout | None = None
    label_files: LabelFiles | None = None

    def __post_init__(self) -> None:
        _require_known(self.name, "role", self.role, get_args(Role))
        _require_known(self.name, "layout", self.layout, get_args(Layout))
        if (self.table is None) != (self.layout != "csv") or (self.label_files is None) != (self.layout != "npy"):
            raise self._fault(
                f"layout {self.layout} does not fit: csv needs a table, npy label files, other layouts neither"
            )
        if (self.role == "labelled") != (self.layout != "flat"):
            raise self._fault(
                f"role {self.role} does not fit layout {self.layout}; labelled sets have layout folder_per_class, "
                "csv or npy, unlabelled ones flat"
            )
        if self.table is not None:
            self._check_table(self.table)
        elif self.role == "labelled" and not self.labels:
            raise self._fault("a labelled set needs `labels`, a map from folder or value to class")
        if self.label_files is not None:
            self._check_pattern("label_file", self.label_files.label_file, ("stem",))
        self._check_classes("labels", self.labels)

    def _check_table(self, table: TableLayout) -> None:
        if bool(table.label_column) == bool(table.vote_columns):
            raise self._fault("give either `label_column` with `labels`, or `vote_columns`")
        if bool(table.label_column) != bool(self.labels):
            raise self._fault(
                "`label_column` needs `labels`, a map from its values to classes; `vote_columns` has none"
            )
        if len(table.delimiter) != 1:
            raise self._fault(f"delimiter must be one character, found '{table.delimiter}'")
        if table.splits and not table.split_column:
            raise self._fault("`splits` needs a `split_column`")
        if table.box_columns and set(table.box_columns) != set(BOX_SIDES):
            raise self._fault(f"box_columns needs {', '.join(BOX_SIDES)}, found {', '.join(table.box_columns)}")
        for name in table.used() if table.columns else ():
            if name not in table.columns:
                raise self._fault(
                    f"`columns` has no '{name}'; it has {', '.join(table.columns)}.{nearest(name, table.columns)}"
                )
        self._check_pattern("image_name", table.image_name, ("stem", "suffix"))
        self._check_classes("vote_columns", table.vote_columns)

    def _check_pattern(self, key: str, pattern: str, known: Sequence[str]) -> None:
        try:
            pattern.format(**dict.fromkeys(known, "a"))
        except (KeyError, ValueError, IndexError) as error:
            names = " and ".join(f"{{{name}}}" for name in known)
            raise self._fault(f"{key}: '{pattern}' may contain only {names}") from error

    def _check_classes(self, key: str, classes: ClassMap) -> None:
        for name, label in classes.items():
            if label is not None and label not in EXPRESSION_CLASSES:
                raise self._fault(
                    f"{key}.{name}: no class '{label}'; choose one of {', '.join(EXPRESSION_CLASSES)}."
                    f"{nearest(str(label), EXPRESSION_CLASSES)}"
                )

    def _fault(self, text: str) -> ConfigError:
        return ConfigError(f"descriptor {self.name}: {text}")


def _require_known(name: str, key: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ConfigError(
            f"descriptor {name}: {key} must be one of {', '.join(allowed)}, found '{value}'.{nearest(value, allowed)}"
        )


_PARTS: Mapping[str, type[TableLayout] | type[LabelFiles]] = {"csv": TableLayout, "npy": LabelFiles}
"""Layouts with additional keys, and the classes that have these."""
_COMMON = ("role", "layout", "title", "labels", "expected")


def load_descriptor(name_or_path: str) -> Descriptor:
    """A descriptor in `data_manifests/datasets` by its name, or any `.yaml` file by its path.

    Raises ConfigError for an unknown name or key.
    """
    if name_or_path.endswith((".yaml", ".yml")):
        path = Path(name_or_path)
        return _from_yaml(path.stem, read_yaml(path, "not readable as a descriptor", ConfigError))
    known = sorted(file.stem for file in (manifests_folder() / "datasets").glob("*.yaml"))
    if name_or_path not in known:
        raise ConfigError(
            f"no data set '{name_or_path}'; choose one of {', '.join(known)}, or give the path of a .yaml file."
            f"{nearest(name_or_path, known)}"
        )
    return _from_yaml(name_or_path, load_manifest(f"datasets/{name_or_path}"))


def _from_yaml(name: str, content: Any) -> Descriptor:
    if not isinstance(content, Mapping):
        raise ConfigError(f"descriptor {name}: expected keys with values, found {type(content).__name__}")
    _require_keys(name, content, ("role", "layout"))
    _require_known(name, "layout", str(content["layout"]), get_args(Layout))
    kind = _PARTS.get(content["layout"])
    own = {item.name: item for item in fields(kind)} if kind else {}
    known = (*_COMMON, *own)
    for key, value in content.items():
        if key not in known:
            raise ConfigError(
                f"descriptor {name}: unknown key '{key}'; the keys of layout {content['layout']} are "
                f"{', '.join(known)}.{nearest(str(key), known)}"
            )
        _require_form(name, str(key), value)
    _require_keys(name, content, [key for key, item in own.items() if item.default is item.default_factory is MISSING])
    common = {key: _plain(value) for key, value in content.items() if key in _COMMON}
    values = {key: _plain(value) for key, value in content.items() if key in own}
    return Descriptor(
        name=name,
        **common,
        table=TableLayout(**values) if kind is TableLayout else None,
        label_files=LabelFiles(**values) if kind is LabelFiles else None,
    )


def _require_keys(name: str, content: Mapping[str, Any], keys: Iterable[str]) -> None:
    for key in keys:
        if key not in content:
            raise ConfigError(f"descriptor {name}: the key '{key}' is missing")


_MAPS = ("labels", "expected", "splits", "vote_columns", "box_columns")


def _require_form(name: str, key: str, value: Any) -> None:
    if key in _MAPS:
        right, expected = isinstance(value, Mapping), "a map"
    elif key == "columns":
        right, expected = isinstance(value, list), "a list"
    else:
        right, expected = isinstance(value, str), "text"
    if not right:
        raise ConfigError(f"descriptor {name}: {key}: expected {expected}, found {value!r}")
    for folder, count in value.items() if key == "expected" else ():
        if type(count) is not int or count < 0:
            raise ConfigError(f"descriptor {name}: expected.{folder}: expected a number of images, found {count!r}")


def _plain(value: Any) -> Any:
    """Keys of maps as text (YAML reads `1:` as a number), lists as tuples."""
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    return tuple(map(str, value)) if isinstance(value, list) else value
