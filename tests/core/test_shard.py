"""Shards: every item is in one of them, whatever the others are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abaw.core.errors import ConfigError
from abaw.core.shard import Shard, parse_shard


@given(st.lists(st.text(), unique=True), st.integers(1, 20))
def test_every_item_is_in_one_shard(names: list[str], count: int) -> None:
    parts = [Shard(number, count).of(names, str) for number in range(1, count + 1)]
    assert sorted(name for part in parts for name in part) == sorted(names)
    assert all(part == [name for name in names if name in part] for part in parts), "in their order"
    fewer = names[::2]
    for number, part in enumerate(parts, start=1):
        assert Shard(number, count).of(fewer, str) == [name for name in fewer if name in part]


def test_shards_are_of_about_one_size() -> None:
    names = [f"video {number}" for number in range(16_000)]
    assert all(800 < len(Shard(number, 16).of(names, str)) < 1200 for number in range(1, 17))


@pytest.mark.parametrize("text", ["0/4", "5/4", "3", "3/", "a/b", "-1/4", "1/0", "1/2/3", "1 / 2"])
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(ConfigError, match="expected a part from 1 to the number of parts, such as 3/16"):
        parse_shard(text)
    assert parse_shard("3/16") == Shard(3, 16)
