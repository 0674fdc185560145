"""The viewer: one self-contained HTML file per video."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from abaw.core.errors import DataError
from abaw.core.segments import segment_bounds
from abaw.page.parts import asset, clock, data_url, document, json_island, swatch, table
from abaw.protocol.classes import EXPRESSION_CLASSES
from abaw.viewer.filmstrip import SIDE, filmstrip
from abaw.viewer.media import Media
from abaw.viewer.person_timeline import NO_FACE, PersonTimeline, Segment, ends_of, seconds_by_class, segments

_SCRIPTS: Final = ("data.js", "exports.js", "player.js", "timeline.js", "now.js", "main.js")
_PROBABILITY_STEPS: Final = 65_535
_LISTED: Final = 400
_PLAYS_FROM: Final = "media-src 'self' file: blob: data:; img-src 'self' file: blob: data:"


@dataclass(frozen=True, slots=True)
class Video:
    """What the page says about the video. source: file name; settings: name -> text; frame_wh: pixels.

    Raises DataError for a size or rate that is no number: it comes from a file and goes into the page.
    """

    name: str
    source: str
    fps: float
    frame_wh: tuple[int, int]
    settings: Mapping[str, str]

    def __post_init__(self) -> None:
        if not all(isinstance(side, int) for side in self.frame_wh) or not isinstance(self.fps, int | float):
            raise DataError(
                f"{self.source}: its faces store says {self.frame_wh} pixels at {self.fps} frames per second"
            )


def render_viewer(video: Video, people: Sequence[PersonTimeline], media: Media) -> str:
    """The page of one video. people: at least one, all with the same frames, numbered in this order."""
    titles = _titles(people)
    parts = [
        _header(video, people, titles),
        "<main>",
        _stage(video, people, media),
        '<section id="timeline-section">\n<h2>Timeline</h2>\n<div id="timeline"></div>\n</section>',
        *([] if media.is_image else [_EXPORTS]),
        *([_everybody(people)] if media.is_image else map(_person_tables, range(len(people)), people)),
        _settings(video),
        "</main>",
        _help(),
        json_island("data", _data(video, people, titles, media)),
    ]
    if media.data is not None and not media.is_image:
        encoded = base64.b64encode(media.data).decode("ascii")
        parts.append(f'<script type="text/plain" id="media" data-mime="{media.mime}">{encoded}</script>')
    script = "".join(asset("abaw.viewer", name) for name in _SCRIPTS)
    style = asset("abaw.viewer", "viewer.css")
    return document(f"{video.name}: expressions", parts, style=style, script=script, policy=_PLAYS_FROM)


def _titles(people: Sequence[PersonTimeline]) -> list[str]:
    if len(people) == 1:
        return [people[0].name]
    return [f"person {number}" for number in range(1, len(people) + 1)]


def _header(video: Video, people: Sequence[PersonTimeline], titles: Sequence[str]) -> str:
    still = len(people[0]) == 1
    width, height = video.frame_wh
    length = float(ends_of(people[0].times)[-1] - people[0].times[0])
    facts = [f"{width} × {height}"] if still else [clock(length), f"{len(people[0]):,} frames", f"{width} × {height}"]
    without = int((~people[0].valid).sum()) if len(people) == 1 and not still else 0
    if without:
        facts.append(f"{without:,} frames without a face")
    choice = ""
    if len(people) > 1:
        options = "".join(f'<option value="{index}">{escape(title)}</option>' for index, title in enumerate(titles))
        choice = f'<label class="who">person: <select id="person">{options}</select></label>'
    return f'<header>\n<h1>{escape(video.name)}</h1>\n<p class="soft">{" · ".join(facts)}</p>\n{choice}</header>'


def _stage(video: Video, people: Sequence[PersonTimeline], media: Media) -> str:
    width, height = video.frame_wh
    shape = f'style="--wide: {max(width, 1)}; --high: {max(height, 1)}"'
    if media.is_image:
        source = data_url(media.data, media.mime) if media.data is not None else escape(media.link or "")
        shown = f'<img id="picture" alt="{escape(video.source)}" src="{source}">'
    else:
        shown = '<video id="video" playsinline preload="auto" tabindex="-1"></video>'
    rows = "".join(
        f'<li data-class="{index}"><span class="name">{swatch(index, name)}</span>'
        f'<span class="track"><span class="fill" style="background: var(--class-{index})"></span></span>'
        "<output></output></li>"
        for index, name in enumerate(EXPRESSION_CLASSES)
    )
    annotated = '<p id="annotated"></p>' if any(person.annotated is not None for person in people) else ""
    affect = '<p id="affect"></p>' if any(person.valence_arousal is not None for person in people) else ""
    controls = "" if media.is_image else _CONTROLS
    return (
        f'<div class="stage">\n<div class="screen-column">\n<div class="screen" id="screen" {shape}>{shown}'
        '<canvas id="overlay" aria-hidden="true"></canvas><div id="no-video" hidden></div></div>\n'
        f'{controls}</div>\n<aside class="now" aria-label="current frame">\n'
        '<div class="face-and-verdict"><canvas id="face" width="336" height="336" role="img"></canvas>\n'
        f'<div><p id="verdict"></p>{affect}{annotated}</div></div>\n<ul class="bars">{rows}</ul>\n</aside>\n</div>'
    )


_EXPORTS = """<p class="controls">segments of everybody:
<button type="button" data-export="csv">CSV</button>
<button type="button" data-export="vtt">WebVTT</button>
<button type="button" data-export="eaf">ELAN</button></p>"""


_CONTROLS = """<div class="controls">
<button type="button" id="play" aria-label="play">▶</button>
<button type="button" id="back" aria-label="previous frame">‹</button>
<button type="button" id="forth" aria-label="next frame">›</button>
<button type="button" id="previous" aria-label="start of this segment, or the previous segment">«</button>
<button type="button" id="next" aria-label="next segment">»</button>
<select id="speed" aria-label="playback speed"><option value="0.1">0.1 ×</option><option value="0.25">¼ ×</option>
<option value="0.5">½ ×</option><option value="1" selected>1 ×</option><option value="2">2 ×</option></select>
<label class="check"><input type="checkbox" id="boxes" checked> face box</label>
<button type="button" id="keys">keys</button>
<output id="readout" aria-live="off"></output>
</div>
"""


def _person_tables(index: int, person: PersonTimeline) -> str:
    hidden = " hidden" if index else ""
    found = segments(person)
    parts = [f'<div class="two person-tables" data-person="{index}"{hidden}>', _totals(person, found)]
    parts.append(_segments(person, found))
    if person.annotated is not None:
        parts.append(_disagreements(person))
    return "\n".join([*parts, "</div>"])


def _everybody(people: Sequence[PersonTimeline]) -> str:
    """The people of a photo, with the probability of the class of each."""
    rows = [
        (f"person {number}", swatch(label, EXPRESSION_CLASSES[label]), _share(label, float(person.probs[0, label])))
        for number, person in enumerate(people, start=1)
        if (label := int(person.labels[0])) != NO_FACE
    ]
    if not rows:
        return "<section>\n<h2>Everybody</h2>\n<p>No face was found in this photo.</p>\n</section>"
    body = table(("person", "expression", "probability"), rows, kind="everybody")
    return f"<section>\n<h2>Everybody</h2>\n{body}\n</section>"


def _totals(person: PersonTimeline, found: Sequence[Segment]) -> str:
    seconds = seconds_by_class(person)
    total = max(float(seconds.sum()), 1e-9)
    rows = []
    for index in np.argsort(-seconds, kind="stable").tolist():
        own = [one.end_s - one.start_s for one in found if one.label == index]
        rows.append(
            (
                swatch(index, EXPRESSION_CLASSES[index]),
                _share(index, float(seconds[index]) / total),
                f"{seconds[index]:.1f} s" if own else "–",
                f"{len(own)}" if own else "–",
                f"{max(own):.1f} s" if own else "–",
            )
        )
    header = ("class", "share", "total", "segments", "longest")
    return f"<section>\n<h2>Share of the time with a face</h2>\n{table(header, rows)}\n</section>"


def _share(index: int, share: float) -> str:
    style = f"--share: {100 * share:.1f}%; --fill: var(--class-{index})"
    return f'<td class="bar" style="{style}">{100 * share:.1f} %</td>'


def _segments(person: PersonTimeline, found: Sequence[Segment]) -> str:
    """All segments in order, or only the longest when there are too many."""
    by_length = sorted(found, key=lambda one: (one.start_s - one.end_s, one.first))[:_LISTED]
    rows = [
        (
            _jump(one.first, clock(one.start_s - float(person.times[0]))),
            swatch(one.label, EXPRESSION_CLASSES[one.label]),
            f"{one.end_s - one.start_s:.2f} s",
            f"{one.first}–{one.last}",
            f"{100 * one.probability:.0f} %",
        )
        for one in sorted(by_length, key=lambda one: one.first)
    ]
    note = f'<p class="soft">The {_LISTED} longest of {len(found):,} segments.</p>' if len(found) > _LISTED else ""
    header = ("start", "class", "duration", "frames", "mean probability")
    body = table(header, rows, kind="segments") if rows else "<p>No frame has a face.</p>"
    return f'<section>\n<h2>Segments</h2>\n{note}<div class="tall">{body}</div>\n</section>'


def _disagreements(person: PersonTimeline) -> str:
    """Segments where annotation and prediction differ, longest first."""
    annotated = person.annotated
    scored, wrong = person.scored, person.wrong
    if annotated is None or not scored:
        return "<section>\n<h2>Comparison with the annotation</h2>\n<p>No annotated frame has a face.</p>\n</section>"
    ends = ends_of(person.times)
    rows = []
    for first, last in sorted(_wrong_segments(person, wrong), key=lambda pair: (pair[0] - pair[1], pair[0]))[:_LISTED]:
        duration_s = float(ends[last - 1] - person.times[first - 1])
        rows.append(
            (
                _jump(first, clock(float(person.times[first - 1] - person.times[0]))),
                swatch(int(annotated[first - 1]), EXPRESSION_CLASSES[annotated[first - 1]]),
                swatch(int(person.labels[first - 1]), EXPRESSION_CLASSES[person.labels[first - 1]]),
                f"{duration_s:.2f} s",
                f"{first}–{last}",
            )
        )
    share = 1 - float(np.count_nonzero(wrong)) / scored
    text = f"<p>The prediction agrees on {100 * share:.1f} % of {scored:,} annotated frames with a face.</p>"
    header = ("start", "annotated", "predicted", "duration", "frames")
    body = f'<div class="tall">{table(header, rows, kind="differing")}</div>' if rows else ""
    return f"<section>\n<h2>Comparison with the annotation</h2>\n{text}\n{body}\n</section>"


def _wrong_segments(person: PersonTimeline, wrong: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last frame of the wrong segments in which neither the annotated nor the predicted class changes."""
    assert person.annotated is not None
    pairs = np.where(wrong, person.annotated.astype(np.int64) * 100 + person.labels, -1)
    return [(start + 1, stop) for start, stop in segment_bounds(pairs) if wrong[start]]


