"""The table of a benchmark: as text, as CSV, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from abaw.data.label_portions import Portion
from abaw.evaluation.seeds import SeedDifference, SeedMean
from abaw.protocol.classes import EXPRESSION_CLASSES
from pipelines.bench.cells import BenchCell, BenchResult
from pipelines.bench.published import Published
from pipelines.bench.scores import BenchTable, Group, Pick, difference, score, summary

_NONE = "–"
_SCORES = (("macro F1", "macro_f1"), ("accuracy", "accuracy"))


def markdown(table: BenchTable, published: Sequence[Published], head: str) -> str:
    """The report. Ends with a line end."""
    parts = [f"# Semi-supervised methods\n\n{head}\n"]
    for title, name in _SCORES:
        rows = _published_lines(table, published) if name == "accuracy" else []
        parts.append(_section(f"{title}, last checkpoint", table, _summary_text(score("last", name)), rows))
    parts += [_against(table, rival) for rival in table.rivals]
    if any(result.best is not None for group in table.groups.values() for result in group.results.values()):
        for title, name in _SCORES:
            heading = f"{title}, best checkpoint (chosen on the selection split)"
            parts.append(_section(heading, table, _summary_text(score("best", name))))
    parts.append(_section("Wall time of a cell (s)", table, _seconds_text))
    parts.append("![scores](bench.png)\n\nLearning curves, mean over the seeds:\n\n![curves](curves.png)\n")
    notes = {each.source: each.note for each in published}
    parts += [f"Published rows: {source}; {note}.\n" for source, note in notes.items()]
    return "\n".join(parts)


def _section(title: str, table: BenchTable, text: Callable[[Group | None], str], further: Sequence[str] = ()) -> str:
    """One row per variant, one column per portion."""
    heads = ["", *(portion.heading for portion in table.portions)]
    lines = [f"## {title}\n", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for variant in table.variants:
        texts = [text(table.group(variant, portion)) for portion in table.portions]
        lines.append(f"| {' | '.join([variant, *texts])} |")
    return "\n".join([*lines, *further]) + "\n"


def _published_lines(table: BenchTable, published: Sequence[Published]) -> list[str]:
    """The rows with a figure for at least one of our portions."""
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


def _with_spread(found: SeedMean, form: str) -> str:
    spread = "" if found.spread is None else f" ± {format(found.spread, form)}"
    return f"{format(found.mean, form)}{spread} ({found.count})"


def _seconds_text(group: Group | None) -> str:
    found = summary(group, lambda result: result.total_seconds)
    return _NONE if found is None else _with_spread(found, ".0f")


def _against(table: BenchTable, rival: str) -> str:
    """Differences in points (hundredths), paired by seed, with their standard error."""
    heads = ["", *(f"{portion.heading}: {title}" for portion in table.portions for title, _ in _SCORES)]
    lines = [
        f"## Against `{rival}`: points, paired by seed, ± standard error\n",
        f"| {' | '.join(heads)} |",
        "|---" * len(heads) + "|",
    ]
    for variant in table.variants:
        if variant != rival:
            found = [
                difference(table.group(variant, portion), table.group(rival, portion), score("last", name))
                for portion in table.portions
                for _, name in _SCORES
            ]
            lines.append(f"| {' | '.join([variant, *map(_points, found)])} |")
    return "\n".join(lines) + "\n"


def _points(found: SeedDifference | None) -> str:
    if found is None:
        return _NONE
    error = "" if found.error is None else f" ± {100 * found.error:.1f}"
    return f"{100 * found.mean:+.1f}{error} ({found.count})"


def cell_rows(cells: Sequence[BenchCell], results: Mapping[str, BenchResult]) -> list[dict[str, Any]]:
    """The reported facts of each finished cell."""
    return [_cell_row(cell, results[cell.name]) for cell in cells if cell.name in results]


def _cell_row(cell: BenchCell, result: BenchResult) -> dict[str, Any]:
    scores = {}
    for name, found in (("last", result.last), ("best", result.best)):
        scores[f"{name}_macro_f1"] = None if found is None else found.macro_f1
        scores[f"{name}_accuracy"] = None if found is None else found.accuracy
    facts = ("best_step", "labelled", "selection", "unlabelled", "step_seconds", "evaluation_seconds", "total_seconds")
    return {
        "entry": cell.variant.name,
        "method": cell.recipe.method,
        "portion": cell.portion.name,
        "seed": cell.seed,
        "steps": cell.train.steps,
        "warm_start_steps": cell.variant.warm_start_steps,
        **scores,
        **{name: getattr(result, name) for name in facts},
        **{f"last_f1_{name}": f1 for name, f1 in zip(EXPRESSION_CLASSES, result.last.class_f1, strict=True)},
    }


def table_facts(table: BenchTable) -> dict[str, Any]:
    """The table as plain values: for each variant and portion the scores, and the differences from the rivals."""
    return {"table": [_group_facts(table, *key) for key in table.groups]}


def _group_facts(table: BenchTable, variant: str, portion: Portion) -> dict[str, Any]:
    group = table.group(variant, portion)
    facts: dict[str, Any] = {"entry": variant, "portion": portion.name}
    for checkpoint in ("last", "best"):
        for _, name in _SCORES:
            found = summary(group, score(checkpoint, name))
            facts[f"{checkpoint}_{name}"] = None if found is None else _plain(found)
    for rival in table.rivals:
        if rival != variant:
            for _, name in _SCORES:
                gain = difference(group, table.group(rival, portion), score("last", name))
                facts[f"{name}_against_{rival}"] = None if gain is None else _plain(gain)
    return facts


def _plain(found: SeedMean | SeedDifference) -> dict[str, Any]:
    spread = {"spread": found.spread} if isinstance(found, SeedMean) else {"standard_error": found.error}
    return {"mean": found.mean, **spread, "seeds": found.count}
