"""The validation report as one HTML file: tables and images inside, for a phone as for a screen, light or dark."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from html import escape

from abaw.evaluation.metrics import Scores, VideoScore
from abaw.evaluation.result import Result
from abaw.protocol.classes import EXPRESSION_CLASSES

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2733; --soft: #5b6875; --line: #dfe4ea; --paper: #fff; --ground: #f4f6f8;
        --accent: #1f7a8c; --bar: #bfe0e6; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6ebf0; --soft: #9aa7b4; --line: #2f3a45; --paper: #1b232b; --ground: #12181e; --accent: #63c1d2;
          --bar: #23505a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.25rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin: 1.25rem 0 .5rem; }
p { margin: .25rem 0 .75rem; } .soft, small { color: var(--soft); }
section { background: var(--paper); border: 1px solid var(--line); border-radius: .75rem; padding: 1rem;
          margin-top: 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { color: var(--soft); font-weight: 600; }
tr:last-child td { border-bottom: 0; }
td.bar { background: linear-gradient(to right, var(--bar) var(--share), transparent var(--share)); }
.figures { display: flex; flex-wrap: wrap; gap: 1.25rem 2.5rem; margin: .5rem 0 0; }
.figures div { min-width: 7rem; }
.figures b { display: block; font-size: 1.7rem; color: var(--accent); line-height: 1.2; }
img { display: block; width: 100%; max-width: 42rem; margin: .5rem auto; border-radius: .5rem; background: #fff; }
ul { margin: .25rem 0; padding-left: 1.2rem; overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--accent); }
@media (max-width: 30rem) {
  th, td { padding: .3rem .35rem; } table { font-size: .85rem; } section { padding: .75rem; }
}
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 0; font-size: .92rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
"""


def render_page(results: Sequence[Result], annotations: str, images: Sequence[bytes]) -> str:
    """The page of one or several results side by side. images: one confusion matrix (PNG) a result."""
    parts = [_head(results, annotations)]
    if len(results) > 1:
        parts.append(_comparison(results))
    parts += [_section(result, image) for result, image in zip(results, images, strict=True)]
    parts.append(_reading())
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Expression validation</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(parts)
        + "\n</main>\n</body>\n</html>\n"
    )


def _head(results: Sequence[Result], annotations: str) -> str:
    names = ", ".join(escape(result.name) for result in results)
    return f'<h1>Expression validation</h1>\n<p class="soft">{names} against {escape(annotations)}</p>'


def _comparison(results: Sequence[Result]) -> str:
    header = ("predictions", "F1, all frames", "F1, with a face", "accuracy", "smoothing", "videos")
    best = max(result.evaluation.all_frames.macro_f1 for result in results)
    rows = []
    for result in results:
        scores, with_face = result.evaluation.all_frames, result.evaluation.with_face
        score = number(scores.macro_f1)
        rows.append(
            (
                escape(result.name),
                f"<b>{score}</b>" if scores.macro_f1 == best else score,
                number(with_face.macro_f1 if with_face else math.nan),
                number(scores.accuracy),
                escape(result.smoothing),
                str(len(result.evaluation.videos)),
            )
        )
    differ = len({tuple(video.name for video in result.evaluation.videos) for result in results}) > 1
    note = "<p><b>The rows are scored on different videos and cannot be compared.</b></p>" if differ else ""
    return f"<section>\n<h2>Side by side</h2>\n{note}{_table(header, rows)}\n</section>"


