"""A template and a submission without faults, for every edition with one row per frame; tests add faults to it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from abaw.protocol.editions import Edition, edition
from abaw.protocol.manifests import load_manifest
from abaw.protocol.template import Template
from abaw.submission.check import check_submission
from abaw.submission.fault import Fault

EDITIONS = tuple(load_manifest("editions"))
ROW_EDITIONS = tuple(name for name in EDITIONS if edition(name).layout == "rows")
CLASS_EDITIONS = tuple(name for name in ROW_EDITIONS if edition(name).classes)
MULTITASK = tuple(name for name in EDITIONS if edition(name).task == "mtl")
LENGTHS = {"b é": 4, "a": 3, "c-30": 5}
LOCATIONS = [f"{video}/{frame:05d}.jpg" for video, length in LENGTHS.items() for frame in range(1, length + 1)]


@dataclass(frozen=True)
class Sample:
    """A submission for an edition as text. rows: without line ends."""

    edition: Edition
    template: Template
    rows: list[str]

    @property
    def last_line(self) -> int:
        return len(self.rows) + 1

    def row(self, index: int, **fields: str) -> str:
        """A row with some fields replaced: location, k (the class), valence, arousal, au1, …."""
        parts = self.rows[index].split(",")
        places = {"location": 0, "k": self.class_field, "valence": 1, "arousal": 2}
        places |= {f"au{unit}": len(parts) - 13 + unit for unit in range(1, 13)}
        for name, value in fields.items():
            parts[places[name]] = value
        return ",".join(parts)

    @property
    def class_field(self) -> int:
        return 3 if self.edition.task == "mtl" else 1

    def text(self, rows: list[str] | None = None, header: str | None = None) -> str:
        lines = [self.edition.header if header is None else header, *(self.rows if rows is None else rows)]
        return "\n".join(lines) + "\n"

    def replaced(self, index: int, row: str) -> str:
        return self.text([*self.rows[:index], row, *self.rows[index + 1 :]])

    def changed(self, index: int, **fields: str) -> str:
        return self.replaced(index, self.row(index, **fields))

    def check(self, content: str | bytes) -> list[Fault]:
        return check(content, self.template, self.edition)

    def found(self, content: str | bytes) -> list[tuple[int, str]]:
        return [(fault.line, fault.kind) for fault in self.check(content)]


def sample(name: str) -> Sample:
    chosen = edition(name)
    rows = [f"{location},{values(chosen, index)}" for index, location in enumerate(LOCATIONS)]
    return Sample(chosen, Template(Path("template.txt"), chosen.header, LOCATIONS), rows)


def values(edition: Edition, index: int) -> str:
    """The values after the location; every column varies between rows."""
    label = str(index % edition.num_classes) if edition.classes else ""
    pair = f"{index / 20:.4f},{-index / 20:.2f}"
    units = ",".join(str((index >> unit % 3) & 1) for unit in range(12))
    return {"valence_arousal": pair, "action_units": units, "mtl": f"{pair},{label},{units}"}.get(edition.task, label)


def check(content: str | bytes, template: Template, edition: Edition) -> list[Fault]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.txt"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return check_submission(path, template, edition)


def long_template(num_rows: int) -> Template:
    """One video, with the header of the 6th edition."""
    return Template(
        Path("t.txt"), sample("abaw6").edition.header, [f"v/{frame:05d}.jpg" for frame in range(1, num_rows + 1)]
    )