def _jump(frame: int, text: str) -> str:
    return f'<button type="button" class="jump" data-frame="{frame}">{text}</button>'


def _settings(video: Video) -> str:
    entries = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in video.settings.items())
    return (
        "<section>\n<h2>How these results were made</h2>\n"
        f"<dl><dt>source</dt><dd>{escape(video.source)}</dd>{entries}</dl>\n"
        '<p class="soft">A facial expression is not what a person feels. The classes are a model\'s estimates, made '
        "for each frame.</p>\n</section>"
    )


def _help() -> str:
    keys = (
        ("Space k", "play or pause"),
        ("← →", "previous or next frame; with Shift, one second"),
        ("n p", "next or previous segment"),
        ("1 … 8", "next segment of a class, in the order of the bars"),
        ("d", "next disagreement with the annotation"),
        ("Home End", "first or last frame"),
        ("+ − 0", "zoom in, zoom out, show everything"),
        ("b", "face box on or off"),
        ("t", "light or dark theme"),
        ("?", "this help"),
    )
    rows = "".join(f"<dt><kbd>{escape(key)}</kbd></dt><dd>{escape(what)}</dd>" for key, what in keys)
    return (
        '<dialog id="help" aria-labelledby="help-title"><h2 id="help-title">Keyboard shortcuts</h2>\n'
        f'<dl>{rows}</dl>\n<form method="dialog"><button>close</button></form></dialog>'
    )


