"""Figures of a benchmark: scores against the portion of the labels, and learning curves against steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from abaw.core.run_folder import METRICS, read_metrics
from pipelines.bench.cells import BenchCell
from pipelines.bench.published import Published
from pipelines.bench.scores import BenchTable, score, summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from abaw.evaluation.seeds import SeedMean

_LOG_FROM = 6.0
_CURVES = (("loss", "loss in training"), ("eval/macro_f1", "macro F1, selection split"))
_PANEL = (3.4, 2.8)


def write_scores(path: Path, table: BenchTable, published: Sequence[Published]) -> None:
    """Macro F1 and accuracy of the last checkpoints, one line per variant; bars: standard deviation over seeds."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, 4.4), layout="constrained")
    for axes, (title, name) in zip(
        figure.subplots(1, 2), (("macro F1", "macro_f1"), ("accuracy", "accuracy")), strict=True
    ):
        for number, variant in enumerate(table.variants):
            _draw_variant(axes, table, variant, name, f"C{number % 10}", "-" if number < 10 else "--")
        if name == "accuracy":
            _draw_published(axes, table, published)
        _label_portions(axes, table)
        axes.set_ylabel(f"{title}, last checkpoint")
        axes.grid(alpha=0.3)
    _legend(figure)
    _save(figure, path)


def _draw_variant(axes: Axes, table: BenchTable, variant: str, name: str, colour: str, style: str) -> None:
    found = [(portion.value, summary(table.group(variant, portion), score("last", name))) for portion in table.portions]
    points: list[tuple[float, SeedMean]] = sorted(
        ((place, each) for place, each in found if each is not None), key=lambda pair: pair[0]
    )
    if not points:
        return
    places, means = [place for place, _ in points], [each.mean for _, each in points]
    axes.errorbar(
        places, means, yerr=[each.spread or 0.0 for _, each in points], color=colour, linestyle=style,
        marker="o", markersize=4, capsize=3, linewidth=1.4, label=variant,
    )  # fmt: skip


def _draw_published(axes: Axes, table: BenchTable, published: Sequence[Published]) -> None:
    for number, row in enumerate(published):
        places = [portion for portion in table.portions if portion in row.accuracy]
        if places:
            axes.plot(
                [portion.value for portion in places], [row.accuracy[portion] for portion in places],
                color="grey", linestyle=":", marker="xv^<>sDP*"[number % 9], markersize=5, linewidth=1.0,
                label=f"{row.name} (published)",
            )  # fmt: skip


def _label_portions(axes: Axes, table: BenchTable) -> None:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from matplotlib.ticker import NullFormatter, NullLocator

    places = sorted({portion.value: portion.heading for portion in table.portions}.items())
    if places[-1][0] / places[0][0] >= _LOG_FROM:
        axes.set_xscale("log")
    axes.set_xticks([place for place, _ in places], [heading for _, heading in places])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("labels known")


def write_curves(path: Path, cells: Sequence[BenchCell]) -> None:
    """Training loss and macro F1 on the selection split against the steps after the warm start.

    One column per portion, one line per variant: the mean over the seeds.
    """
    # Loaded on use: `--help` and wrong usage are answered without it.
    from matplotlib.figure import Figure

    parts = list(dict.fromkeys(cell.portion for cell in cells))
    names = list(dict.fromkeys(cell.variant.name for cell in cells))
    logs = {cell.name: read_metrics(cell.folder / METRICS) for cell in cells}
    figure = Figure(figsize=(_PANEL[0] * len(parts) + 1.8, _PANEL[1] * len(_CURVES)), layout="constrained")
    grid = figure.subplots(len(_CURVES), len(parts), squeeze=False, sharex="col")
    for axes, portion in zip(grid[0], parts, strict=True):
        axes.set_title(portion.heading, fontsize="medium")
    for row, (key, title) in zip(grid, _CURVES, strict=True):
        for axes, portion in zip(row, parts, strict=True):
            for number, name in enumerate(names):
                mine = [logs[cell.name] for cell in cells if (cell.variant.name, cell.portion) == (name, portion)]
                steps, values = _mean_curve(mine, key)
                style = "-" if number < 10 else "--"
                axes.plot(steps, values, color=f"C{number % 10}", linestyle=style, linewidth=1.2, label=name)
            axes.grid(alpha=0.3)
        row[0].set_ylabel(title)
    for axes in grid[-1]:
        axes.set_xlabel("steps")
    _legend(figure)
    _save(figure, path)


def _mean_curve(logs: Sequence[Sequence[Mapping[str, float]]], key: str) -> tuple[list[int], list[float]]:
    """The steps that all runs have logged, and the means there."""
    curves = [{int(line["step"]): line[key] for line in log if key in line} for log in logs]
    steps = sorted(set.intersection(*map(set, curves))) if curves else []
    return steps, [mean(curve[step] for curve in curves) for step in steps]


def _legend(figure: Figure) -> None:
    """One legend for all panels, at the side."""
    handles = {
        label: handle for axes in figure.axes for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(list(handles.values()), list(handles), loc="outside right upper", fontsize="small")


def _save(figure: Figure, path: Path) -> None:
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.core.artifacts import atomic_path

    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)
