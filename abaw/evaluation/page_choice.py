"""The parts of the report's page on options: a sweep of settings, and several predictions side by side."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from abaw.evaluation.bootstrap import Difference, Interval
from abaw.evaluation.page_parts import range_cell, span
from abaw.evaluation.result import Choice, Comparison, Result
from abaw.page.parts import box, number, signed, table
from abaw.protocol.classes import EXPRESSION_CLASSES

_AGAINST = ("against the first", "95 %", "better in draws")


def choice_section(choice: Choice, class_bias: NDArray[np.float64] | None, leaked: bool) -> str:
    """The options of one set of predictions, the chosen one marked, and what the choice is worth.

    leaked: as of Result.
    """
    scale = _scale(choice)
    header = ("setting", "macro F1", "95 %", f"{number(scale.low)} to {number(scale.high)}", *_AGAINST)
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


def comparison_section(comparison: Comparison, results: Sequence[Result]) -> str:
    """One row a result, each against the first, and what taking the best of them is worth."""
    notes = "".join(box("caution-box", note) for note in comparison.notes)
    rows = comparison.rows
    if rows is None or comparison.overall is None:
        return f"<section>\n<h2>Side by side</h2>\n{notes}\n</section>"
    scale = _scale(rows)
    header = ("predictions", "macro F1", "95 %", f"{number(scale.low)} to {number(scale.high)}", *_AGAINST)
    cells = [
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
            f"<section>\n<h2>Side by side</h2>\n{notes}",
            f"<p>All annotated frames of {rows.num_videos} videos. Differences are paired: the same draws of videos "
            "for both.</p>",
            table(header, cells, chosen=rows.best),
            "<p><b>Taking the best of them is a choice, too.</b></p>",
            box("caution-box", choice_text(comparison.overall, any(result.leaked for result in results))),
            "</section>",
        ]
    )


def choice_text(choice: Choice, leaked: bool) -> str:
    """In words: what was chosen, what it scores where it was chosen, and what it is worth elsewhere.

    leaked: models had seen what is scored, and no figure is honest.
    """
    text = (
        f"‘{choice.labels[choice.best]}’ is the best of {len(choice.labels)}, chosen on the videos that it is "
        f"scored on: its {number(choice.optimistic_f1)} is optimistic."
    )
    if choice.selection is None:
        return f"{text} There are too few videos to nest the choice."
    word = "Nested" if leaked else "Honest"
    return (
        f"{text} {word}, each video scored with what is best on the others: {number(choice.selection.honest_f1)} "
        f"(95 %: {span(choice.honest_interval)})."
    )


def bias_words(class_bias: NDArray[np.float64]) -> str:
    """As it is given on a command line."""
    return " ".join(f"{value:g}" for value in class_bias)


def _folds_text(choice: Choice) -> str:
    if choice.selection is None:
        return ""
    chosen = choice.selection.chosen
    names = "; ".join(
        f"{escape(choice.labels[option])} in {chosen.count(option)}" for option in sorted(set(chosen), key=chosen.index)
    )
    return f"<p class='soft'>Best without one fold of the videos: {names} of {len(chosen)} folds.</p>"


def _rows(choice: Choice) -> list[tuple[str, float, Interval, Difference | None]]:
    return list(zip(choice.labels, choice.macro_f1, choice.intervals, choice.differences, strict=True))


def _difference_cells(difference: Difference | None) -> tuple[str, str, str]:
    if difference is None:
        return ("–", "–", "–")
    return (
        signed(difference.observed),
        f"{signed(difference.interval.low)} to {signed(difference.interval.high)}",
        f"{100 * (1 - difference.share_not_better):.0f} %",
    )


def _scale(choice: Choice) -> Interval:
    """The ends of the axis that all intervals of a table share, in tenths."""
    low = min(interval.low for interval in choice.intervals)
    high = max(interval.high for interval in choice.intervals)
    return Interval(float(np.floor(10 * low) / 10), float(np.ceil(10 * high) / 10))
