"""The parts of the report's page on valence and arousal and on action units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from abaw.evaluation.action_units import Estimate, FittedThresholds
from abaw.evaluation.bootstrap import Interval
from abaw.evaluation.multitask import TaskScores, TaskVideoScore
from abaw.evaluation.page_parts import linked, range_cell, span
from abaw.page.parts import box, number, table
from abaw.protocol.classes import ACTION_UNITS

_WHOLE = Interval(0.0, 1.0)


def tasks_part(tasks: TaskScores) -> str:
    """The table of scores, and the thresholds if they were fitted."""
    rows: list[tuple[str, Estimate, str]] = []
    if tasks.ccc:
        names = ("valence, CCC", "arousal, CCC", "mean CCC")
        rows += [(name, each, f"{tasks.num_valence_arousal:,}") for name, each in zip(names, tasks.ccc, strict=True)]
    if tasks.action_units and tasks.mean_action_units:
        frames = f"{tasks.num_action_units:,}"
        rows += [(f"{name}, F1", each, frames) for name, each in zip(ACTION_UNITS, tasks.action_units, strict=True)]
        rows.append(("mean F1 of the action units", tasks.mean_action_units, frames))
    table_rows = [
        (name, number(each.value), span(each.interval), range_cell(each.value, each.interval, _WHOLE), frames)
        for name, each, frames in rows
    ]
    total = (
        f"<p>Sum of macro F1, mean CCC and mean F1 of the action units (the multi-task score): "
        f"<b>{number(tasks.total.value)}</b>, 95 %: {span(tasks.total.interval)}.</p>"
        if tasks.total
        else ""
    )
    thresholds = thresholds_part(tasks.thresholds) if tasks.thresholds else ""
    header = ("task", "score", "95 %", "0 to 1", "frames")
    return f"<h3>Valence, arousal and action units</h3>\n{table(header, table_rows)}\n{total}{thresholds}"


def thresholds_part(found: FittedThresholds) -> str:
    """The thresholds of the action units, their optimistic scores and the nested one."""
    text = (
        f"A threshold per action unit (with smoothing ‘{found.smoothing}’) was chosen on the videos that score it: the "
        f"mean F1 of {number(found.mean.value)} is optimistic."
    )
    if found.nested is None:
        text += " There are too few videos for nested selection."
    else:
        text += (
            f" By nested selection, where each video is scored with thresholds fitted on the others: "
            f"{number(found.nested.value)}, 95 %: {span(found.nested.interval)}."
        )
    rows = [
        (name, f"{value:.2f}", number(each.value), span(each.interval))
        for name, value, each in zip(ACTION_UNITS, found.values, found.action_units, strict=True)
    ]
    words = " ".join(f"{value:g}" for value in found.values)
    return "\n".join(
        [
            '<h3>Thresholds of the action units <span class="tag">optimistic</span></h3>',
            box("caution-box", text),
            table(("action unit", "threshold", "F1", "95 %"), rows),
            f"<p>For <code>abaw submit</code>: <code>--thresholds {words}</code></p>",
        ]
    )


def task_videos_part(scores: Sequence[TaskVideoScore], viewers: Mapping[str, str]) -> str:
    """A row per video, by name. viewers: see `render_page`."""
    with_values, with_units = (any(each) for each in zip(*((s.num_values, s.num_units) for s in scores), strict=True))
    header = ["video"]
    header += ["valence, CCC", "arousal, CCC", "frames"] if with_values else []
    header += ["mean F1 of the action units", "units annotated as on", "frames"] if with_units else []
    rows = [
        (
            linked(score.name, viewers),
            *((number(score.ccc[0]), number(score.ccc[1]), f"{score.num_values:,}") if with_values else ()),
            *((number(score.mean_unit_f1), str(score.num_on), f"{score.num_units:,}") if with_units else ()),
        )
        for score in scores
    ]
    return f"<h3>By video</h3>\n{table(header, rows)}"


def reading_of_tasks(draws: int) -> str:
    """How to read a page without expression."""
    return (
        "<section>\n<h2>How to read it</h2>\n"
        "<p>CCC is Lin’s concordance correlation coefficient over all annotated frames. The F1 of an action unit is "
        "that of “on”; it is on from a probability of .5, unless a threshold is named. Frames without an annotation "
        "are left out; frames without a prediction are filled from their neighbours, as in a submission.</p>\n"
        f"<p>The 95 % intervals come from {draws:,} bootstrap draws of whole videos (both people of one video "
        "together).</p>\n</section>"
    )
