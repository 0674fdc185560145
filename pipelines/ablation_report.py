"""What an ablation found, as a table, a CSV file, a plot and one line."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import mean, stdev


@dataclass(frozen=True)
class Cell:
    """One training run, scored on the validation split.

    macro_f1: over all annotated frames; macro_f1_with_face: over those with a face (None: there is none);
    train_seconds: wall time of the training (None when it was interrupted and resumed).
    """

    window: int
    hop: int
    seed: int
    macro_f1: float
    macro_f1_with_face: float | None
    accuracy: float
    parameters: int
    train_seconds: float | None


def by_window(cells: Sequence[Cell]) -> dict[int, list[Cell]]:
    """Cells of each window length, shortest first."""
    groups: dict[int, list[Cell]] = {}
    for cell in sorted(cells, key=lambda cell: (cell.window, cell.seed)):
        groups.setdefault(cell.window, []).append(cell)
    return groups


def markdown_table(cells: Sequence[Cell]) -> str:
    """One row a window: mean and spread over its seeds. Ends with a line end."""
    lines = [
        "| window | hop | seeds | macro F1 | lowest | highest | macro F1, with face | accuracy | s/run | parameters |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for window, group in by_window(cells).items():
        scores = [cell.macro_f1 for cell in group]
        with_face = [cell.macro_f1_with_face for cell in group if cell.macro_f1_with_face is not None]
        times = [cell.train_seconds for cell in group if cell.train_seconds is not None]
        entries = [
            str(window),
            str(group[0].hop),
            str(len(group)),
            _mean_and_deviation(scores),
            f"{min(scores):.4f}",
            f"{max(scores):.4f}",
            _mean_and_deviation(with_face) if with_face else "–",
            f"{mean(cell.accuracy for cell in group):.4f}",
            f"{mean(times):.1f}" if times else "–",
            f"{group[0].parameters:,}",
        ]
        lines.append(f"| {' | '.join(entries)} |")
    return "\n".join(lines) + "\n"


def _mean_and_deviation(values: Sequence[float]) -> str:
    return f"{mean(values):.4f} ± {stdev(values):.4f}" if len(values) > 1 else f"{values[0]:.4f}"


def best_line(cells: Sequence[Cell], num_videos: int) -> str:
    """The window with the highest mean, with what that number is worth."""
    groups = by_window(cells)
    best = max(groups, key=lambda window: mean(cell.macro_f1 for cell in groups[window]))
    scores = [cell.macro_f1 for cell in groups[best]]
    text = f"best: window {best}, macro F1 {_mean_and_deviation(scores)} on {num_videos} validation videos"
    if len(scores) == 1:
        text += ", one seed (no spread known)"
    if len(groups) == 1:
        return text + "; last checkpoints, no smoothing"
    return (
        f"{text}. Caveat: this window was chosen among {len(groups)} on the very videos it is scored on, so the figure "
        "is optimistic; differences below the spread over seeds mean nothing. Last checkpoints, no smoothing."
    )


def write_csv(path: Path, cells: Sequence[Cell]) -> None:
    """One row a cell."""
    from abaw.core.artifacts import write_text

    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Cell)], lineterminator="\n")
    writer.writeheader()
    for group in by_window(cells).values():
        writer.writerows(asdict(cell) for cell in group)
    write_text(path, text.getvalue())


def write_plot(path: Path, cells: Sequence[Cell]) -> None:
    """Macro F1 against the window length: a dot a run, a line through the means, a band of one standard deviation."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter, NullLocator

    from abaw.core.artifacts import atomic_path

    groups = by_window(cells)
    windows = list(groups)
    means = [mean(cell.macro_f1 for cell in group) for group in groups.values()]
    spreads = [stdev([cell.macro_f1 for cell in g]) if len(g) > 1 else 0.0 for g in groups.values()]
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    low = [middle - spread for middle, spread in zip(means, spreads, strict=True)]
    high = [middle + spread for middle, spread in zip(means, spreads, strict=True)]
    axes.fill_between(windows, low, high, alpha=0.2, label="± one standard deviation over seeds")
    axes.plot(windows, means, marker="o", label="mean")
    axes.scatter(
        [cell.window for cell in cells], [cell.macro_f1 for cell in cells], s=16, color="black", label="one run"
    )
    axes.set_xscale("log")
    axes.set_xticks(windows, [str(window) for window in windows])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("window (frames)")
    axes.set_ylabel("macro F1, validation videos")
    axes.grid(alpha=0.3)
    axes.legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)
