"""The parts of the report's page on options: a sweep of settings, and a comparison of several predictions."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from abaw.evaluation.bootstrap import Difference, Interval
from abaw.evaluation.page_parts import range_cell, span
from abaw.evaluation.result import BestOption, Comparison, Result, TaskResult
from abaw.page.parts import box, number, signed, table
from abaw.protocol.classes import EXPRESSION_CLASSES

_AGAINST = ("difference from the first", "95 %", "better in draws")


def choice_section(choice: BestOption, class_bias: NDArray[np.float64] | None, leaked: bool) -> str:
    """The options of one set of predictions, with the chosen one marked, and the estimate of its score.

    leaked: see Result.
    """
    scale = _scale(choice)
    header = ("setting", choice.measure.name, "95 %", f"{number(scale.low)} to {number(scale.high)}", *_AGAINST)
    rows = [
        (
            escape(label) + (' <span class="tag">optimistic</span>' if index == choice.best else ""),
            number(score),
            span(interval),
            range_cell(score, interval, scale),
            *_difference_cells(difference),
        )
        for index, (label, score, interval, difference) in enumerate(_rows(choice))
    ]
    parts = [
        "<h3>The choice of a setting</h3>",
        box("caution-box", choice_text(choice, leaked)),
        table(header, rows, chosen=choice.best),
        _folds_text(choice),
    ]
    if class_bias is not None:
        values = ", ".join(
            f"{name} {signed(value)}" for name, value in zip(EXPRESSION_CLASSES, class_bias.tolist(), strict=True)
        )
        parts.append(
            f"<p>Class bias, added to the log of the probabilities: {values}; for <code>abaw submit</code>: "
            f"<code>--class_bias {bias_words(class_bias)}</code></p>"
        )
    return "\n".join(parts)


def comparison_section(comparison: Comparison, results: Sequence[Result | TaskResult]) -> str:
    """One row per result, each compared with the first, and the estimate of the best of them."""
    notes = "".join(box("caution-box", note) for note in comparison.notes)
    rows = comparison.rows
    if rows is None or comparison.overall is None:
        return f"<section>\n<h2>Comparison</h2>\n{notes}\n</section>"
    scale = _scale(rows)
    header = ("predictions", rows.measure.name, "95 %", f"{number(scale.low)} to {number(scale.high)}", *_AGAINST)
    table_rows = [
        (
            escape(label)
            + (' <span class="tag">optimistic</span>' if result.optimistic else "")
            + f"<br><small>{escape(result.smoothing)}</small>",
            number(score),
            span(interval),
            range_cell(score, interval, scale),
            *_difference_cells(difference),
        )
        for result, (label, score, interval, difference) in zip(results, _rows(rows), strict=True)
    ]
    return "\n".join(
        [
            f"<section>\n<h2>Comparison</h2>\n{notes}",
            f"<p>All annotated frames of {rows.num_videos} videos. Differences are paired: both are scored on the "
            "same draws of videos.</p>",
            table(header, table_rows, chosen=rows.best),
            "<p><b>Taking the best of them is a choice like any other.</b></p>",
            box("caution-box", choice_text(comparison.overall, any(result.leaked for result in results))),
            "</section>",
        ]
    )


def choice_text(choice: BestOption, leaked: bool) -> str:
    """A text: what was chosen, its score on the videos it was chosen on, and the unbiased estimate.

    leaked: see Result.
    """
    text = (
        f"‘{choice.labels[choice.best]}’ is the best of {len(choice.labels)}, chosen on the videos that score it: "
        f"its {number(choice.optimistic_score)} is optimistic."
    )
    if choice.selection is None:
        return f"{text} There are too few videos for nested selection."
    word = "Nested selection" if leaked else "Unbiased estimate"
    return (
        f"{text} {word}, each video scored with the best option on the others: {number(choice.selection.nested_f1)} "
        f"(95 %: {span(choice.nested_interval)})."
    )


def bias_words(class_bias: NDArray[np.float64]) -> str:
    """In the form of `--class_bias`."""
    return " ".join(f"{value:g}" for value in class_bias)


def _folds_text(choice: BestOption) -> str:
    if choice.selection is None:
        return ""
    chosen = choice.selection.chosen
    names = "; ".join(
        f"{escape(choice.labels[option])} in {chosen.count(option)}" for option in sorted(set(chosen), key=chosen.index)
    )
    return f"<p class='soft'>Best when one fold of the videos is left out: {names} of {len(chosen)} folds.</p>"


def _rows(choice: BestOption) -> list[tuple[str, float, Interval, Difference | None]]:
    return list(zip(choice.labels, choice.scores, choice.intervals, choice.differences, strict=True))


def _difference_cells(difference: Difference | None) -> tuple[str, str, str]:
    if difference is None:
        return ("–", "–", "–")
    return (
        signed(difference.observed),
        f"{signed(difference.interval.low)} to {signed(difference.interval.high)}",
        f"{100 * (1 - difference.share_not_better):.0f} %",
    )


def _scale(choice: BestOption) -> Interval:
    """The ends of the common axis of all intervals of a table, in tenths."""
    low = min(interval.low for interval in choice.intervals)
    high = max(interval.high for interval in choice.intervals)
    return Interval(float(np.floor(10 * low) / 10), float(np.ceil(10 * high) / 10))
