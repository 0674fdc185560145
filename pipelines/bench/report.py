"""The table of a benchmark: as text, as CSV, as plain values."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from abaw.data.label_portions import Portion
from abaw.protocol.classes import EXPRESSION_CLASSES
from pipelines.bench.cells import BenchCell, BenchResult
from pipelines.bench.published import Published
from pipelines.bench.scores import RIVALS, Difference, Group, Pick, Summary, Table, difference, score, summary

_NONE = "–"
_SCORES = (("macro F1", "macro_f1"), ("accuracy", "accuracy"))


def markdown(table: Table, published: Sequence[Published], head: str) -> str:
    """The report. Ends with a line end."""
    parts = [f"# Semi-supervised methods\n\n{head}\n"]
    for title, name in _SCORES:
        rows = _published_lines(table, published) if name == "accuracy" else []
        parts.append(_section(f"{title}, last checkpoint", table, _summary_text(score("last", name)), rows))
    parts += [_against(table, rival) for rival in RIVALS if rival in table.entries]
    if any(result.best is not None for group in table.groups.values() for result in group.results.values()):
        for title, name in _SCORES:
            heading = f"{title}, best checkpoint (chosen on the selection split)"
            parts.append(_section(heading, table, _summary_text(score("best", name))))
    parts.append(_section("Wall time of a cell (s)", table, _seconds_text))
    parts.append("![scores](bench.png)\n\nLearning curves, mean over the seeds:\n\n![curves](curves.png)\n")
    notes = {each.source: each.note for each in published}
    parts += [f"Published rows: {source}; {note}.\n" for source, note in notes.items()]
    return "\n".join(parts)


def _section(title: str, table: Table, text: Callable[[Group | None], str], further: Sequence[str] = ()) -> str:
    """One row an entry, one column a portion."""
    heads = ["", *(portion.heading for portion in table.portions)]
    lines = [f"## {title}\n", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for entry in table.entries:
        cells = [text(table.group(entry, portion)) for portion in table.portions]
        lines.append(f"| {' | '.join([entry, *cells])} |")
    return "\n".join([*lines, *further]) + "\n"


def _published_lines(table: Table, published: Sequence[Published]) -> list[str]:
    """Rows that have a figure for one of our portions."""
    lines = []
    for row in published:
        figures = [row.accuracy.get(portion) for portion in table.portions]
        if any(figure is not None for figure in figures):
            texts = [_NONE if figure is None else f"{figure:.3f}" for figure in figures]
            lines.append(f"| {' | '.join([f'*{row.name} ({row.source})*', *texts])} |")
    return lines


def _summary_text(pick: Pick) -> Callable[[Group | None], str]:
    def text(group: Group | None) -> str:
        found = summary(group, pick)
        return _NONE if found is None else _with_spread(found, ".4f")

    return text


def _with_spread(found: Summary, form: str) -> str:
    spread = "" if found.spread is None else f" ± {format(found.spread, form)}"
    return f"{format(found.mean, form)}{spread} ({found.count})"


def _seconds_text(group: Group | None) -> str:
    found = summary(group, lambda result: result.total_seconds)
    return _NONE if found is None else _with_spread(found, ".0f")


def _against(table: Table, rival: str) -> str:
    """Differences in points (hundredths), paired by seed, with their standard error."""
    heads = ["", *(f"{portion.heading}: {title}" for portion in table.portions for title, _ in _SCORES)]
    lines = [
        f"## Against `{rival}`: points, paired by seed, ± standard error\n",
        f"| {' | '.join(heads)} |",
        "|---" * len(heads) + "|",
    ]
    for entry in table.entries:
        if entry != rival:
            found = [
                difference(table.group(entry, portion), table.group(rival, portion), score("last", name))
                for portion in table.portions
                for _, name in _SCORES
            ]
            lines.append(f"| {' | '.join([entry, *map(_points, found)])} |")
    return "\n".join(lines) + "\n"


def _points(found: Difference | None) -> str:
    if found is None:
        return _NONE
    error = "" if found.error is None else f" ± {100 * found.error:.1f}"
    return f"{100 * found.mean:+.1f}{error} ({found.count})"


def cell_rows(cells: Sequence[BenchCell], results: Mapping[str, BenchResult]) -> list[dict[str, Any]]:
    """What is told of each finished cell."""
    return [_cell_row(cell, results[cell.name]) for cell in cells if cell.name in results]


def _cell_row(cell: BenchCell, result: BenchResult) -> dict[str, Any]:
    scores = {}
    for name, found in (("last", result.last), ("best", result.best)):
        scores[f"{name}_macro_f1"] = None if found is None else found.macro_f1
        scores[f"{name}_accuracy"] = None if found is None else found.accuracy
    facts = ("best_step", "labelled", "selection", "unlabelled", "step_seconds", "evaluation_seconds", "total_seconds")
    return {
        "entry": cell.entry.name,
        "method": cell.recipe.method,
        "portion": cell.portion.name,
        "seed": cell.seed,
        "steps": cell.train.steps,
        "warm_start_steps": cell.entry.warm_start_steps,
        **scores,
        **{name: getattr(result, name) for name in facts},
        **{f"last_f1_{name}": f1 for name, f1 in zip(EXPRESSION_CLASSES, result.last.class_f1, strict=True)},
    }


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """One row a cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def table_facts(table: Table) -> dict[str, Any]:
    """The table as plain values: of each entry and portion the scores, and the differences from the rivals."""
    return {"table": [_group_facts(table, *key) for key in table.groups]}


def _group_facts(table: Table, entry: str, portion: Portion) -> dict[str, Any]:
    group = table.group(entry, portion)
    facts: dict[str, Any] = {"entry": entry, "portion": portion.name}
    for checkpoint in ("last", "best"):
        for _, name in _SCORES:
            found = summary(group, score(checkpoint, name))
            facts[f"{checkpoint}_{name}"] = None if found is None else _plain(found)
    for rival in RIVALS:
        if rival != entry and rival in table.entries:
            for _, name in _SCORES:
                gain = difference(group, table.group(rival, portion), score("last", name))
                facts[f"{name}_against_{rival}"] = None if gain is None else _plain(gain)
    return facts


def _plain(found: Summary | Difference) -> dict[str, Any]:
    spread = {"spread": found.spread} if isinstance(found, Summary) else {"standard_error": found.error}
    return {"mean": found.mean, **spread, "seeds": found.count}
