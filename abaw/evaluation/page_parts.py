"""Building blocks of the report's page only: intervals and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from abaw.evaluation.bootstrap import Interval
from abaw.page.parts import data_url, number

STYLE = """
figure img { display: block; width: 100%; max-width: 42rem; margin: .5rem auto; border-radius: .5rem;
             background: #fff; }
:root[data-theme="dark"] figure img { filter: invert(.89) hue-rotate(180deg); }
@media (prefers-color-scheme: dark) {
  :root:not([data-theme="light"]) figure img { filter: invert(.89) hue-rotate(180deg); }
}
"""


def range_cell(value: float, interval: Interval, scale: Interval) -> str:
    """A table field that draws an interval and the value in it on a scale."""

    def place(x: float) -> str:
        span = max(scale.high - scale.low, 1e-9)
        return f"{100 * min(max((x - scale.low) / span, 0.0), 1.0):.1f}%"

    style = f"--low: {place(interval.low)}; --high: {place(interval.high)}; --at: {place(value)}"
    label = f"{number(value)}, 95 % interval {span(interval)}"
    return f'<td class="range"><i role="img" aria-label="{label}" style="{style}"></i></td>'


def span(interval: Interval | None) -> str:
    return f"{number(interval.low)}–{number(interval.high)}" if interval else "–"


def picture(png: bytes, alternative: str, caption: str) -> str:
    """An image embedded in the page; `alternative`: its content as text."""
    return (
        f'<figure><img alt="{escape(alternative)}" src="{data_url(png, "image/png")}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def linked(name: str, viewers: Mapping[str, str]) -> str:
    """The name of a video, linked to its page if there is one. viewers: links by name."""
    return f'<a href="{escape(viewers[name])}">{escape(name)}</a>' if name in viewers else escape(name)
