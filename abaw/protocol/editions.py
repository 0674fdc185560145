"""Submission formats by edition, from `data_manifests/editions.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from abaw.core.errors import ConfigError, nearest
from abaw.protocol.classes import COMPOUND_CLASSES, EXPRESSION_CLASSES
from abaw.protocol.manifests import load_manifest

EditionTask = Literal["expression", "mtl", "compound"]
Layout = Literal["rows", "files"]

_CLASSES: dict[EditionTask, tuple[str, ...]] = {
    "expression": EXPRESSION_CLASSES,
    "mtl": EXPRESSION_CLASSES,
    "compound": COMPOUND_CLASSES,
}


@dataclass(frozen=True, slots=True)
class Edition:
    """What one edition wants to have handed in.

    task: a class of eight; valence, arousal, class and action units (mtl); or a class of seven compound ones.
    layout: one file with a row a frame, or a folder of one file a video. header: the first line of each file, exactly.
    template: the file that the organisers hand out. note: what is not seen of the format but taken; empty if nothing.
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
        return _CLASSES[self.task]

    @property
    def num_classes(self) -> int:
        return len(self.classes)


def edition(name: str) -> Edition:
    """The edition of that name. Raises ConfigError that lists those there are."""
    known = load_manifest("editions")
    if name not in known:
        raise ConfigError(f"unknown edition '{name}'; there are {', '.join(known)}.{nearest(name, known)}")
    return Edition(name, **known[name])


def owner_of_header(line: str) -> tuple[str, tuple[str, ...]] | None:
    """Whose first line this is, spaces aside: in words, and the editions that want it (none for other kinds of files).

    None when it is nobody's.
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
