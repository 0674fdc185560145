"""What API functions return. Loaded without torch."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from abaw.core.artifacts import read_json
from abaw.page.palette import CLASS_COLOURS

if TYPE_CHECKING:
    import pyarrow as pa

_WIDTH, _ROW = 640, 22


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of frames of one person with the same expression, from start_s to end_s seconds."""

    video: str
    person: str
    start_s: float
    end_s: float
    label: str
    mean_probability: float


class VideoResult:
    """The expressions in one or more videos or photos.

    table: one row per frame and person, with the columns of the command's CSV and `person` and `video`; values are
    null where there is no face. segments: of all people, in order. videos: the names. folder: the command's files.
    """

    def __init__(self, folder: Path, videos: Sequence[str], keeper: TemporaryDirectory[str] | None) -> None:
        self.folder = folder
        self.videos = tuple(videos)
        # Removes the folder with this object, unless the caller chose one.
        self._keeper = keeper
        self._summaries = {name: read_json(folder / f"{name}.json") for name in videos}
        self._table: pa.Table | None = None

    @property
    def table(self) -> pa.Table:
        if self._table is None:
            self._table = _read_tables(self.folder, self._summaries)
        return self._table

    @property
    def segments(self) -> tuple[Segment, ...]:
        return tuple(
            Segment(
                video,
                person["name"],
                one["start_s"],
                one["end_s"],
                one["label"],
                one["mean_probability"],
            )
            for video, summary in self._summaries.items()
            for person in summary["people"]
            for one in person["segments"]
        )

    @property
    def summary(self) -> Mapping[str, Any]:
        """The command's JSON summary of each video, by name."""
        return dict(self._summaries)

    def to_pandas(self) -> Any:
        """The table as a pandas.DataFrame; needs pandas."""
        return self.table.to_pandas()

    def to_polars(self) -> Any:
        """The table as a polars.DataFrame; needs polars."""
        # An optional package.
        import polars

        return polars.from_arrow(self.table)

    def save(self, folder: str | Path) -> Path:
        """Copy the command's files to a folder, which may exist; files of the same names are replaced."""
        target = Path(folder)
        if target.resolve() != self.folder.resolve():
            shutil.copytree(self.folder, target, dirs_exist_ok=True)
        return target

    def __repr__(self) -> str:
        people = sum(len(summary["people"]) for summary in self._summaries.values())
        frames = sum(summary["frames"] for summary in self._summaries.values())
        return f"<VideoResult: {', '.join(self.videos)}; {frames} frames, {people} people>"

    def _repr_html_(self) -> str:
        """The timelines, for notebooks."""
        return "\n".join(_timeline(name, summary) for name, summary in self._summaries.items()) + _legend()


def _read_tables(folder: Path, summaries: Mapping[str, Any]) -> pa.Table:
    # Loaded on use: results can be looked at without them.
    import pyarrow as pa
    from pyarrow import csv

    types = {"frame": pa.int32(), "label": pa.string()}
    # Loaded on use, too.
    from abaw.viewer.tables import HEADER

    kinds = {name: types.get(name, pa.float64()) for name in HEADER} | {"person": pa.string(), "video": pa.string()}
    tables = [pa.schema(kinds.items()).empty_table()]
    for video, summary in summaries.items():
        for person in summary["people"]:
            file = folder / f"{person['name']}.csv"
            options = csv.ConvertOptions(column_types=kinds, strings_can_be_null=True)
            table = csv.read_csv(file, convert_options=options)
            for name, word in (("person", person["name"]), ("video", video)):
                table = table.append_column(name, pa.array([word] * len(table), pa.string()))
            tables.append(table)
    return pa.concat_tables(tables)


def _timeline(video: str, summary: Mapping[str, Any]) -> str:
    """One row per person; a title on each segment."""
    people = summary["people"]
    end = max([one["end_s"] for person in people for one in person["segments"]] or [0.0]) or 1.0
    parts = [f'<text x="0" y="14" fill="currentColor">{escape(video)} ({end:.1f} s)</text>']
    for row, person in enumerate(people):
        y = (row + 1) * _ROW
        parts.append(f'<text x="0" y="{y + 14}" fill="currentColor">{escape(person["name"])}</text>')
        for one in person["segments"]:
            x, width = 120 + _WIDTH * one["start_s"] / end, _WIDTH * (one["end_s"] - one["start_s"]) / end
            said = f"{one['label']} {one['start_s']:.1f} to {one['end_s']:.1f} s, {one['mean_probability']:.0%}"
            parts.append(
                f'<rect x="{x:.1f}" y="{y}" width="{max(1.0, width):.1f}" height="{_ROW - 5}" '
                f'fill="{CLASS_COLOURS[one["label"]]}"><title>{escape(said)}</title></rect>'
            )
    height = (len(people) + 1) * _ROW
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH + 120} {height}" width="{_WIDTH + 120}" '
        f'style="max-width: 100%; font: 12px sans-serif">{"".join(parts)}</svg>'
    )


def _legend() -> str:
    spots = [
        f'<span style="white-space: nowrap"><span style="color: {colour}">■</span> {name}</span>'
        for name, colour in CLASS_COLOURS.items()
    ]
    return f'<div style="font: 12px sans-serif">{" ".join(spots)}</div>'


@dataclass(frozen=True, slots=True)
class Run:
    """A training run. folder: of the run; checkpoint: its last one, for other functions."""

    folder: Path

    @property
    def checkpoint(self) -> Path:
        return self.folder / "last"

    @property
    def metrics(self) -> list[dict[str, float]]:
        """The lines of metrics.jsonl: the step, and the values logged at it."""
        text = (self.folder / "metrics.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]


@dataclass(frozen=True, slots=True)
class Report:
    """Scores of predictions. folder: of the report; page: the report itself; numbers: everything it says."""

    folder: Path

    @property
    def page(self) -> Path:
        return self.folder / "index.html"

    @property
    def numbers(self) -> dict[str, Any]:
        """The content of metrics.json."""
        return dict(read_json(self.folder / "metrics.json"))
