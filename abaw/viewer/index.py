"""The index page, which links to the pages of several videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import quote

from abaw.page.parts import clock, document, swatch
from abaw.protocol.classes import EXPRESSION_CLASSES

_STYLE = """
main { max-width: 72rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); gap: 1rem;
         padding: 0; margin: 1rem 0 0; list-style: none; }
.cards li { background: var(--paper); border: 1px solid var(--line); border-radius: .75rem; padding: .8rem;
            display: grid; grid-template-columns: 5.5rem minmax(0, 1fr); gap: .2rem .9rem; position: relative; }
.cards li:hover { border-color: var(--accent); }
.cards img, .cards .nobody { width: 5.5rem; height: 5.5rem; border-radius: .5rem; grid-row: span 3; object-fit: cover;
                             background: var(--sunk); }
.cards a { font-weight: 650; overflow-wrap: anywhere; text-decoration: none; color: var(--ink); }
.cards a::after { content: ""; position: absolute; inset: 0; border-radius: .75rem; }
.stack { display: flex; height: .8rem; border-radius: .4rem; overflow: hidden; background: var(--sunk);
         align-self: end; }
.most { font-size: .9rem; margin: 0; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1rem; font-size: .9rem; color: var(--soft); }
"""


@dataclass(frozen=True, slots=True)
class VideoCard:
    """One video. page: its address relative to the index; people: summaries as in its JSON; portrait: a data URL."""

    name: str
    page: str
    frames: int
    people: Sequence[Mapping[str, Any]]
    portrait: str | None


def render_index(videos: Sequence[VideoCard]) -> str:
    """The index page: one card per video, in order, with the shares of the person who is visible longest."""
    legend = "".join(swatch(index, name) for index, name in enumerate(EXPRESSION_CLASSES))
    cards = "\n".join(map(_card, videos))
    parts = [
        "<main>\n<h1>Expressions</h1>",
        f'<p class="soft">{len(videos)} videos and images</p>',
        f'<div class="legend">{legend}</div>',
        f'<ul class="cards">\n{cards}\n</ul>\n</main>',
    ]
    return document("Expressions", parts, style=_STYLE)


def _card(video: VideoCard) -> str:
    main = video.people[0]
    shares = list(main["share_of_time"].values())
    face = f'<img alt="" src="{video.portrait}">' if video.portrait else '<span class="nobody"></span>'
    stack = "".join(
        f'<i style="width: {100 * share:.2f}%; background: var(--class-{index})"></i>'
        for index, share in enumerate(shares)
        if share
    )
    words = ", ".join(
        f"{EXPRESSION_CLASSES[index]} {100 * share:.0f} %"
        for index, share in sorted(enumerate(shares), key=lambda pair: -pair[1])[:3]
        if share >= 0.005
    )
    words = words or "no face"
    facts = ["image" if video.frames == 1 else clock(main["seconds_with_face"]) + " with a face"]
    if len(video.people) > 1:
        facts.append(f"{len(video.people)} people")
    agreement = main.get("annotated", {}).get("agreement")
    if agreement is not None:
        facts.append(f"{100 * agreement:.0f} % agree")
    return (
        f'<li>{face}<div><a href="{quote(video.page)}">{escape(video.name)}</a><br>'
        f"<small>{escape(' · '.join(facts))}</small></div>"
        f'<p class="most">{words}</p><div class="stack" role="img" aria-label="{words}">{stack}</div></li>'
    )
