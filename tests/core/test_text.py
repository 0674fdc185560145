"""Parts of messages."""

from __future__ import annotations

import pytest

from abaw.core.text import listed


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b"], "a; b"),
        (["a", "b", "c"], "a; b and 1 more"),
        (list("abcdef"), "a; b and 4 more"),
    ],
)
def test_the_first_names_and_the_number_of_the_others_are_listed(names: list[str], expected: str) -> None:
    assert listed(names, shown=2, separator="; ") == expected
