"""The images of a set, found as its descriptor says, with their labels, votes and boxes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from abaw.core.errors import ConfigError, DataError, nearest
from abaw.core.folders import is_system_file, names_in
from abaw.core.reading import read_errors
from abaw.core.text import listed
from abaw.importing.descriptor import Descriptor, LabelFiles
from abaw.importing.still import Still, images_below, key_of, left_out
from abaw.importing.still_table import table_stills
from abaw.protocol.classes import EXPRESSION_CLASSES, UNLABELLED
from abaw.protocol.layout import IMAGE_SUFFIXES

_WHOLE = "."


def find_stills(descriptor: Descriptor, root: Path, subset: str = "") -> list[Still]:
    """The images of a set, or of one split of it, sorted by key.

    Raises DataError for anything missing below the root (folder, table, column, image), a folder or value that is not
    in the label map, two images with one label file, a set without an image, and counts other than the expected ones;
    ConfigError for an unknown subset.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give the folder with the images of {descriptor.name}")
    if descriptor.table is not None:
        by_split = table_stills(descriptor, descriptor.table, root, subset)
        counts = Counter({split: len(stills) for split, stills in by_split.items()})
        _require_expected(descriptor, root, counts, subset)
        return sorted((still for stills in by_split.values() for still in stills), key=lambda still: still.key)
    if subset:
        raise ConfigError(
            f"subset '{subset}': a set of layout {descriptor.layout} has no splits; give the folder of one as root"
        )
    stills = sorted(_in_folders(descriptor, root), key=lambda still: still.key)
    if not stills:
        raise DataError(f"{root}: contains no image; looked for {' '.join(sorted(IMAGE_SUFFIXES))}{_others(root)}")
    _require_expected(descriptor, root, _by_folder(descriptor, stills))
    return stills


def _others(root: Path) -> str:
    others = [key_of(path, root) for path in left_out(root)]
    if not others:
        return ""
    return f", found {listed(others)}; animations are videos (`abaw extract`), other formats must become JPEG or PNG"


def _in_folders(descriptor: Descriptor, root: Path) -> list[Still]:
    if descriptor.label_files is not None:
        return _with_label_files(descriptor, descriptor.label_files, root)
    if descriptor.layout == "flat":
        return [Still(key_of(path, root), path, UNLABELLED) for path in images_below(root)]
    return _in_class_folders(descriptor, root)


def _in_class_folders(descriptor: Descriptor, root: Path) -> list[Still]:
    labels = descriptor.labels
    folders = [name for name in names_in(root) if (root / name).is_dir()]
    present = sorted(name for name in folders if not name.startswith(".") and not is_system_file(name))
    for name in present:
        if name not in labels:
            raise DataError(
                f"{root / name}: the label map of {descriptor.name} has no folder of this name; it has "
                f"{', '.join(labels)}.{nearest(name, labels)} Add it to your own descriptor (null leaves it out)"
            )
    missing = [name for name, label in labels.items() if label is not None and name not in present]
    if missing:
        raise DataError(
            f"{root}: missing class folders {', '.join(missing)}; found {', '.join(present) or 'no folder'}. "
            "Give the folder that contains them, or describe the set in your own .yaml file"
        )
    return [
        Still(key_of(path, root), path, EXPRESSION_CLASSES.index(label))
        for name, label in labels.items()
        if label is not None
        for path in images_below(root / name)
    ]


def _with_label_files(descriptor: Descriptor, files: LabelFiles, root: Path) -> list[Still]:
    folder = root / files.image_folder
    if not folder.is_dir():
        raise DataError(
            f"{folder}: no such folder, though {descriptor.name} has its images in it. Give the folder that contains it"
        )
    stills = []
    image_of: dict[Path, Path] = {}
    for path in images_below(folder):
        file = root / files.label_file.format(stem=path.stem)
        if (other := image_of.setdefault(file, path)) != path:
            raise DataError(
                f"{file}: expected the label of one image, but {other} and {path} have this name; rename one of them "
                "and its label, or remove it"
            )
        value = _value_of(file, path)
        if value not in descriptor.labels:
            raise DataError(
                f"{path}: its label is '{value}', which is not in the label map of {descriptor.name}; it has "
                f"{', '.join(descriptor.labels)}"
            )
        label = descriptor.labels[value]
        index = UNLABELLED if label is None else EXPRESSION_CLASSES.index(label)
        stills.append(Still(key_of(path, root), path, index))
    return stills


def _value_of(file: Path, image: Path) -> str:
    """The value of a .npy file with one value."""
    if not file.exists():
        raise DataError(f"{file}: no such file; it should contain the label of {image}. Download the set again")
    with read_errors(file, "not readable as .npy", "download the set again", (ValueError, EOFError)):
        value = np.load(file, allow_pickle=False)
    if np.size(value) != 1:
        raise DataError(f"{file}: expected one label, found {np.size(value)} values")
    return str(np.asarray(value).reshape(-1)[0])


def _by_folder(descriptor: Descriptor, stills: list[Still]) -> Counter[str]:
    """Images below each folder with an expected number."""
    counts: Counter[str] = Counter()
    for folder in descriptor.expected:
        if folder != _WHOLE:
            counts[folder] = sum(1 for still in stills if still.key.startswith(f"{folder}/"))
    counts[_WHOLE] = len(stills)
    return counts


def _require_expected(descriptor: Descriptor, root: Path, counts: Counter[str], subset: str = "") -> None:
    """counts: images per folder, or per split; of a subset, only its own number is checked."""
    if descriptor.table is not None:
        counts = counts + Counter({_WHOLE: counts.total()})
    for name, expected in descriptor.expected.items():
        if (subset and name != subset) or counts[name] == expected:
            continue
        where = root / name if descriptor.table is None else f"{root}: {'' if name == _WHOLE else f'split {name}: '}"
        separator = ": " if descriptor.table is None else ""
        raise DataError(
            f"{where}{separator}expected {expected} images ({descriptor.name}), found {counts[name]}; "
            "download the set again, or import what exists with your own descriptor without `expected`"
        )