def _data(video: Video, people: Sequence[PersonTimeline], titles: Sequence[str], media: Media) -> dict[str, Any]:
    times = people[0].times - people[0].times[0]
    return {
        "name": video.name,
        "source": video.source,
        "size": list(video.frame_wh),
        "still": media.is_image,
        "link": media.link,
        "classes": list(EXPRESSION_CLASSES),
        "times": _packed(times.astype("<f8")),
        "end": float(ends_of(times)[-1]),
        "filmSide": SIDE,
        "people": [
            _person_data(person, title, number)
            for number, (person, title) in enumerate(zip(people, titles, strict=True), start=1)
        ],
    }


def _person_data(person: PersonTimeline, title: str, number: int) -> dict[str, Any]:
    strip = filmstrip(person)
    probs = np.rint(np.nan_to_num(person.probs) * _PROBABILITY_STEPS)
    return {
        "name": person.name,
        "title": title,
        "number": number,
        "box": _packed(person.box_xyxy.astype("<f4")),
        "crop": _packed(person.crop.astype("<f4")),
        "landmarks": None if person.landmarks is None else _packed(person.landmarks.astype("<f4")),
        "affect": None if person.valence_arousal is None else _packed(person.valence_arousal.astype("<f4")),
        "probs": _packed(probs.astype("<u2")),
        "labels": _packed(person.labels.astype("i1")),
        "annotated": None if person.annotated is None else _packed(person.annotated.astype("i1")),
        "film": {
            "frames": list(strip.frames),
            "image": data_url(strip.jpeg, "image/jpeg") if strip.jpeg is not None else None,
        },
    }


def _packed(values: NDArray[Any]) -> str:
    """The bytes of an array as base64."""
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")
