"""Typed configuration as plain values, for saving, hashing and comparing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final, TypeVar

Config = TypeVar("Config")

ONE_OF: Final = "one_of"
"""Metadata key of a group of settings: names the setting whose value must be the group's name for it to apply."""

GIVEN: Final = "given"
"""Metadata key of a field that is no setting: it gets the names of the settings given on the command line."""
AT_MOST: Final = "at_most"
"""Metadata key of a number that depends on another setting: its `Limit`."""


@dataclass(frozen=True, slots=True)
class Limit:
    """The highest value that fits: that of the setting `name` of the same class, minus `less`."""

    name: str
    less: int = 0


def fitted(
    config_class: type[Any], values: Mapping[str, Any], given: Collection[str], prefix: str = ""
) -> tuple[dict[str, int], list[str]]:
    """The values above the limit that another setting sets, lowered to it, and a line for each.

    Settings whose dotted name (`prefix` + name) is in `given` are left as they are, for the class to refuse.
    """
    lowered: dict[str, int] = {}
    notes: list[str] = []
    for field in fields(config_class):
        limit = field.metadata.get(AT_MOST)
        value = values[field.name]
        if limit is None or value is None or f"{prefix}{field.name}" in given:
            continue
        highest = values[limit.name] - limit.less
        if value > highest >= 0:
            lowered[field.name] = highest
            notes.append(
                f"{prefix}{field.name}: {highest} instead of {value}, to fit {prefix}{limit.name} {values[limit.name]}"
            )
    return lowered, notes


def part_of(config: Any, part: type[Config]) -> Config:
    """The settings of a config that the dataclass `part`, from which it is derived, has."""
    return part(**{field.name: getattr(config, field.name) for field in fields(part)})  # type: ignore[arg-type]


def to_plain(value: Any) -> Any:
    """Convert dataclasses, paths, enums, mappings and sequences to JSON values. Raises TypeError for anything else."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Sequence):
        return [to_plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} is not a configuration value")


def differences(old: Any, new: Any, key: str = "") -> list[str]:
    """`key: old -> new` for every setting in which two plain configurations differ."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        found: list[str] = []
        for name in sorted({*old, *new}):
            found += differences(old.get(name), new.get(name), f"{key}.{name}" if key else str(name))
        return found
    return [] if old == new else [f"{key}: {old!r} -> {new!r}"]


def filled(old: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """A plain configuration of an earlier version, with settings added since then at their defaults.

    The default of a new setting must therefore keep the earlier behaviour.
    """
    found = dict(old)
    for name, default in defaults.items():
        if name not in found:
            found[name] = default
        elif isinstance(default, Mapping) and isinstance(found[name], Mapping):
            found[name] = filled(found[name], default)
    return found
