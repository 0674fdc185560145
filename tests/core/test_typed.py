from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from abaw.core.typed import from_plain


@dataclass(frozen=True)
class Inner:
    share: float = 0.5


@dataclass(frozen=True)
class Outer:
    name: str
    count: int = 1
    kind: Literal["a", "b"] = "a"
    on: bool = False
    pair: tuple[float, float] = (0.0, 1.0)
    names: tuple[str, ...] = ()
    inner: Inner | None = None
    free: Mapping[str, Any] = field(default_factory=dict)


def test_values_become_a_dataclass() -> None:
    values = {"name": "x", "count": 3, "kind": "b", "on": True, "pair": [1, 2.5], "names": ["p"], "inner": {"share": 1}}
    assert from_plain(Outer, {**values, "free": {"k": [None]}}) == Outer(
        "x", 3, "b", True, (1.0, 2.5), ("p",), Inner(1.0), {"k": [None]}
    )
    assert from_plain(Outer, {"name": "x", "inner": None}) == Outer("x")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "expected an object of keys and values, found list"),
        ({}, "the key 'name' is missing"),
        ({"name": "x", "cuont": 1}, "unknown key 'cuont'. Did you mean 'count'"),
        ({"name": 3}, "key 'name': expected a text, found 3"),
        ({"name": "x", "count": True}, "key 'count': expected a whole number, found True"),
        ({"name": "x", "count": 1.0}, "key 'count': expected a whole number, found 1.0"),
        ({"name": "x", "count": 10**5000}, "key 'count': expected a whole number, found a number of more than 64 bits"),
        ({"name": "x", "kind": "c"}, "key 'kind': expected one of a, b, found 'c'"),
        ({"name": "x", "on": 1}, "key 'on': expected true or false, found 1"),
        ({"name": "x", "pair": [1]}, "key 'pair': expected a list of 2 values, found list"),
        ({"name": "x", "pair": [1, float("nan")]}, r"key 'pair\[1\]': expected a number, found nan"),
        ({"name": "x", "names": "abc"}, "key 'names': expected a list, found 'abc'"),
        ({"name": "x", "inner": {"share": "1"}}, r"key 'inner\.share': expected a number, found '1'"),
        ({"name": "x", "free": [1]}, "key 'free': expected an object"),
    ],
)
def test_other_values_are_named(values: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_plain(Outer, values)
