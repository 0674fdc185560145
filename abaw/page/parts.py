"""Building blocks of a page: plain HTML with style and script inside, for phones and screens, light and dark."""

from __future__ import annotations

import base64
import json
import math
import os
from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from abaw.page.palette import CLASS_COLOURS, ink_on

_SWITCH = '<button type="button" id="theme" aria-label="light or dark">light / dark</button>'


def document(
    title: str, parts: Iterable[str], *, style: str = "", script: str = "", policy: str = "img-src data:"
) -> str:
    """The complete page around the parts of its body.

    style, script: in addition to those that all pages share; policy: where pictures and videos may come from, as
    directives of a Content-Security-Policy. Nothing else is ever loaded.
    """
    rules = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; {policy}"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(rules)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>\n{asset('abaw.page', 'base.css')}{class_style()}{style}</style>\n"
        f"</head>\n<body>\n{_SWITCH}\n"
        + "\n".join(parts)
        + f"\n<script>\n'use strict';\n{asset('abaw.page', 'theme.js')}{script}</script>\n</body>\n</html>\n"
    )


@cache
def asset(package: str, name: str) -> str:
    """The text of a style sheet or script in the `assets` folder of a package."""
    return (files(package) / "assets" / name).read_text(encoding="utf-8")


def address(relative: str) -> str:
    """The address of a file for a link, from its path relative to the page; any bytes may be in it."""
    return quote(os.fsencode(Path(relative).as_posix()))


def class_style() -> str:
    """CSS variables: the colours of the classes in order (`--class-0` …) and the text colour to use on each."""
    rules = [
        f"--class-{index}: {colour}; --on-class-{index}: {ink_on(colour)};"
        for index, colour in enumerate(CLASS_COLOURS.values())
    ]
    return f":root {{ {' '.join(rules)} }}\n"


def json_island(identity: str, value: Any) -> str:
    """A JSON value for the page's script, escaped so that no text in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{identity}">{text}</script>'


def data_url(data: bytes, mime: str) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"


def table(header: Iterable[str], rows: Iterable[Sequence[str]], chosen: int | None = None, kind: str = "") -> str:
    """An HTML table. A field is HTML; one that starts with <td is used unchanged.

    chosen: index of a row to highlight; kind: the table's CSS class.
    """
    head = "".join(f'<th scope="col">{name}</th>' for name in header)
    body = "".join(
        ("<tr class='chosen'>" if index == chosen else "<tr>")
        + "".join(field if field.startswith("<td") else f"<td>{field}</td>" for field in row)
        + "</tr>\n"
        for index, row in enumerate(rows)
    )
    marked = f' class="{kind}"' if kind else ""
    return f'<div class="wide"><table{marked}>\n<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def swatch(index: int, name: str) -> str:
    """The name of a class after a spot of its colour."""
    spot = f'<i class="swatch" style="background: var(--class-{index})"></i>'
    return f'<span class="class">{spot}{escape(name)}</span>'


def bar(value: float, colour: str = "var(--accent)") -> str:
    """A table field with a number in 0..1 above a bar of that length."""
    share = 0.0 if math.isnan(value) else 100 * value
    return f'<td class="bar" style="--share: {share:.1f}%; --fill: {colour}">{number(value)}</td>'


def number(value: float) -> str:
    """Three decimals; a dash for NaN."""
    return "–" if math.isnan(value) else f"{value:.3f}"


def signed(value: float) -> str:
    """A difference with its sign (a typographic minus) and three decimals."""
    text = f"{value:+.3f}".replace("-", "−")
    return "0.000" if text[1:] == "0.000" else text


def card(value: str, what: str, where: str, tag: str = "") -> str:
    """One large figure. tag: a warning mark next to it."""
    mark = f' <span class="tag">{escape(tag)}</span>' if tag else ""
    kind = ' class="caution"' if tag else ""
    return f"<div{kind}><b>{value}</b>{what}{mark}<br><small>{where}</small></div>"


def box(kind: str, text: str) -> str:
    """A highlighted line. kind: alarm, caution-box or good."""
    return f'<p class="box {kind}">{escape(text)}</p>'


def bullets(items: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


def clock(seconds: float) -> str:
    """`0:04.96`, `1:02:03.00`."""
    hundredths = round(100 * seconds)
    minutes, rest = divmod(hundredths, 6000)
    hours, minutes = divmod(minutes, 60)
    tail = f"{rest // 100:02d}.{rest % 100:02d}"
    return f"{hours}:{minutes:02d}:{tail}" if hours else f"{minutes}:{tail}"
