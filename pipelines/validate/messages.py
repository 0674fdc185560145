"""The screen output of `abaw validate`."""

from __future__ import annotations

from typing import Any

from abaw.evaluation.bootstrap import Interval
from abaw.evaluation.metrics import Scores
from abaw.evaluation.page_choice import bias_words
from abaw.evaluation.result import BestOption, Comparison, Result, ScoredPredictions, TaskResult
from pipelines.console import result, warn


def print_task_result(scored: TaskResult) -> None:
    """As `print_result`, of predictions without expression."""
    _print_origin(scored)
    result(f"{scored.name}: {scored.tasks.summary()}; {scored.num_videos} videos, smoothing {scored.smoothing}")
    if scored.choice:
        result(f"{scored.name}: {_choice_text(scored.choice, scored.leaked)}")


def _print_origin(scored: ScoredPredictions[Any]) -> None:
    for note in (*scored.origin.warnings(), *scored.notes):
        warn(f"{scored.name}: {note}")
    if scored.differences:
        warn(
            f"{scored.name}: label lines and frames differ in number in {len(scored.differences)} videos; "
            "frames with both are scored, the report lists the others"
        )
    if scored.origin.out_of_fold or scored.origin.clean:
        result(f"{scored.name}: {scored.origin.summary()}")


def print_result(scored: Result) -> None:
    """Warnings, and the figures with their intervals."""
    evaluation = scored.evaluation
    _print_origin(scored)
    result(
        f"{scored.name}: macro F1 {evaluation.all_frames.macro_f1:.4f} {scored.intervals.macro_f1:.4f} over all "
        f"{evaluation.all_frames.num_frames} annotated frames, "
        f"{_with_face(evaluation.with_face, scored.intervals.macro_f1_with_face)}; accuracy "
        f"{evaluation.all_frames.accuracy:.4f}; {len(evaluation.videos)} videos, smoothing {scored.smoothing}"
    )
    if scored.choice:
        result(f"{scored.name}: {_choice_text(scored.choice, scored.leaked)}")
    if scored.option.class_bias is not None:
        result(f"{scored.name}: class bias: --class_bias {bias_words(scored.option.class_bias)}")
    if scored.tasks:
        result(f"{scored.name}: {scored.tasks.summary()}")


def _choice_text(choice: BestOption, leaked: bool) -> str:
    text = (
        f"OPTIMISTIC: '{choice.labels[choice.best]}' is the best of {len(choice.labels)}, chosen on the videos that "
        f"score it: {choice.optimistic_score:.4f}"
    )
    if choice.selection is None or choice.nested_interval is None:
        return f"{text}; too few videos for nested selection"
    word = "nested selection" if leaked else "unbiased estimate"
    return (
        f"{text}; {word}, each video scored with the best option on the others: "
        f"{choice.selection.nested_f1:.4f} {choice.nested_interval:.4f}"
    )


def print_comparison(comparison: Comparison, leaked: bool) -> None:
    """Each result compared with the first, and the estimate of the best of all."""
    for note in comparison.notes:
        warn(note)
    rows = comparison.rows
    if rows is None:
        return
    for label, difference in zip(rows.labels, rows.differences, strict=True):
        if difference is not None:
            result(
                f"{label} compared with {rows.labels[0]}: {difference.observed:+.4f} {rows.measure.name} "
                f"{difference.interval:+.4f} on {rows.num_videos} videos, "
                f"better in {100 * (1 - difference.share_not_better):.1f} % of the draws"
            )
    if comparison.overall is not None:
        result(f"taking the best of all: {_choice_text(comparison.overall, leaked)}")


def _with_face(scores: Scores | None, interval: Interval | None) -> str:
    if scores is None or interval is None:
        return "none of them with a face"
    return f"{scores.macro_f1:.4f} {interval:.4f} over the {scores.num_frames} with a face"
