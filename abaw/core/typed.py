"""Dataclasses from JSON values, checked strictly: what a file holds may be anything."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from abaw.core.errors import nearest

T = TypeVar("T")

_SHOWN = 60
_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
_MAX_INT = 2**63


def from_plain(kind: type[T], values: Any, key: str = "") -> T:
    """The dataclass whose fields are given as JSON values, as `to_plain` writes them.

    key: where the values are, for messages. Fields may be bool, int, float, str, Literal, tuples, mappings with text
    keys, optional values, dataclasses and Any. Raises ValueError, naming the key, for values of other types, numbers
    that are not finite or have more than 64 bits, unknown keys and missing keys; and what the dataclass raises.
    """
    if not isinstance(values, Mapping):
        raise _unexpected(key, "an object of keys and values", values)
    types, inside = get_type_hints(kind), f"{key}." if key else ""
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            raise ValueError(f"unknown key '{inside}{str(name)[:_SHOWN]}'.{nearest(str(name)[:_SHOWN], known)}")
    for name, field in known.items():
        if name not in values and field.default is field.default_factory is MISSING:
            raise ValueError(f"the key '{inside}{name}' is missing")
    return kind(**{name: _typed(types[name], value, f"{inside}{name}") for name, value in values.items()})


def _typed(kind: Any, value: Any, key: str) -> Any:
    """A JSON value as a type of Python's."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        if value is None and NoneType in parts:
            return None
        return _typed(next(part for part in parts if part is not NoneType), value, key)
    if origin is Literal:
        if not any(value == part and type(value) is type(part) for part in parts):
            raise _unexpected(key, f"one of {', '.join(map(str, parts))}", value)
        return value
    if origin is tuple:
        return _typed_tuple(parts, value, key)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise _unexpected(key, "an object of keys and values", value)
        return {name: _typed(parts[1], item, f"{key}.{name[:_SHOWN]}") for name, item in value.items()}
    if is_dataclass(kind):
        return from_plain(kind, value, key)  # type: ignore[arg-type]
    return value if kind is Any else _scalar(kind, value, key)


def _typed_tuple(parts: Sequence[Any], value: Any, key: str) -> tuple[Any, ...]:
    open_ended = parts[-1] is Ellipsis
    if not isinstance(value, list | tuple) or not (open_ended or len(value) == len(parts)):
        raise _unexpected(key, "a list" if open_ended else f"a list of {len(parts)} values", value)
    kinds = [parts[0]] * len(value) if open_ended else parts
    return tuple(
        _typed(kind, item, f"{key}[{place}]") for place, (kind, item) in enumerate(zip(kinds, value, strict=True))
    )


def _scalar(kind: Any, value: Any, key: str) -> Any:
    if kind is float and type(value) is int and abs(value) < _MAX_INT:
        return float(value)
    right = type(value) is kind
    if right and kind is int:
        right = abs(value) < _MAX_INT
    if right and kind is float:
        right = math.isfinite(value)
    if not right:
        raise _unexpected(key, _NAMES[kind], value)
    return value


def _unexpected(key: str, expected: str, found: Any) -> ValueError:
    if isinstance(found, int) and abs(found) >= _MAX_INT:
        text = "a number of more than 64 bits"  # it may be too long to print
    else:
        text = type(found).__name__ if isinstance(found, Mapping | list) else repr(found)[:_SHOWN]
    place = f"key '{key}': " if key else ""
    return ValueError(f"{place}expected {expected}, found {text}")
