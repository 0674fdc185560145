"""The validation report as one HTML file: scores, their intervals, and the choices made on the scored videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from abaw.evaluation.bootstrap import Interval
from abaw.evaluation.metrics import VideoScore
from abaw.evaluation.multitask import video_task_scores
from abaw.evaluation.page_choice import choice_section, comparison_section
from abaw.evaluation.page_parts import STYLE, linked, picture, range_cell, span
from abaw.evaluation.page_tasks import reading_of_tasks, task_videos_part, tasks_part
from abaw.evaluation.result import Comparison, Result, ScoredPredictions, TaskResult
from abaw.page.parts import bar, box, bullets, card, document, number, swatch, table
from abaw.protocol.classes import EXPRESSION_CLASSES

_WORST = 10
_WHOLE = Interval(0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Pictures:
    """Figures of one result, as PNG. calibration: None where there are no probabilities."""

    confusion: bytes
    calibration: bytes | None


def render_page(
    results: Sequence[Result | TaskResult],
    annotations: str,
    pictures: Mapping[str, Pictures],
    comparison: Comparison | None,
    viewers: Mapping[str, str],
) -> str:
    """The page of one or several results.

    pictures: by the name of the result; a result without expression has none; viewers: links from this page to those of
    single videos, by the video's name.
    """
    names = ", ".join(escape(result.name) for result in results)
    expressions = [result for result in results if isinstance(result, Result)]
    others = [result for result in results if isinstance(result, TaskResult)]
    title = "Expression validation" if expressions else "Validation"
    parts = [f'<main>\n<h1>{title}</h1>\n<p class="soft">{names} against {escape(annotations)}</p>']
    if comparison:
        parts.append(comparison_section(comparison, results))
    for result in results:
        if isinstance(result, Result):
            parts.append(_section(result, pictures[result.name], viewers))
        else:
            parts.append(_task_section(result, viewers))
    reading = _reading(expressions[0].intervals.draws) if expressions else reading_of_tasks(others[0].draws)
    parts.append(f"{reading}\n</main>")
    return document(title, parts, style=STYLE)


def _section(result: Result, images: Pictures, viewers: Mapping[str, str]) -> str:
    parts = [f"<section>\n<h2>{escape(result.name)}</h2>", *_origin(result), _cards(result)]
    if result.choice:
        parts.append(choice_section(result.choice, result.option.class_bias, result.leaked))
    parts += [
        "<h3>By class, all annotated frames</h3>",
        _class_table(result),
        "<h3>Confusion and calibration</h3>",
        _pictures(result, images),
    ]
    if result.tasks:
        parts.append(tasks_part(result.tasks))
    parts += [
        "<h3>By video, worst first</h3>",
        _video_tables(result.evaluation.videos, viewers),
        "<h3>What was scored</h3>",
        _facts(result),
        _notes(result),
        "</section>",
    ]
    return "\n".join(parts)


def _task_section(result: TaskResult, viewers: Mapping[str, str]) -> str:
    """A result without expression."""
    parts = [f"<section>\n<h2>{escape(result.name)}</h2>", *_origin(result)]
    if result.choice:
        parts.append(choice_section(result.choice, None, result.leaked))
    videos = video_task_scores(result.option.names, result.option.tallies)
    parts += [tasks_part(result.tasks), task_videos_part(videos, viewers), "<h3>What was scored</h3>", _facts(result)]
    parts += [_notes(result), "</section>"]
    return "\n".join(parts)


def _origin(result: ScoredPredictions[Any]) -> list[str]:
    origin = result.origin
    good = [box("good", origin.summary())] if origin.out_of_fold or origin.clean else []
    return good + [box("alarm" if result.leaked else "caution-box", text) for text in origin.warnings()]


def _cards(result: Result) -> str:
    scores, with_face = result.evaluation.all_frames, result.evaluation.with_face
    intervals, choice = result.intervals, result.choice
    tag = "optimistic" if result.optimistic else ""
    cards = [
        card(
            number(scores.macro_f1),
            "macro F1",
            f"95 %: <span>{span(intervals.macro_f1)}</span><br>all {scores.num_frames:,} annotated frames",
            tag,
        )
    ]
    if choice and choice.selection:
        where = (
            f"95 %: <span>{span(choice.nested_interval)}</span><br>each video scored with the setting that is best on "
            "the others"
        )
        what = "macro F1, nested selection" if result.leaked else "macro F1, unbiased estimate"
        cards.append(card(number(choice.selection.nested_f1), what, where, tag if result.leaked else ""))
    if with_face:
        cards.append(
            card(
                number(with_face.macro_f1),
                "macro F1",
                f"95 %: <span>{span(intervals.macro_f1_with_face)}</span><br>the {with_face.num_frames:,} frames with "
                "a face",
                tag,
            )
        )
    else:
        cards.append(card("–", "macro F1", "no frame with a face"))
    cards.append(card(number(scores.accuracy), "accuracy", "all annotated frames", tag))
    return f"<div class='figures'>{''.join(cards)}</div>"


def _class_table(result: Result) -> str:
    header = ("class", "F1", "95 %", "0 to 1", "precision", "recall", "frames")
    rows = [
        (
            swatch(index, name),
            bar(score.f1, f"var(--class-{index})"),
            span(interval),
            range_cell(score.f1, interval, _WHOLE),
            number(score.precision),
            number(score.recall),
            f"{score.support:,}",
        )
        for index, (name, score, interval) in enumerate(
            zip(EXPRESSION_CLASSES, result.evaluation.all_frames.per_class, result.intervals.per_class, strict=True)
        )
    ]
    return table(header, rows)


def _pictures(result: Result, images: Pictures) -> str:
    scores = result.evaluation.all_frames
    recalls = ", ".join(
        f"{name} {100 * score.recall:.0f} %" for name, score in zip(EXPRESSION_CLASSES, scores.per_class, strict=True)
    )
    figures = [
        picture(
            images.confusion,
            f"confusion matrix; share of each annotated class that is recognised: {recalls}",
            "Rows: annotated class; each field is the share of its frames in percent.",
        )
    ]
    calibration = result.option.calibration
    if calibration is None or images.calibration is None:
        figures.append("<p>Viterbi returns one path and no probabilities, so there is nothing to calibrate.</p>")
    else:
        direction = "over" if calibration.mean_confidence > calibration.accuracy else "under"
        figures.append(
            picture(
                images.calibration,
                f"reliability curve; expected calibration error {number(calibration.ece)}, "
                f"{direction}confident: mean confidence {number(calibration.mean_confidence)}, "
                f"accuracy {number(calibration.accuracy)}",
                f"ECE {number(calibration.ece)} (0 is best), negative log-likelihood {number(calibration.nll)} "
                f"(2.079 for uniform guessing), Brier score {number(calibration.brier_score)} (0.875 for uniform "
                f"guessing); the model is {direction}confident.",
            )
        )
    return f"<div class='pictures'>{''.join(figures)}</div>"


def _video_tables(videos: Sequence[VideoScore], viewers: Mapping[str, str]) -> str:
    """The worst videos, the others in a folded section; videos without an annotated frame last."""
    ordered = sorted(videos, key=lambda video: (not video.num_frames, video.macro_f1, video.name))
    first, others = ordered[:_WORST], ordered[_WORST:]
    if not others:
        return _video_table(first, viewers)
    rest = f"<details><summary>{len(others)} more</summary>\n{_video_table(others, viewers)}\n</details>"
    return f"{_video_table(first, viewers)}\n{rest}"


def _video_table(videos: Sequence[VideoScore], viewers: Mapping[str, str]) -> str:
    header = ("video", "F1, all frames", "F1, with a face", "accuracy", "classes", "frames", "with a face")
    rows = [
        (
            linked(video.name, viewers),
            bar(video.macro_f1),
            number(video.macro_f1_with_face),
            number(video.accuracy),
            str(video.num_classes),
            f"{video.num_frames:,}",
            f"{video.num_frames_with_face:,}",
        )
        for video in videos
    ]
    return table(header, rows)


def _facts(result: ScoredPredictions[Any]) -> str:
    facts = {
        "predictions": result.source,
        "smoothing": result.smoothing,
        "videos": result.num_videos,
        **result.facts,
    }
    entries = "".join(f"<dt>{escape(key)}</dt><dd>{escape(_text(value))}</dd>" for key, value in facts.items())
    return f"<dl>{entries}</dl>"


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _notes(result: ScoredPredictions[Any]) -> str:
    parts = [f"<h3>Notes</h3>\n{bullets(result.notes)}"] if result.notes else []
    if result.differences:
        summary = f"label lines and frames differ in number: {len(result.differences)} videos"
        parts.append(
            f"<h3>Lengths</h3>\n<details><summary>{summary}</summary>\n{bullets(result.differences)}</details>"
        )
    return "\n".join(parts)


def _reading(draws: int) -> str:
    return (
        "<section>\n<h2>How to read it</h2>\n"
        "<p>Macro F1 is the mean of the F1 of the eight classes; a class neither annotated nor predicted counts as 0. "
        "Frames labelled −1 are left out. Teams differ in whether annotated frames without a face image count, so both "
        "figures are given. Frames without a prediction are filled from their neighbours, as in a submission.</p>\n"
        f"<p>The 95 % intervals come from {draws:,} bootstrap draws of whole videos (both people of one video "
        "together), because frames of one video resemble each other. Within one video, F1 is the mean over the classes "
        "annotated there.</p>\n"
        "<p>If a setting was chosen by these figures, they are too high; they are then marked <b>optimistic</b>. For "
        "the <b>unbiased estimate</b>, the choice is repeated five times, each time without a fifth of the videos; the "
        "fifth is then scored with it. It does not correct for other choices, such as that of an epoch. On Aff-Wild2, "
        "validation scores have been about .09 above the test scores.</p>\n</section>"
    )
