"""What a set of still images looks like on disk: a descriptor in YAML, and the images that it finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from abaw.core.errors import ConfigError, DataError, nearest
from abaw.protocol.classes import EXPRESSION_CLASSES, UNLABELLED
from abaw.protocol.layout import IMAGE_SUFFIXES
from abaw.protocol.manifests import load_manifest, manifests_folder

Role = Literal["labelled", "unlabelled"]
Layout = Literal["folder_per_class", "flat"]


@dataclass(frozen=True, slots=True)
class Descriptor:
    """One kind of image set.

    name: of the file; layout: `folder_per_class` (a folder below the root for each class) or `flat` (every image below
    the root); labels: folder -> class name, None leaves the folder out; expected: folder -> number of images (`.` for
    the whole set), checked when given. Raises ConfigError when they do not fit together.
    """

    name: str
    role: Role
    layout: Layout
    title: str = ""
    labels: Mapping[str, str | None] = field(default_factory=dict)
    expected: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, value, allowed in (("role", self.role, get_args(Role)), ("layout", self.layout, get_args(Layout))):
            if value not in allowed:
                raise ConfigError(f"descriptor {self.name}: {key} must be one of {', '.join(allowed)}, found '{value}'")
        if (self.role == "labelled") != (self.layout == "folder_per_class"):
            raise ConfigError(
                f"descriptor {self.name}: role {self.role} does not go with layout {self.layout}; "
                "labelled sets have layout folder_per_class, unlabelled ones flat"
            )
        if self.role == "labelled" and not self.labels:
            raise ConfigError(f"descriptor {self.name}: a labelled set needs `labels`, a map from folder to class")
        for folder, label in self.labels.items():
            if label is not None and label not in EXPRESSION_CLASSES:
                raise ConfigError(
                    f"descriptor {self.name}: labels.{folder}: no class '{label}'; there are "
                    f"{', '.join(EXPRESSION_CLASSES)}.{nearest(label, EXPRESSION_CLASSES)}"
                )


@dataclass(frozen=True, slots=True)
class Still:
    """One image file. key: its path below the root, with `/`; label: class index, -1 where there is none."""

    key: str
    path: Path
    label: int


def load_descriptor(name_or_path: str) -> Descriptor:
    """A descriptor of `data_manifests/datasets` by its name, or any `.yaml` by its path.

    Raises ConfigError for a name that is not there or a key that is not known.
    """
    if name_or_path.endswith((".yaml", ".yml")):
        path = Path(name_or_path)
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"{path}: not readable as a descriptor ({error})") from error
        return _from_yaml(path.stem, content)
    known = sorted(file.stem for file in (manifests_folder() / "datasets").glob("*.yaml"))
    if name_or_path not in known:
        raise ConfigError(
            f"no data set '{name_or_path}'; there are {', '.join(known)}, or give the path of a .yaml file."
            f"{nearest(name_or_path, known)}"
        )
    return _from_yaml(name_or_path, load_manifest(f"datasets/{name_or_path}"))


def _from_yaml(name: str, content: Any) -> Descriptor:
    if not isinstance(content, Mapping):
        raise ConfigError(f"descriptor {name}: expected keys with values, found {type(content).__name__}")
    known = [item.name for item in fields(Descriptor) if item.name != "name"]
    for key in content:
        if key not in known:
            raise ConfigError(
                f"descriptor {name}: unknown key '{key}'; there are {', '.join(known)}.{nearest(str(key), known)}"
            )
    for key in ("role", "layout"):
        if key not in content:
            raise ConfigError(f"descriptor {name}: lacks the key '{key}'")
    return Descriptor(name=name, **content)


def find_stills(descriptor: Descriptor, root: Path) -> list[Still]:
    """The images of a set, sorted by key.

    Raises DataError for a missing root or class folder, a folder that the label map does not know, a set without an
    image, and counts that are not the expected ones.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give the folder that holds the images of {descriptor.name}")
    if descriptor.layout == "flat":
        stills = [Still(path.relative_to(root).as_posix(), path, UNLABELLED) for path in _images(root)]
    else:
        stills = _labelled(descriptor, root)
    if not stills:
        raise DataError(f"{root}: no image there; looked for {' '.join(sorted(IMAGE_SUFFIXES))}")
    _require_expected(descriptor, root, stills)
    return sorted(stills, key=lambda still: still.key)


def _labelled(descriptor: Descriptor, root: Path) -> list[Still]:
    labels = descriptor.labels
    present = sorted(folder.name for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    for name in present:
        if name not in labels:
            raise DataError(
                f"{root / name}: the label map of {descriptor.name} has no folder of this name; it knows "
                f"{', '.join(labels)}.{nearest(name, labels)} Add it to a descriptor of your own (null leaves it out)"
            )
    missing = [name for name, label in labels.items() if label is not None and name not in present]
    if missing:
        raise DataError(
            f"{root}: lacks the class folders {', '.join(missing)}; found {', '.join(present) or 'no folder'}. "
            "Give the folder that holds them, or describe the set in a .yaml file of your own"
        )
    return [
        Still(path.relative_to(root).as_posix(), path, EXPRESSION_CLASSES.index(label))
        for name, label in labels.items()
        if label is not None
        for path in _images(root / name)
    ]


def _images(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]


def _require_expected(descriptor: Descriptor, root: Path, stills: list[Still]) -> None:
    for folder, expected in descriptor.expected.items():
        found = sum(1 for still in stills if folder == "." or still.key.startswith(f"{folder}/"))
        if found != expected:
            raise DataError(
                f"{root / folder}: expected {expected} images ({descriptor.name}), found {found}; "
                "get the set again, or correct `expected` in the descriptor"
            )
