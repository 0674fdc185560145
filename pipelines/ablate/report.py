"""What an ablation found, as a table, a CSV file and a few lines."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from pipelines.ablate.scores import Row, Table

_NONE = "–"


def markdown_table(table: Table) -> str:
    """One row a setting. Ends with a line end."""
    fields = list(table.rows[0].values)
    heads = [*fields, *_windows(fields), "seeds", "macro F1", "95 % interval", "below the best"]
    heads += ["with face", "accuracy", "s in steps", "s evaluating", "s in all", "parameters"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for index, row in enumerate(table.rows):
        cells = list(row.cells.values())
        behind = f"{row.behind:.4f} {row.behind_interval:.4f}"
        entries = [
            *map(str, row.values.values()),
            *(str(getattr(row, name)) for name in _windows(fields)),
            str(len(cells)),
            _mean_and_deviation(row),
            f"{row.interval:.4f}",
            "best" if index == table.best else behind,
            _mean([cell.macro_f1_with_face for cell in cells], ".4f"),
            _mean([cell.accuracy for cell in cells], ".4f"),
            _mean([cell.step_seconds for cell in cells], ".1f"),
            _mean([cell.evaluation_seconds for cell in cells], ".1f"),
            _mean([cell.total_seconds for cell in cells], ".1f"),
            f"{cells[0].parameters:,}",
        ]
        lines.append(f"| {' | '.join(entries)} |")
    return "\n".join(lines) + "\n"


def _windows(fields: Sequence[str]) -> list[str]:
    """What follows from the varied fields and is worth a column: the hop in frames."""
    return ["hop"] if {"window", "hop_fraction"} & set(fields) and "hop" not in fields else []


def _mean(values: Iterable[float | None], form: str) -> str:
    known = [value for value in values if value is not None]
    return format(mean(known), form) if known else _NONE


def _mean_and_deviation(row: Row) -> str:
    return f"{row.macro_f1:.4f}" if row.spread is None else f"{row.macro_f1:.4f} ± {row.spread:.4f}"


def setting_name(row: Row) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.values.items())


def best_lines(table: Table) -> str:
    """The setting with the highest mean, what that number is worth, and the honest one beside it."""
    best = table.rows[table.best]
    text = (
        f"best: {setting_name(best)}: macro F1 {_mean_and_deviation(best)}, 95 % interval {best.interval:.4f}, "
        f"on {table.num_videos} validation videos"
    )
    if best.spread is None:
        text += "; one seed, no spread known"
    if len(table.rows) == 1:
        return f"{text}; last checkpoints, no smoothing"
    text += (
        f". Caveat: chosen among {len(table.rows)} on the very videos it is scored on, so the figure is optimistic. "
        "Last checkpoints, no smoothing."
    )
    return f"{text}\n{_level(table)}\n{_honest(table)}"


def _level(table: Table) -> str:
    level = [row for row in table.rows if row is not table.rows[table.best] and row.behind_interval.low <= 0]
    if not level:
        return "All others lie below the best with the whole 95 % interval of the difference (over videos)."
    names = "; ".join(setting_name(row) for row in level)
    return f"Not to be told from the best on these videos (the interval of the difference holds 0): {names}."


def _honest(table: Table) -> str:
    if table.honest is None:
        return "honest: not known, for nested selection needs two annotated videos and a seed that every setting has."
    counts = Counter(table.honest.chosen).most_common()
    choices = "; ".join(f"{setting_name(table.rows[index])} in {count}" for index, count in counts)
    honest = table.honest
    return (
        f"honest: macro F1 {honest.macro_f1:.4f}, 95 % interval {honest.interval:.4f}: each video scored with the "
        "setting that is best on the folds without it (nested selection, mean over seeds; chosen of "
        f"{len(honest.chosen)} folds: {choices})"
    )


def write_csv(path: Path, table: Table) -> None:
    """One row a cell."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.core.artifacts import write_text

    rows = [facts for row in table.rows for facts in cell_facts(row)]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def table_facts(table: Table) -> dict[str, Any]:
    """The table as plain values."""
    best = table.rows[table.best]
    honest = table.honest
    return {
        "best": {**best.values, "macro_f1": best.macro_f1, "chosen_on_the_scored_videos": len(table.rows) > 1},
        "honest": None
        if honest is None
        else {
            "macro_f1": honest.macro_f1,
            "interval": honest.interval.ends,
            "chosen": [dict(table.rows[index].values) for index in honest.chosen],
        },
        "settings": [
            {
                **row.values,
                "window": row.window,
                "hop": row.hop,
                "macro_f1": row.macro_f1,
                "spread": row.spread,
                "interval": row.interval.ends,
                "below_the_best": row.behind,
                "below_the_best_interval": row.behind_interval.ends,
            }
            for row in table.rows
        ],
        "cells": [facts for row in table.rows for facts in cell_facts(row)],
    }


def cell_facts(row: Row) -> list[dict[str, Any]]:
    """What is told of each cell of a setting; its frame counts are in the cell's own folder."""
    scores = ("macro_f1", "macro_f1_with_face", "accuracy", "parameters")
    names = (*scores, "step_seconds", "evaluation_seconds", "total_seconds")
    return [
        {
            **row.values,
            "window": row.window,
            "hop": row.hop,
            "seed": seed,
            **{name: getattr(cell, name) for name in names},
        }
        for seed, cell in row.cells.items()
    ]
