"""Settings that are changed by their dotted name, as texts: `train.lr=1e-3`. For grids and for named variants."""

from __future__ import annotations

import types
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from abaw.core.config import fitted
from abaw.core.errors import ConfigError, nearest

Config = TypeVar("Config")

UNSET = "null"


def replaced(
    config: Config, values: Mapping[str, Any], given: Collection[str] = (), prefix: str = ""
) -> tuple[Config, list[str]]:
    """The config with other values, by dotted name; those of one part are set together. And a line per adapted setting.

    A setting that does not fit the new values is adapted, unless it is one of them or in `given`, the names of the
    settings given on the command line.
    """
    own = {name: value for name, value in values.items() if "." not in name}
    notes: list[str] = []
    for part in dict.fromkeys(name.partition(".")[0] for name in values if "." in name):
        inner = {name.partition(".")[2]: value for name, value in values.items() if name.startswith(f"{part}.")}
        own[part], lines = replaced(getattr(config, part), inner, given, f"{prefix}{part}.")
        notes += lines
    config_class = type(config)
    current = {field.name: getattr(config, field.name) for field in fields(config_class)}  # type: ignore[arg-type]
    fixed = {*given, *(f"{prefix}{name}" for name in own)}
    changed, lines = fitted(config_class, {**current, **own}, fixed, prefix)
    return replace(config, **own, **changed), [*notes, *lines]  # type: ignore[type-var]


def setting_kinds(config_class: type[Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted name and type of every setting of a config class."""
    kinds = get_type_hints(config_class)
    for field in fields(config_class):
        kind = kinds[field.name]
        if is_dataclass(kind):
            assert isinstance(kind, type)
            yield from setting_kinds(kind, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", kind


def hint(name: str, known: Mapping[str, Any]) -> str:
    """` Did you mean …?` for a name that is not known; the last part of a known name is enough."""
    last = {each.rpartition(".")[2]: each for each in known}
    near = last.get(name.rpartition(".")[2])
    return f" Did you mean '{near}'?" if near else nearest(name, known)


def typed_value(name: str, text: str, kind: Any) -> Any:
    """The text as a value of the setting's type. Raises ConfigError when it is none."""
    if get_origin(kind) in (Union, types.UnionType):
        options = [option for option in get_args(kind) if option is not type(None)]
        if text == UNSET and len(options) < len(get_args(kind)):
            return None
        for option in options[:-1]:
            with suppress(ConfigError):
                return typed_value(name, text, option)
        return typed_value(name, text, options[-1])
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        if text not in choices:
            raise ConfigError(f"{name}={text}: expected one of {', '.join(choices)}.{nearest(text, choices)}")
        return text
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ConfigError(f"{name}={text}: expected true or false")
        return text.lower() == "true"
    expected = {int: "a whole number", float: "a number", str: "a text", Path: "a path"}[kind]
    try:
        return kind(text)
    except ValueError as error:
        raise ConfigError(f"{name}={text}: expected {expected}") from error


def value_text(value: Any) -> str:
    """A value in a name: as it is written in a setting."""
    if value is None:
        return UNSET
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
