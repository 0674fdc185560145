"""Submission formats by edition, from `data_manifests/editions.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from abaw.core.errors import ConfigError, nearest
from abaw.protocol.classes import COMPOUND_CLASSES, EXPRESSION_CLASSES
from abaw.protocol.manifests import load_manifest

EditionTask = Literal["expression", "valence_arousal", "action_units", "mtl", "compound"]
Layout = Literal["rows", "files"]

_CLASSES: dict[EditionTask, tuple[str, ...]] = {
    "expression": EXPRESSION_CLASSES,
    "valence_arousal": (),
    "action_units": (),
    "mtl": EXPRESSION_CLASSES,
    "compound": COMPOUND_CLASSES,
}


@dataclass(frozen=True, slots=True)
class Edition:
    """The submission format of one edition.

    task: one of eight classes (expression); valence and arousal; action units; all of these (mtl); or one of seven
    compound classes. layout: one file with one row per frame, or a folder with one file per video. header: the exact
    first line of each file. template: the file that the organisers provide. note: what is assumed about the format
    rather than seen; empty if nothing.
    """

    name: str
    title: str
    task: EditionTask
    layout: Layout
    header: str
    template: str
    note: str = ""

    @property
    def classes(self) -> tuple[str, ...]:
        """Empty for a task without classes."""
        return _CLASSES[self.task]

    @property
    def num_classes(self) -> int:
        return len(self.classes)


def edition(name: str) -> Edition:
    """The edition of that name.

    Raises ConfigError: for an unknown name with the known ones, for an edition whose format is unknown with the reason.
    """
    known, unsupported = load_manifest("editions"), load_manifest("unsupported_editions")
    if name in unsupported:
        raise ConfigError(f"edition '{name}' is not supported: {unsupported[name]}")
    if name not in known:
        raise ConfigError(f"unknown edition '{name}'; choose from {', '.join(known)}.{nearest(name, known)}")
    return Edition(name, **known[name])


def owner_of_header(line: str) -> tuple[str, tuple[str, ...]] | None:
    """What kind of file starts with this line, ignoring spaces: a description, and the editions that require the line.

    The editions are empty for other kinds of files. None for an unknown line.
    """
    header = squeezed(line)
    owners = tuple(name for name, facts in load_manifest("editions").items() if facts["header"] == header)
    if owners:
        return f"edition {' or '.join(owners)}", owners
    others = {text: kind for kind, text in load_manifest("other_headers").items()}
    return (others[header], ()) if header in others else None


def squeezed(line: str) -> str:
    """A line without spaces around its fields."""
    return ",".join(part.strip() for part in line.split(","))
