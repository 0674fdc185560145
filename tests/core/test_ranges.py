"""Range checks of settings: the limits themselves, and messages that name the setting."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from abaw.core.errors import ConfigError
from abaw.core.ranges import require_at_least, require_below_one, require_positive, require_within

NAN = float("nan")


@pytest.mark.parametrize(
    ("require", "accepted", "refused", "expected"),
    [
        (lambda s: require_at_least(2, s, "a"), (2, 3), (1, NAN), "at least 2"),
        (lambda s: require_positive(s, "a"), (1e-9, 5), (0, -1, NAN), "more than 0"),
        (lambda s: require_within(0, 1, s, "a"), (0, 1), (-0.1, 1.1, NAN), "0 <= a <= 1"),
        (lambda s: require_within(1, 3, s, "a"), (1, 3), (0, 4, NAN), "1 <= a <= 3"),
        (lambda s: require_below_one(s, "a"), (0, 0.999), (-0.1, 1, NAN), "0 <= a < 1"),
    ],
    ids=["at least", "positive", "share", "within", "below one"],
)
def test_values_out_of_range_are_refused_by_name(
    require: Callable[[object], None], accepted: tuple[float, ...], refused: tuple[float, ...], expected: str
) -> None:
    for value in accepted:
        require(SimpleNamespace(a=value))
    for value in refused:
        with pytest.raises(ConfigError, match=f"a is {value}; expected {expected}"):
            require(SimpleNamespace(a=value))


def test_every_named_setting_is_checked() -> None:
    with pytest.raises(ConfigError, match="b is -1"):
        require_at_least(0, SimpleNamespace(a=1, b=-1, c=-2), "a", "b", "c")
