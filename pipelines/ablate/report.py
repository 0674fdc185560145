"""The report of an ablation: a table, a CSV file and a few lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from pipelines.ablate.decodings import SETTING
from pipelines.ablate.scores import AblationTable, Row

_NONE = "–"


def markdown_table(table: AblationTable) -> str:
    """One row per variant. Ends with a line end."""
    fields = list(table.rows[0].values)
    heads = [*fields, *_windows(fields), "seeds", table.measure.name, "95 % interval", "below the best"]
    heads += ["with face", "accuracy", "s in steps", "s evaluating", "s in total", "parameters"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for index, row in enumerate(table.rows):
        cells = list(row.cells.values())
        below_best = f"{row.score.below_best:.4f} {row.score.below_best_interval:.4f}"
        texts = [
            *map(str, row.values.values()),
            *(str(getattr(row.variant, name)) for name in _windows(fields)),
            str(len(cells)),
            _mean_and_deviation(row),
            f"{row.score.interval:.4f}",
            "best" if index == table.best else below_best,
            _mean([cell.score_with_face for cell in cells], ".4f"),
            _mean([cell.accuracy for cell in cells], ".4f"),
            _mean([cell.step_seconds for cell in cells], ".1f"),
            _mean([cell.evaluation_seconds for cell in cells], ".1f"),
            _mean([cell.total_seconds for cell in cells], ".1f"),
            f"{cells[0].parameters:,}",
        ]
        lines.append(f"| {' | '.join(texts)} |")
    return "\n".join(lines) + "\n"


def _windows(fields: Sequence[str]) -> list[str]:
    """A further column that follows from the varied settings: the hop in frames."""
    return ["hop"] if {"window", "hop_fraction"} & set(fields) and "hop" not in fields else []


def _mean(values: Iterable[float | None], form: str) -> str:
    known = [value for value in values if value is not None]
    return format(mean(known), form) if known else _NONE


def _mean_and_deviation(row: Row) -> str:
    return f"{row.mean:.4f}" if row.spread is None else f"{row.mean:.4f} ± {row.spread:.4f}"


def variant_name(row: Row) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.values.items())


def best_lines(table: AblationTable) -> str:
    """The variant with the highest mean, what that figure means, and an unbiased estimate."""
    best = table.rows[table.best]
    text = (
        f"best: {variant_name(best)}: {table.measure.name} {_mean_and_deviation(best)}, 95 % interval "
        f"{best.score.interval:.4f}, on {table.num_videos} validation videos"
    )
    if best.spread is None:
        text += "; one seed, so the spread is unknown"
    if len(table.rows) == 1:
        return f"{text}; {_conditions(table)}"
    text += (
        f". Caveat: chosen among {len(table.rows)} on the same videos that score it, so the figure is optimistic. "
        f"{_conditions(table).capitalize()}."
    )
    return f"{text}\n{_equal_line(table)}\n{_nested_line(table)}"


def _conditions(table: AblationTable) -> str:
    return "last checkpoints" if SETTING in table.rows[0].values else "last checkpoints, no smoothing"


def _equal_line(table: AblationTable) -> str:
    equal = [row for row in table.rows if row is not table.rows[table.best] and row.score.below_best_interval.low <= 0]
    if not equal:
        return "All others are significantly below the best: the 95 % interval of the difference is above 0."
    names = "; ".join(variant_name(row) for row in equal)
    return (
        "Not significantly different from the best on these videos (the interval of the difference contains 0): "
        f"{names}."
    )


def _nested_line(table: AblationTable) -> str:
    if table.nested is None:
        return "unbiased estimate: none; nested selection needs two annotated videos and a seed that all variants have."
    counts = Counter(table.nested.chosen).most_common()
    choices = "; ".join(f"{variant_name(table.rows[index])} in {count}" for index, count in counts)
    nested = table.nested
    return (
        f"unbiased estimate: {table.measure.name} {nested.score:.4f}, 95 % interval {nested.interval:.4f}: each video "
        "scored with the setting that is best on the folds without it (nested selection, mean over seeds; chosen of "
        f"{len(nested.chosen)} folds: {choices})"
    )


def write_csv(path: Path, table: AblationTable) -> None:
    """One row per cell."""
    # Loaded on use: `--help` and wrong usage are answered without it.
    from abaw.core.artifacts import write_text
    from abaw.core.text import csv_records

    write_text(path, csv_records([facts for row in table.rows for facts in cell_facts(row)]))


def table_facts(table: AblationTable) -> dict[str, Any]:
    """The table as plain values."""
    best = table.rows[table.best]
    nested, key = table.nested, table.measure.key
    return {
        "best": {**best.values, key: best.mean, "chosen_on_the_scored_videos": len(table.rows) > 1},
        "honest": None
        if nested is None
        else {
            key: nested.score,
            "interval": nested.interval.ends,
            "chosen": [dict(table.rows[index].values) for index in nested.chosen],
        },
        "settings": [
            {
                **row.values,
                "window": row.variant.window,
                "hop": row.variant.hop,
                key: row.mean,
                "spread": row.spread,
                "interval": row.score.interval.ends,
                "below_the_best": row.score.below_best,
                "below_the_best_interval": row.score.below_best_interval.ends,
            }
            for row in table.rows
        ],
        "cells": [facts for row in table.rows for facts in cell_facts(row)],
    }


def cell_facts(row: Row) -> list[dict[str, Any]]:
    """The reported facts of each cell of a variant; its frame counts are in the cell's folder."""
    key = next(iter(row.cells.values())).measure.key
    scores = (key, f"{key}_with_face", "accuracy", "parameters")
    names = (*scores, "step_seconds", "evaluation_seconds", "total_seconds")
    return [
        {
            **row.values,
            "window": row.variant.window,
            "hop": row.variant.hop,
            "seed": seed,
            **{name: cell.facts[name] for name in names},
        }
        for seed, cell in row.cells.items()
    ]
