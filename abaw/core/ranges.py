"""Checks that settings are in their ranges; a message names the setting, its value and what was expected."""

from __future__ import annotations

import math

from abaw.core.errors import ConfigError


def require_at_least(minimum: int, settings: object, *names: str) -> None:
    """Raise ConfigError unless the named settings are finite and at least `minimum`."""
    for name in names:
        _require_finite(settings, name)
        if not getattr(settings, name) >= minimum:
            raise ConfigError(f"{name} is {getattr(settings, name)}; expected at least {minimum}")


def require_positive(settings: object, *names: str) -> None:
    """Raise ConfigError unless the named settings are finite and above 0."""
    for name in names:
        _require_finite(settings, name)
        if not getattr(settings, name) > 0:
            raise ConfigError(f"{name} is {getattr(settings, name)}; expected more than 0")


def require_within(lowest: float, highest: float, settings: object, *names: str) -> None:
    """Raise ConfigError unless the named settings are within `lowest`..`highest`."""
    for name in names:
        if not lowest <= getattr(settings, name) <= highest:
            raise ConfigError(f"{name} is {getattr(settings, name)}; expected {lowest} <= {name} <= {highest}")


def require_below_one(settings: object, *names: str) -> None:
    """Raise ConfigError unless the named settings are at least 0 and below 1."""
    for name in names:
        if not 0 <= getattr(settings, name) < 1:
            raise ConfigError(f"{name} is {getattr(settings, name)}; expected 0 <= {name} < 1")


def _require_finite(settings: object, name: str) -> None:
    if getattr(settings, name) == math.inf:
        raise ConfigError(f"{name} is inf; expected a finite number")
