"""The index page, which links to the pages of several videos."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from html import escape
from pathlib import Path
from typing import Any

from abaw.core.reading import read_errors
from abaw.core.typed import from_plain
from abaw.page.parts import address, clock, document, swatch
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
    """One video. page: its address relative to the index; people: summaries as in its JSON; portrait: a data URL.

    Raises ValueError for a portrait that is anything but a picture.
    """

    name: str
    page: str
    frames: int
    people: Sequence[Mapping[str, Any]]
    portrait: str | None

    def __post_init__(self) -> None:
        if self.portrait is not None and not _PICTURE.fullmatch(self.portrait):
            raise ValueError("portrait: expected a picture as data:image/…;base64,…")


_PICTURE = re.compile(r"data:image/(jpeg|png|webp);base64,[A-Za-z0-9+/]*={0,2}")


@dataclass(frozen=True, slots=True)
class _Summary:
    """The part of a summary that a card shows."""

    video: str
    frames: int
    people: tuple[Mapping[str, Any], ...]
    portrait: str | None = None


@dataclass(frozen=True, slots=True)
class _Person:
    """The part of a person's summary that a card shows."""

    seconds_with_face: float
    share_of_time: Mapping[str, float]
    annotated: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        agreement = self.annotated.get("agreement", 0.0)
        shares = (*self.share_of_time.values(), 0.0 if agreement is None else agreement)
        if set(self.share_of_time) != set(EXPRESSION_CLASSES) or self.seconds_with_face < 0:
            raise ValueError(f"expected the share of time of {', '.join(EXPRESSION_CLASSES)}")
        if not all(isinstance(share, int | float) and 0 <= share <= 1 for share in shares):
            raise ValueError("expected shares from 0 to 1")


def read_card(name: str, summary: Mapping[str, Any]) -> VideoCard:
    """The card of the video `name` from its summary, a file whose content goes into the index.

    Raises ValueError for anything but the summary that `predict-video` writes for this video.
    """
    found = from_plain(_Summary, _shown(_Summary, summary))
    for number, person in enumerate(found.people):
        from_plain(_Person, _shown(_Person, person), f"people[{number}]")
    if found.video != name or not found.people or found.frames < 1:
        raise ValueError(f"expected the summary of {name}")
    return VideoCard(name, f"{name}.html", found.frames, found.people, found.portrait)


def _shown(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    return {each.name: values[each.name] for each in fields(kind) if each.name in values}


_HEADING = "<main>\n<h1>Expressions</h1>"


def is_index(page: Path) -> bool:
    """Whether a file is a page that `render_index` made. Raises DataError when it cannot be read."""
    with read_errors(page, "cannot be read", "check the file"):
        return _HEADING in page.read_text(encoding="utf-8", errors="replace")


def render_index(videos: Sequence[VideoCard]) -> str:
    """The index page: one card per video, in order, with the shares of the person who is visible longest."""
    legend = "".join(swatch(index, name) for index, name in enumerate(EXPRESSION_CLASSES))
    cards = "\n".join(map(_card, videos))
    parts = [
        _HEADING,
        f'<p class="soft">{len(videos)} videos and images</p>',
        f'<div class="legend">{legend}</div>',
        f'<ul class="cards">\n{cards}\n</ul>\n</main>',
    ]
    return document("Expressions", parts, style=_STYLE)


def _card(video: VideoCard) -> str:
    main = video.people[0]
    shares = [main["share_of_time"][name] for name in EXPRESSION_CLASSES]
    face = f'<img alt="" src="{escape(video.portrait)}">' if video.portrait else '<span class="nobody"></span>'
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
        f'<li>{face}<div><a href="{address(video.page)}">{escape(video.name)}</a><br>'
        f"<small>{escape(' · '.join(facts))}</small></div>"
        f'<p class="most">{words}</p><div class="stack" role="img" aria-label="{words}">{stack}</div></li>'
    )
