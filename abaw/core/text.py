"""Parts of messages."""

from __future__ import annotations

from collections.abc import Sequence


def listed(names: Sequence[str], shown: int = 8, separator: str = ", ") -> str:
    """`a, b, c and 7 more`: the first `shown` names, then the number of the others."""
    text = separator.join(names[:shown])
    return f"{text} and {len(names) - shown} more" if len(names) > shown else text
