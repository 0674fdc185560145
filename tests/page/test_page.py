"""The building blocks of pages, and the colours of the classes."""

from __future__ import annotations

import itertools
import json
import os
import re
from html import unescape

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.color import rgb2lab

from abaw.page.palette import CLASS_COLOURS, ink_on, rgb
from abaw.page.parts import address, clock, document, json_island, swatch, table
from abaw.protocol.classes import EXPRESSION_CLASSES

# Viénot, Brettel, Mollon (1999): linear RGB as seen without long-wave or middle-wave cones.
_WITHOUT_LONG = np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]])
_WITHOUT_MIDDLE = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])


def _as_seen(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """(8, 3) class colours in CIELAB, seen through `matrix` (3, 3), which acts on linear RGB."""
    values = np.array([rgb(colour) for colour in CLASS_COLOURS.values()]) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ matrix.T, 0, 1)
    return rgb2lab(np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)[None])[0]


@pytest.mark.parametrize("matrix", [np.eye(3), _WITHOUT_LONG, _WITHOUT_MIDDLE], ids=["all", "no long", "no middle"])
def test_class_colours_are_distinguishable_with_every_colour_vision(matrix: NDArray[np.float64]) -> None:
    assert tuple(CLASS_COLOURS) == EXPRESSION_CLASSES
    lab = _as_seen(matrix)
    apart = {(a, b): float(np.linalg.norm(lab[a] - lab[b])) for a, b in itertools.combinations(range(8), 2)}
    closest = min(apart, key=lambda pair: apart[pair])
    assert apart[closest] > 10, (closest, apart[closest])


def test_text_on_a_colour_is_readable() -> None:
    assert (ink_on("#ffffff"), ink_on("#000000"), ink_on("#1470c4")) == ("#000000", "#ffffff", "#ffffff")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00.00"), (4.957, "0:04.96"), (59.999, "1:00.00"), (3723, "1:02:03.00")],
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_text_never_ends_the_json_element_or_becomes_markup() -> None:
    name = "</script><b>ü & 'x'"
    island = json_island("data", {"name": name})
    inside = re.fullmatch(r'<script type="application/json" id="data">(.*)</script>', island)
    assert inside is not None and "<" not in inside[1]
    assert json.loads(inside[1]) == {"name": name}
    assert "<b>" not in swatch(0, name)
    assert "<title>&lt;/script&gt;" in document(name, [])


def test_a_page_loads_nothing_from_elsewhere() -> None:
    page = unescape(document("title", [table(("a",), [("1",)])]))
    assert "default-src 'none'" in page
    assert not re.search(r"https?://", page.replace("http-equiv", ""))
    assert "prefers-color-scheme" in page and "width=device-width" in page


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a b/c.html", "a%20b/c.html"),
        ("javascript:x.html", "javascript%3Ax.html"),
        ('"><script>.html', "%22%3E%3Cscript%3E.html"),
        ("../ü#?.html", "../%C3%BC%23%3F.html"),
        (os.fsdecode(b"caf\xe9.html"), "caf%E9.html"),
    ],
)
def test_an_address_stands_for_the_bytes_of_a_name(path: str, expected: str) -> None:
    assert address(path) == expected
