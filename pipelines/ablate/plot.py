"""A plot of the score against one or two varied settings, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.ablate.scores import AblationTable, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOG_FROM = 6.0
_MAX_SETTINGS = 2
_BETWEEN_WORDS = 0.08
_DOT = 14


def write_plot(path: Path, table: AblationTable) -> bool:
    """Draw a line per value of the second setting, a band for the interval over videos, and a dot per run.

    Returns False, and writes no file, when more than two settings have more than one value.
    """
    # Loaded on use: `--help` and wrong usage are answered without it.
    from matplotlib.figure import Figure

    from abaw.core.artifacts import atomic_path

    settings = _drawn_settings(table.rows)
    if len(settings) > _MAX_SETTINGS:
        path.unlink(missing_ok=True)  # a plot of an earlier, smaller grid does not belong to this table
        return False
    across = settings[0] if settings else next(iter(table.rows[0].values))
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    positions = _positions([row.values[across] for row in table.rows], axes)
    numeric = _is_numeric(positions)
    second = settings[1] if len(settings) > 1 else None
    groups = _by_value(table.rows, second)
    for number, (value, rows) in enumerate(groups.items()):
        shift = 0.0 if numeric else (number - (len(groups) - 1) / 2) * _BETWEEN_WORDS
        places = [positions[row.values[across]] + shift for row in rows]
        _draw(axes, rows, places, f"C{number}", "mean over seeds" if second is None else f"{second} {value}", numeric)
    # For the legend alone.
    axes.fill_between([], [], [], color="grey", alpha=0.3, label="95 % interval, over videos")
    axes.scatter([], [], s=_DOT, color="white", edgecolors="black", linewidths=0.7, label="one run")
    axes.set_xlabel({"window": "window (frames)", "hop": "hop (frames)"}.get(across, across))
    axes.set_ylabel(f"{table.measure.name}, {table.num_videos} validation videos")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)
    return True


def _drawn_settings(rows: Sequence[Row]) -> list[str]:
    """Settings with more than one value, the one for the axis first: a numeric one, with the most values."""
    values = {name: {row.values[name] for row in rows} for name in rows[0].values}
    several = [name for name, found in values.items() if len(found) > 1]
    return sorted(several, key=lambda name: (not _is_numeric(values[name]), -len(values[name])))


def _is_numeric(values: Any) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _positions(values: Sequence[Any], axes: Axes) -> Mapping[Any, float]:
    """The position of each value on the axis, which gets a tick for each: numbers at their value, words evenly."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from matplotlib.ticker import NullFormatter, NullLocator

    different = list(dict.fromkeys(values))
    if not _is_numeric(different):
        axes.set_xticks(range(len(different)), list(map(str, different)))
        axes.margins(x=0.2)
        return {value: float(index) for index, value in enumerate(different)}
    ordered = sorted(different)
    if ordered[0] > 0 and ordered[-1] / ordered[0] >= _LOG_FROM:
        axes.set_xscale("log")
    axes.set_xticks(ordered, [f"{value:g}" for value in ordered])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    return {value: float(value) for value in ordered}


def _by_value(rows: Sequence[Row], setting: str | None) -> dict[Any, list[Row]]:
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.values[setting] if setting else None, []).append(row)
    return groups


def _draw(axes: Axes, rows: Sequence[Row], places: Sequence[float], colour: str, name: str, numeric: bool) -> None:
    """Numbers get a line in a band, words a point with a bar each."""
    pairs = sorted(zip(places, rows, strict=True), key=lambda pair: pair[0])
    across = [place for place, _ in pairs]
    means = [row.mean for _, row in pairs]
    low, high = [row.score.interval.low for _, row in pairs], [row.score.interval.high for _, row in pairs]
    axes.plot(across, means, color=colour, marker="o", linestyle="-" if numeric else "none", label=name)
    if numeric and len(pairs) > 1:
        axes.fill_between(across, low, high, color=colour, alpha=0.15, linewidth=0)
    else:
        axes.vlines(across, low, high, color=colour, alpha=0.5)
    dots = [(place, score) for place, row in pairs for score in (cell.score for cell in row.cells.values())]
    where, scores = [place for place, _ in dots], [score for _, score in dots]
    axes.scatter(where, scores, s=_DOT, color=colour, edgecolors="black", linewidths=0.7, zorder=3)
