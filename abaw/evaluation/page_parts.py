"""Building blocks of the report's page: plain HTML, the style inside, for a phone as for a screen, light or dark."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from html import escape

from abaw.evaluation.bootstrap import Interval

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2733; --soft: #5b6875; --line: #dfe4ea; --paper: #fff; --ground: #f4f6f8;
        --accent: #1f7a8c; --bar: #bfe0e6; --alarm: #a3261c; --alarm-ground: #fdecea; --good: #1c6b3c;
        --good-ground: #e7f5ec; --caution: #7a4b00; --caution-ground: #fff3dc; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6ebf0; --soft: #9aa7b4; --line: #2f3a45; --paper: #1b232b; --ground: #12181e; --accent: #63c1d2;
          --bar: #23505a; --alarm: #ff9d94; --alarm-ground: #3d1a17; --good: #86d7a5; --good-ground: #143022;
          --caution: #f2c778; --caution-ground: #362a12; }
  img { filter: invert(.89) hue-rotate(180deg); } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.25rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin: 1.25rem 0 .5rem; }
p { margin: .25rem 0 .75rem; overflow-wrap: anywhere; } .soft, small { color: var(--soft); }
section { background: var(--paper); border: 1px solid var(--line); border-radius: .75rem; padding: 1rem;
          margin-top: 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { white-space: normal; vertical-align: bottom; }
td:first-child { white-space: normal; overflow-wrap: anywhere; min-width: 12rem; }
th:first-child, td:first-child { text-align: left; } th { color: var(--soft); font-weight: 600; }
tr:last-child td { border-bottom: 0; }
td.bar { background: linear-gradient(to right, var(--bar) var(--share), transparent var(--share)); }
.figures { display: flex; flex-wrap: wrap; gap: 1.25rem 1.5rem; margin: .5rem 0 0; }
.figures div { min-width: 8rem; flex: 0 1 11.5rem; }
.figures b { display: block; font-size: 1.7rem; color: var(--accent); line-height: 1.2; }
.figures .caution b { color: var(--caution); } .figures span { white-space: nowrap; }
.box { border-left: .3rem solid; border-radius: .3rem; padding: .5rem .75rem; margin: .6rem 0;
       overflow-wrap: anywhere; }
.alarm { color: var(--alarm); background: var(--alarm-ground); font-weight: 600; }
.caution-box { color: var(--caution); background: var(--caution-ground); }
.good { color: var(--good); background: var(--good-ground); }
.tag { color: var(--caution); background: var(--caution-ground); border-radius: .3rem; padding: 0 .35rem;
       font-size: .8rem; font-weight: 600; }
tr.chosen td { font-weight: 600; }
td.range { min-width: 6.5rem; }
td.range i { display: block; position: relative; height: .5rem; border-radius: .25rem; background: var(--line); }
td.range i::before { content: ""; position: absolute; inset: 0 calc(100% - var(--high)) 0 var(--low);
                     border-radius: .25rem; background: var(--accent); opacity: .45; }
td.range i::after { content: ""; position: absolute; top: -.15rem; left: calc(var(--at) - .1rem); width: .2rem;
                    height: .8rem; border-radius: .1rem; background: var(--accent); }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }
.pictures figure { flex: 1 1 20rem; min-width: 0; margin: 0; }
figcaption { color: var(--soft); font-size: .9rem; }
img { display: block; width: 100%; max-width: 42rem; margin: .5rem auto; border-radius: .5rem; background: #fff; }
ul { margin: .25rem 0; padding-left: 1.2rem; overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--accent); }
@media (max-width: 30rem) {
  .figures div { flex: 1 1 8rem; }
  td:first-child { min-width: 6rem; }
  th, td { padding: .3rem .35rem; } table { font-size: .85rem; } section { padding: .75rem; }
}
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 0; font-size: .92rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
"""


def document(title: str, parts: Iterable[str]) -> str:
    """The whole page around the parts of its body."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(parts)
        + "\n</main>\n</body>\n</html>\n"
    )


def table(header: Iterable[str], rows: Iterable[Sequence[str]], chosen: int | None = None) -> str:
    """Cells are HTML; a cell that brings its own <td> is taken as it is. chosen: a row to mark."""
    head = "".join(f'<th scope="col">{name}</th>' for name in header)
    body = "".join(
        ("<tr class='chosen'>" if index == chosen else "<tr>")
        + "".join(cell if cell.startswith("<td") else f"<td>{cell}</td>" for cell in row)
        + "</tr>\n"
        for index, row in enumerate(rows)
    )
    return f"<div class='wide'><table>\n<tr>{head}</tr>\n{body}</table></div>"


def bar(value: float) -> str:
    """A cell with a bar behind its number, 0 to 1."""
    share = 0.0 if math.isnan(value) else 100 * value
    return f'<td class="bar" style="--share: {share:.1f}%">{number(value)}</td>'


def range_cell(value: float, interval: Interval, scale: Interval) -> str:
    """A cell that draws an interval and the value in it, from one end of the scale to the other."""

    def place(x: float) -> str:
        span = max(scale.high - scale.low, 1e-9)
        return f"{100 * min(max((x - scale.low) / span, 0.0), 1.0):.1f}%"

    style = f"--low: {place(interval.low)}; --high: {place(interval.high)}; --at: {place(value)}"
    label = f"{number(value)}, 95 % interval {span(interval)}"
    return f'<td class="range"><i role="img" aria-label="{label}" style="{style}"></i></td>'


def number(value: float) -> str:
    """Three digits behind the point; a dash where there is nothing to score."""
    return "–" if math.isnan(value) else f"{value:.3f}"


def signed(value: float) -> str:
    """With its sign, a real minus: a difference."""
    text = f"{value:+.3f}".replace("-", "−")
    return "0.000" if text[1:] == "0.000" else text


def span(interval: Interval | None) -> str:
    return f"{number(interval.low)}–{number(interval.high)}" if interval else "–"


def card(value: str, what: str, where: str, tag: str = "") -> str:
    """One large figure. tag: a mark that makes it one to be careful with."""
    mark = f' <span class="tag">{escape(tag)}</span>' if tag else ""
    kind = ' class="caution"' if tag else ""
    return f"<div{kind}><b>{value}</b>{what}{mark}<br><small>{where}</small></div>"


def box(kind: str, text: str) -> str:
    """A line that stands out. kind: alarm, caution-box or good."""
    return f'<p class="box {kind}">{escape(text)}</p>'


def picture(png: bytes, alternative: str, caption: str) -> str:
    """An image inside the page; `alternative` says the same in words."""
    encoded = base64.b64encode(png).decode("ascii")
    return (
        f'<figure><img alt="{escape(alternative)}" src="data:image/png;base64,{encoded}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def bullets(items: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"
