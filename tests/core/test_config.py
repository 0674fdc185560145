from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import pytest

from abaw.core.config import differences, filled, to_plain


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True)
class Inner:
    sizes: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Outer:
    path: Path = Path("a/b")
    colour: Colour = Colour.RED
    inner: Inner = field(default_factory=Inner)
    rates: dict[str, float] = field(default_factory=lambda: {"x": 0.5})
    nothing: None = None


def test_to_plain_is_json() -> None:
    plain = to_plain(Outer())
    assert plain == {
        "path": "a/b",
        "colour": "red",
        "inner": {"sizes": [1, 2]},
        "rates": {"x": 0.5},
        "nothing": None,
    }
    assert json.loads(json.dumps(plain)) == plain


@pytest.mark.parametrize("value", [{1, 2}, object(), Inner])
def test_to_plain_refuses_other_types(value: object) -> None:
    with pytest.raises(TypeError, match="not a configuration value"):
        to_plain(value)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, ["a: 1 -> 2"]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, ["a.c: 2 -> 3"]),
        ({"a": 1}, {}, ["a: 1 -> None"]),
        ({"a": [1]}, {"a": [1, 2]}, ["a: [1] -> [1, 2]"]),
    ],
)
def test_differences_name_the_keys(old: object, new: object, expected: list[str]) -> None:
    assert differences(old, new) == expected


def test_settings_added_later_get_their_defaults() -> None:
    old = {"steps": 3, "loss": {"weight": 2}, "parts": None}
    defaults = {"steps": 1, "loss": {"weight": 1, "power": 0.5}, "parts": {"a": 1}, "new": "x"}
    assert filled(old, defaults) == {"steps": 3, "loss": {"weight": 2, "power": 0.5}, "parts": None, "new": "x"}
    assert old == {"steps": 3, "loss": {"weight": 2}, "parts": None}