def _section(result: Result, image: bytes) -> str:
    evaluation = result.evaluation
    scores, with_face = evaluation.all_frames, evaluation.with_face
    figures = [
        (number(scores.macro_f1), "macro F1", f"all {scores.num_frames:,} annotated frames"),
        (
            number(with_face.macro_f1 if with_face else math.nan),
            "macro F1",
            f"the {with_face.num_frames if with_face else 0:,} frames with a face",
        ),
        (number(scores.accuracy), "accuracy", "all annotated frames"),
    ]
    cards = "".join(f"<div><b>{value}</b>{what}<br><small>{where}</small></div>" for value, what, where in figures)
    encoded = base64.b64encode(image).decode("ascii")
    facts = {
        "predictions": result.source,
        "smoothing": result.smoothing,
        "videos": len(evaluation.videos),
        **result.facts,
    }
    return "\n".join(
        [
            f"<section>\n<h2>{escape(result.name)}</h2>\n<div class='figures'>{cards}</div>",
            "<h3>By class, all annotated frames</h3>",
            _class_table(scores),
            "<h3>Confusion</h3>",
            f'<img alt="confusion matrix" src="data:image/png;base64,{encoded}">',
            f"<h3>By video</h3>\n{_video_table(evaluation.videos)}",
            "<h3>What was scored</h3>",
            "<dl>"
            + "".join(f"<dt>{escape(key)}</dt><dd>{escape(_text(value))}</dd>" for key, value in facts.items())
            + "</dl>",
            _notes(result),
            "</section>",
        ]
    )


def _notes(result: Result) -> str:
    parts = [f"<h3>Notes</h3>\n{_list(result.notes)}"] if result.notes else []
    if result.differences:
        summary = f"label lines and frames differ in number: {len(result.differences)} videos"
        parts.append(f"<h3>Lengths</h3>\n<details><summary>{summary}</summary>\n{_list(result.differences)}</details>")
    return "\n".join(parts)


def _list(items: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


def _class_table(scores: Scores) -> str:
    header = ("class", "F1", "precision", "recall", "frames")
    rows = [
        (name, _bar(score.f1), number(score.precision), number(score.recall), f"{score.support:,}")
        for name, score in zip(EXPRESSION_CLASSES, scores.per_class, strict=True)
    ]
    return _table(header, rows)


def _video_table(videos: Sequence[VideoScore]) -> str:
    header = ("video", "F1, all frames", "F1, with a face", "accuracy", "classes", "frames", "with a face")
    rows = [
        (
            escape(video.name),
            _bar(video.macro_f1),
            number(video.macro_f1_with_face),
            number(video.accuracy),
            str(video.num_classes),
            f"{video.num_frames:,}",
            f"{video.num_frames_with_face:,}",
        )
        for video in sorted(videos, key=lambda video: (math.isnan(video.macro_f1), video.macro_f1, video.name))
    ]
    table = _table(header, rows)
    return f"<details><summary>{len(videos)} videos, the hardest first</summary>\n{table}\n</details>"


def _reading() -> str:
    return (
        "<section>\n<h2>How to read it</h2>\n"
        "<p>Macro F1 is the mean of the F1 of the eight classes; a class neither annotated nor predicted counts as 0. "
        "Frames labelled −1 are left out. The field is divided on annotated frames without a face image: both figures "
        "are given. Frames without a prediction are filled from their neighbours, as in a submission.</p>\n"
        "<p>Within one video, F1 is the mean over the classes annotated there.</p>\n"
        "<p>A smoothing width, an epoch or a threshold that was chosen by these figures makes them too high: say so "
        "when you quote them. On Aff-Wild2, validation has overstated the test score by about .09.</p>\n</section>"
    )


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Cells are HTML; a cell that brings its own <td> is taken as it is."""
    head = "".join(f"<th>{name}</th>" for name in header)
    body = "".join(
        "<tr>" + "".join(cell if cell.startswith("<td") else f"<td>{cell}</td>" for cell in row) + "</tr>\n"
        for row in rows
    )
    return f"<div class='wide'><table>\n<tr>{head}</tr>\n{body}</table></div>"


def _bar(value: float) -> str:
    share = 0.0 if math.isnan(value) else 100 * value
    return f'<td class="bar" style="--share: {share:.1f}%">{number(value)}</td>'


def number(value: float) -> str:
    """Three digits behind the point; a dash where there is nothing to score."""
    return "–" if math.isnan(value) else f"{value:.3f}"


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
